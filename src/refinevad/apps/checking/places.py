"""Which places videos show, by a few pictures of each; and whether splits share them."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Float

from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.errors import InputError
from refinevad.features.store import load_features
from refinevad.training.places import APPEARANCE, ONE_PLACE, group_by_place, mixed_places, steadiness
from refinevad.video.reading import open_container, video_of

PICTURES = 5  # of a video
_SIDE = 224
_NETWORK = "efficientnet-lite0"

Looks = Float[np.ndarray, "picture channel"]


def looks_of_videos(
    root: Path, items: Sequence[Item], progress: Callable[[int], Callable[[], None]] | None = None
) -> dict[Item, Looks]:
    """Pooled features of a few pictures of each video. Raises InputError where the image network is not installed."""
    from refinevad.encoders.efficientnet import EfficientNet

    network, step = EfficientNet(_NETWORK), None if progress is None else progress(len(items))
    found = {}
    for item in items:
        pictures = _pictures(root / item.path)
        if pictures:
            found[item] = network.features(np.stack(pictures))[0]
        if step is not None:
            step()
    return found


def looks_of_features(index: FeatureIndex, items: Sequence[Item]) -> dict[Item, Looks]:
    """The same from features that have them; none where they have not."""
    found = {}
    for item in items:
        features = load_features(index.path(item))
        if APPEARANCE in features.provenance.parts and features.timeline.segments:
            found[item] = features.part(APPEARANCE).astype(np.float32)
    return found


def told_of_places(looks: dict[Item, Looks]) -> Iterator[str]:
    """Sentences about the places that splits share, and whether places give labels away."""
    items = list(looks)
    if len(items) < 2:
        return
    if float(np.median([steadiness(looks[item].astype(np.float64)) for item in items])) < ONE_PLACE:
        yield "places: videos join several places (cuts), so which splits share some cannot be told"
        return
    places = group_by_place([looks[item].astype(np.float64) for item in items])
    yield f"places: about {places.max() + 1}, by how the videos look"
    by_split: dict[str, dict[int, int]] = {}
    for item, place in zip(items, places.tolist(), strict=True):
        held = by_split.setdefault(item.split or f"fold {item.fold}", {})
        held[place] = held.get(place, 0) + 1
    for one, other in combinations(sorted(by_split), 2):
        shared = by_split[one].keys() & by_split[other].keys()
        if shared:
            counts = [
                f"{sum(held[place] for place in shared)} of {sum(held.values())} videos of {split}"
                for split, held in ((one, by_split[one]), (other, by_split[other]))
            ]
            yield f"{' and '.join(counts)} show places of both ({len(shared)}): figures on them are not of new cameras"
    mixed = mixed_places(places, np.array([item.anomalous for item in items]))
    if places.max() > 0 and mixed.mean() < 0.5:
        yield "most places show one kind of video alone, normal or anomalous: the place gives the label away"


def _pictures(path: Path) -> list[np.ndarray]:
    """A few pictures, each the keyframe before its place; none where the file cannot be decoded."""
    import av
    import cv2

    found = []
    try:
        with open_container(path) as container:
            stream = video_of(container)
            for place in range(PICTURES):
                if container.duration:
                    share = (place + 0.5) / PICTURES
                    container.seek(int((container.start_time or 0) + share * container.duration))
                frame = next(container.decode(stream), None)
                if frame is not None:
                    found.append(cv2.resize(frame.to_ndarray(format="rgb24"), (_SIDE, _SIDE)))
    except (InputError, av.error.FFmpegError):
        return []
    return found
