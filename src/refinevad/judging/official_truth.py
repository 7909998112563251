"""The benchmarks' ground truth, built from their official annotation (annotation.py).

Annotation text gives no frame counts. They come from whoever has the videos or features: `frames` maps each test
video, in the benchmark's order, to the frames judged (16 x its segments). tests/test_benchmarks.py holds the whole of a
benchmark to its published totals.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from refinevad.datasets.benchmarks import (
    BENCHMARKS,
    MSAD,
    SHANGHAITECH,
    UCF_CRIME,
    UCSD_PED2,
    XD_VIOLENCE,
    Benchmark,
    read_shanghaitech_split,
    xd_labels,
)
from refinevad.datasets.labels import labels_of
from refinevad.datasets.npy import map_npy
from refinevad.errors import InputError
from refinevad.files.names import hint, some
from refinevad.judging.annotation import (
    read_msad_annotation,
    read_ped2_annotation,
    read_ucf_annotation,
    read_xd_annotation,
)
from refinevad.judging.localisation import TrueSpan
from refinevad.judging.truth import FIELD_RULE, Ranges, Truth, VideoTruth, merged, ranges_of
from refinevad.timeline import SegmentRule, Timeline


def ucf_crime_truth(annotation: Path, frames: Mapping[str, int], rule: SegmentRule = FIELD_RULE) -> Truth:
    """Truth from Temporal_Anomaly_Annotation.txt. Raises InputError for a video the annotation lacks."""
    known = read_ucf_annotation(annotation)
    videos = []
    for name, count in frames.items():
        if name not in known:
            raise InputError(f"{annotation} has no line for {name!r}{hint(name, known)}; use the benchmark's own names")
        label, ranges = known[name]
        labels = labels_of(label, UCF_CRIME.columns, f"{annotation}: {name}")
        videos.append(_video(UCF_CRIME, name, labels, count, ranges, rule))
    ranges_of_all = {name: ranges for name, (_, ranges) in known.items()}
    return Truth(UCF_CRIME.columns, tuple(videos), _notes(annotation, ranges_of_all, frames))


def xd_violence_truth(annotation: Path, frames: Mapping[str, int], rule: SegmentRule = FIELD_RULE) -> Truth:
    """Truth from annotations.txt and the labels in the names.

    The text does not say which of a video's labels an interval has: spans are built for videos of one label alone, so
    mAP on multi-label videos needs `test_truth.json`.

    Raises:
        InputError: an anomalous video without a line.
    """
    known = read_xd_annotation(annotation)
    videos = []
    for name, count in frames.items():
        labels = xd_labels(name)
        if labels and name not in known:
            raise InputError(
                f"{annotation} has no line for {name!r}, which its name says is anomalous{hint(name, known)}"
            )
        videos.append(_video(XD_VIOLENCE, name, labels, count, known.get(name, ()), rule))
    return Truth(XD_VIOLENCE.columns, tuple(videos), _notes(annotation, known, frames))


def msad_truth(annotation: Path, frames: Mapping[str, int], rule: SegmentRule = FIELD_RULE) -> Truth:
    """Truth from anomaly_annotation.csv; a video without a row is normal, an anomalous one's name says its category."""
    known = read_msad_annotation(annotation)
    videos = []
    for name, count in frames.items():
        category = name.rpartition("_")[0]
        if name in known and category not in MSAD.categories:
            raise InputError(f"{annotation}: {name!r} does not begin with a category of MSAD")
        labels = (category,) if name in known else ()
        videos.append(_video(MSAD, name, labels, count, known.get(name, ()), rule))
    return Truth(MSAD.columns, tuple(videos), _notes(annotation, known, frames))


def ucsd_ped2_truth(annotation: Path, frames: Mapping[str, int], rule: SegmentRule = FIELD_RULE) -> Truth:
    """Truth from UCSDped2.m: its n-th entry is the video Test00n; videos of other names are normal."""
    known = read_ped2_annotation(annotation)
    videos = [
        _video(UCSD_PED2, name, UCSD_PED2.categories if name in known else (), count, known.get(name, ()), rule)
        for name, count in frames.items()
    ]
    return Truth(UCSD_PED2.columns, tuple(videos), _notes(annotation, known, frames))


