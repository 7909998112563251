"""What is known of each video of a data set by its header, or by what its features remember of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from refinevad.datasets.annotated_set import root_of
from refinevad.datasets.dataset import INDEX, FeatureIndex, Item, survey
from refinevad.datasets.leaks import Digest, digest_of
from refinevad.errors import InputError
from refinevad.features.store import read_provenance
from refinevad.files.whole import sampled_sha256
from refinevad.video.reading import probe


@dataclass(frozen=True)
class VideoFacts:
    """One video that can be read; 0 where a number is not known."""

    item: Item
    duration_s: float
    rate_hz: float
    width: int
    height: int
    digest: Digest | None


@dataclass(frozen=True)
class SetFacts:
    """A data set.

    Attributes:
        root: where its videos lie.
        items: all it lists.
        videos: those that can be read.
        failed: a sentence for each of the others, by path.
        notes: what in its folder is not taken.
        index: its features, where DATA is a folder of them.
    """

    root: Path
    items: list[Item]
    videos: list[VideoFacts]
    failed: dict[str, str]
    notes: tuple[str, ...]
    index: FeatureIndex | None = None


def read_facts(data: Path, progress: Callable[[int], Callable[[], None]] | None = None) -> SetFacts:
    """Of a folder of videos, or of features. Raises InputError where it is no data set, or of published features."""
    index, notes = None, tuple[str, ...]()
    if (data / INDEX).exists():
        index = FeatureIndex.open(data)
        items = index.items
    else:
        found = survey(data)
        items, notes = found.items, found.notes
    if index is not None and index.published is not None:
        raise InputError(f"{data} holds features that others published, of which no video is known; train on it as is")
    step = progress(len(items)) if progress else None
    videos, failed = [], {}
    for item in items:
        try:
            videos.append(_of_video(root_of(data), item) if index is None else _of_features(index, item))
        except InputError as error:
            failed[item.path] = str(error)
        if step is not None:
            step()
    root = data if index is None else Path(index.source)
    return SetFacts(root, items, videos, failed, notes, index)


def _of_video(root: Path, item: Item) -> VideoFacts:
    path = root / item.path
    info = probe(path)
    digest = (path.stat().st_size, sampled_sha256(path))
    return VideoFacts(item, info.duration_s, info.rate_hz, info.width, info.height, digest)


def _of_features(index: FeatureIndex, item: Item) -> VideoFacts:
    path = index.path(item)
    source = read_provenance(path).source
    numbers = {name: source.get(name, 0) for name in ("duration_s", "rate_hz", "width", "height")}
    return VideoFacts(item, digest=digest_of(path), **numbers)
