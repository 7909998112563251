"""Arrays that other software made -> a folder of features that trains, and is judged, as refinevad's own are."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from refinevad.datasets.dataset import EVENTS_FILE, HERE, NORMAL, FeatureIndex, Item, check_names
from refinevad.datasets.folders import SPLITS, split_named
from refinevad.encoders.base import EncoderIdentity
from refinevad.encoders.choice import FOREIGN
from refinevad.errors import InputError
from refinevad.features.store import features_of, save_features
from refinevad.files.whole import atomic_write
from refinevad.timeline import SegmentRule


@dataclass(frozen=True)
class Video:
    """One video's features, and what is known of it.

    Attributes:
        name: its path in the set, such as `camera 3/0815`; another one for every video.
        values: Float[np.ndarray, "segment channel"], a row for each segment, one behind the other from its beginning.
        labels: names of the anomalies in it; none: it is normal.
        split: train, val or test.
        events: what happens when, for test videos alone: (start_s, end_s, label). Training never looks at it.
        rate_hz: its frames a second; needed where segments are so many frames.
    """

    name: str
    values: np.ndarray
    labels: Sequence[str] = ()
    split: str = "train"
    events: Sequence[tuple[float, float, str]] = ()
    rate_hz: float | None = None


def write_features(
    folder: str | PathLike[str],
    videos: Iterable[Video],
    name: str,
    *,
    segment_s: float | None = None,
    segment_frames: int | None = None,
) -> Path:
    """Write a folder of features that `train` and `evaluate` take in a data set's place.

    Values are stored as float16 where all are below 60,000. Videos are taken one by one: an iterator never has two in
    memory. With events of any video there is an events.csv too. The folder may be moved.

    Args:
        folder: made where it is not there; one that holds features already is refused.
        videos: in any order.
        name: what the features are called; a model takes features of an equal name alone.
        segment_s: seconds a segment; or
        segment_frames: frames a segment, which needs every video's rate.

    Returns:
        The folder.

    Raises:
        InputError: neither or both lengths, no video, two of one name or of different widths, values that are no
            numbers, an unknown split, or events that do not last.
    """
    root, rule = Path(folder), SegmentRule(seconds=segment_s, frames=segment_frames)
    index = FeatureIndex(root, [], f"{FOREIGN}{name}", HERE)
    if not name.strip():
        raise InputError("features need a name, by which a model knows them again")
    if (root / "dataset.json").exists():
        raise InputError(f"{root} already holds features; choose another folder, or delete it")
    signature: dict[str, Any] = {"encoder": EncoderIdentity(name, "").as_dict(), "rule": rule.as_dict()}
    rows: list[tuple[str, float, float, str]] = []
    width, known = 0, dict[str, Item]()
    for video in videos:
        item = _item(video)
        if (other := known.setdefault(item.name, item)) is not item:
            check_names(root, [other, item])
        features = features_of(np.asarray(video.values), signature, rule, video.name, video.rate_hz)
        width = width or features.values.shape[1]
        if features.values.shape[1] != width:
            raise InputError(f"{video.name} has {features.values.shape[1]} numbers a segment, others have {width}")
        rows += [_row(video, event) for event in video.events]
        index.items.append(item)
        save_features(index.path(item), features)
    if not index.items:
        raise InputError(f"no video to write into {root}: give at least one")
    if rows:
        with atomic_write(root / EVENTS_FILE) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("path", "start_s", "end_s", "category"), *rows])
    index.save()
    return root


def _item(video: Video) -> Item:
    path = Path(video.name)
    if not video.name or path.is_absolute() or ".." in path.parts or "\0" in video.name:
        raise InputError(f"a video's name is a path inside its set: got {video.name!r}")
    split = split_named(video.split)
    if split is None:
        raise InputError(f"the split of {video.name} is none of {', '.join(SPLITS)}: got {video.split!r}")
    if isinstance(video.labels, str):
        raise InputError(f"the labels of {video.name} are a list of names: got {video.labels!r}")
    labels = tuple(dict.fromkeys(label for label in video.labels if label.lower() != NORMAL))
    return Item(path.as_posix(), labels, split)


def _row(video: Video, event: tuple[float, float, str]) -> tuple[str, float, float, str]:
    start_s, end_s, label = event
    if not 0 <= start_s < end_s < np.inf:
        raise InputError(f"an event of {video.name} must last, in seconds from its beginning: got {start_s} to {end_s}")
    return (Path(video.name).as_posix(), float(start_s), float(end_s), label)