def shanghaitech_truth(annotation: Path, frames: Mapping[str, int], rule: SegmentRule = FIELD_RULE) -> Truth:
    """Truth from the frame array of all test videos end to end, in the order of test.list, cut by `frames`.

    Raises:
        InputError: the frames do not add up to the array's length, or a normal video has anomalous frames.
    """
    mask = _frame_mask(annotation)
    if sum(frames.values()) != len(mask):
        raise InputError(
            f"{annotation} has {len(mask)} frames, the videos {sum(frames.values())}; give 16 x segments, in list order"
        )
    videos, offset = [], 0
    for name, count in frames.items():
        labels = SHANGHAITECH.categories if len(name.rpartition("_")[2]) == 4 else ()
        ranges = ranges_of(mask[offset : offset + count])
        videos.append(_video(SHANGHAITECH, name, labels, count, ranges, rule))
        offset += count
    return Truth(SHANGHAITECH.columns, tuple(videos))


def _frame_mask(path: Path) -> Bool[np.ndarray, "frame"]:
    values = map_npy(path)
    if values.ndim != 1 or values.dtype.kind not in "fiub" or not np.isin(values, (0, 1)).all():
        raise InputError(f"{path} must hold one 0 or 1 a frame, not {values.dtype} of shape {values.shape}")
    return np.asarray(values > 0)


def _video(
    benchmark: Benchmark,
    name: str,
    labels: tuple[str, ...],
    frames: int,
    ranges: tuple[tuple[int, int], ...],
    rule: SegmentRule,
) -> VideoTruth:
    if ranges and not labels:
        raise InputError(f"{benchmark.title}: {name!r} is normal, yet frames of it are marked anomalous")
    spans = tuple(TrueSpan(start, end, labels[0]) for start, end in ranges) if len(labels) == 1 else ()
    timeline = Timeline.uniform(frames, benchmark.rate_hz, rule)
    return VideoTruth(name, labels, timeline, spans, merged(ranges, frames))


def _notes(annotation: Path, known: Mapping[str, Ranges], frames: Mapping[str, int]) -> tuple[str, ...]:
    """What the annotation says of videos that are not here, and of frames past the end of those that are."""
    absent = [name for name in known if name not in frames]
    beyond = [name for name in frames if any(start >= frames[name] for start, _ in known.get(name, ()))]
    notes = []
    if absent:
        notes.append(f"{annotation}: {len(absent)} of its videos are not here and not judged: {some(absent)}")
    if beyond:
        notes.append(f"{annotation}: {len(beyond)} videos have events after their last frame: {some(beyond)}")
    return tuple(notes)


def has_annotation(folder: Path) -> bool:
    """Whether a benchmark's official annotation lies in a folder."""
    return any((folder / benchmark.annotation).exists() for benchmark in BENCHMARKS)


def official_truth(folder: Path, frames: Mapping[str, int]) -> Truth | None:
    """Truth of the videos in `frames` from the official annotation in a benchmark's folder; None where there is none.

    ShanghaiTech's array counts on the order of test.list, which is read where it lies beside it.

    Raises:
        InputError: the annotation does not fit the videos.
    """
    build = {
        UCF_CRIME: ucf_crime_truth,
        XD_VIOLENCE: xd_violence_truth,
        SHANGHAITECH: shanghaitech_truth,
        MSAD: msad_truth,
        UCSD_PED2: ucsd_ped2_truth,
    }
    for benchmark, truth_from in build.items():
        if not (folder / benchmark.annotation).exists():
            continue
        if benchmark is SHANGHAITECH and (folder / "test.list").exists():
            order = [entry.name for entry in read_shanghaitech_split(folder / "test.list")]
            frames = {name: frames[name] for name in order if name in frames}
        return truth_from(folder / benchmark.annotation, frames)
    return None
