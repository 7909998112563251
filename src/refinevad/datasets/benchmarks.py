"""The field's test sets: what they hold, their splits, and their ground truth built from the official annotation.

Annotation text gives no frame counts. They come from whoever has the videos or features: `frames` maps each test
video, in the benchmark's order, to the frames judged (16 x its segments). A benchmark's truth is then checked
against its published totals by `check_totals`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from refinevad.datasets.npy import map_npy
from refinevad.errors import InputError
from refinevad.files.names import hint, some
from refinevad.files.shown import short
from refinevad.judging.annotation import (
    read_msad_annotation,
    read_ped2_annotation,
    read_ucf_annotation,
    read_xd_annotation,
)
from refinevad.judging.localisation import TrueSpan
from refinevad.judging.truth import FIELD_RULE, Ranges, Truth, VideoTruth, labels_of, merged, ranges_of
from refinevad.timeline import SegmentRule, Timeline


@dataclass(frozen=True)
class Benchmark:
    """A test set of the field; totals are None where the authors publish none that depend on no feature extractor.

    `checked` says what its numbers were held against.
    """

    key: str
    title: str
    source: str
    columns: tuple[str, ...]
    rate_hz: float
    train_videos: int
    test_videos: int
    test_frames: int | None
    anomalous_frames: int | None
    annotation: str
    train_anomalous: int
    test_anomalous: int
    split_files: tuple[str, ...]
    checked: str

    @property
    def categories(self) -> tuple[str, ...]:
        return self.columns[1:]


UCF_CRIME = Benchmark(
    key="ucf-crime",
    title="UCF-Crime",
    source="Sultani, Chen, Shah, CVPR 2018",
    columns=(
        "Normal",
        "Abuse",
        "Arrest",
        "Arson",
        "Assault",
        "Burglary",
        "Explosion",
        "Fighting",
        "RoadAccidents",
        "Robbery",
        "Shooting",
        "Shoplifting",
        "Stealing",
        "Vandalism",
    ),
    rate_hz=30.0,
    train_videos=1610,
    test_videos=290,
    test_frames=1_109_680,
    anomalous_frames=84_128,
    annotation="Temporal_Anomaly_Annotation.txt",
    train_anomalous=810,
    test_anomalous=140,
    split_files=("Anomaly_Train.txt", "Anomaly_Test.txt"),
    checked="official lists and annotation, and an independent truth, video by video",
)
XD_VIOLENCE = Benchmark(
    key="xd-violence",
    title="XD-Violence",
    source="Wu et al., ECCV 2020",
    columns=(
        "A",
        "B1",
        "B2",
        "B4",
        "B5",
        "B6",
        "G",
    ),  # normal, fighting, shooting, riot, abuse, car accident, explosion
    rate_hz=24.0,
    train_videos=3954,
    test_videos=800,
    test_frames=2_330_384,
    anomalous_frames=537_805,
    annotation="annotations.txt",
    train_anomalous=1905,
    test_anomalous=500,
    split_files=(),
    checked="test: official annotation, and an independent truth, video by video; training counts: not checked",
)
SHANGHAITECH = Benchmark(
    key="shanghaitech",
    title="ShanghaiTech (weakly supervised split)",
    source="Liu et al., CVPR 2018; split: Zhong et al., CVPR 2019",
    columns=("normal", "anomaly"),
    rate_hz=24.0,
    train_videos=238,
    test_videos=199,
    test_frames=140_112,
    anomalous_frames=7_874,
    annotation="sh-gt.npy",
    train_anomalous=63,
    test_anomalous=44,
    split_files=("train.list", "test.list"),
    checked="lists and frame truth as published with features by PEL4VAD",
)
MSAD = Benchmark(
    key="msad",
    title="MSAD",
    source="Zhu et al., NeurIPS 2024",
    columns=(
        "normal",
        "Assault",
        "Explosion",
        "Fighting",
        "Fire",
        "Object_falling",
        "People_falling",
        "Robbery",
        "Shooting",
        "Traffic_accident",
        "Vandalism",
        "Water_incident",
    ),
    rate_hz=30.0,
    train_videos=480,
    test_videos=240,
    test_frames=None,
    anomalous_frames=None,
    annotation="anomaly_annotation.csv",
    train_anomalous=120,
    test_anomalous=120,
    split_files=(),
    checked="split: protocol ii of the authors' page; no annotation file and no list of categories was at hand",
)
UCSD_PED2 = Benchmark(
    key="ucsd-ped2",
    title="UCSD Ped2",
    source="Mahadevan et al., CVPR 2010",
    columns=("normal", "anomaly"),
    rate_hz=10.0,
    train_videos=16,
    test_videos=12,
    test_frames=2_010,
    anomalous_frames=1_648,
    annotation="UCSDped2.m",
    train_anomalous=0,
    test_anomalous=12,
    split_files=(),
    checked="videos: papers' tables; anomalous frames: UCSDped2.m as others copy it; test frames: not checked",
)
BENCHMARKS = (UCF_CRIME, XD_VIOLENCE, SHANGHAITECH, MSAD, UCSD_PED2)


# --- splits ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SplitEntry:
    """A video of a split with its labels; none: normal. Categories are unknown where a list says only "anomaly"."""

    name: str
    labels: tuple[str, ...]


def read_ucf_split(path: Path) -> tuple[SplitEntry, ...]:
    """Anomaly_Train.txt or Anomaly_Test.txt: one `folder/name.mp4` a line; other folders than categories are normal.

    Raises:
        InputError: a line without a folder.
    """
    entries = []
    for number, line in _lines(path):
        folder, _, file = line.partition("/")
        if not file:
            raise InputError(f"{path}, line {number}: expected folder/name.mp4, got {line!r}")
        if folder not in UCF_CRIME.categories and "normal" not in folder.lower():
            raise InputError(f"{path}, line {number}: {folder!r} is neither a category of UCF-Crime nor normal")
        labels = (folder,) if folder in UCF_CRIME.categories else ()
        entries.append(SplitEntry(Path(file).name.removesuffix(".mp4"), labels))
    return tuple(entries)


def xd_labels(name: str) -> tuple[str, ...]:
    """Labels that an XD-Violence video carries in its name: `..._label_B2-G-0` -> B2, G; `..._label_A` -> none.

    Raises:
        InputError: a name without a known label.
    """
    _, marker, label = name.rpartition("_label_")
    if not marker:
        raise InputError(f"{name!r} has no label in its name; XD-Violence's end in _label_A, _label_B1-0-0 and so on")
    return labels_of(label, XD_VIOLENCE.columns, name)


def read_shanghaitech_split(path: Path) -> tuple[SplitEntry, ...]:
    """train.list or test.list: feature files `folder/<video>_<crop>.npy`, a video's crops together; one entry a video.

    A four-digit video number marks the original test set, whose videos all hold an anomaly. A label in the list's
    second column must say the same.

    Raises:
        InputError: a line of another form, or a label that contradicts the name.
    """
    entries: dict[str, SplitEntry] = {}
    for number, line in _lines(path):
        file, _, label = line.partition(" ")
        name = Path(file).stem.rpartition("_")[0]
        video = name.rpartition("_")[2]
        if not (Path(file).suffix == ".npy" and video.isdigit()):
            raise InputError(f"{path}, line {number}: expected folder/<camera>_<video>_<crop>.npy, got {line!r}")
        anomalous = len(video) == 4
        if label.strip() and _is_above_0(label, f"{path}, line {number}") != anomalous:
            raise InputError(f"{path}, line {number}: label {label.strip()} contradicts the name {name!r}")
        entries[name] = SplitEntry(name, SHANGHAITECH.categories if anomalous else ())
    return tuple(entries.values())


def _is_above_0(label: str, where: str) -> bool:
    try:
        return float(label) > 0
    except ValueError:
        raise InputError(f"{where}: the label must be a number, 0 for normal; got {short(label.strip())}") from None


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"split cannot be read: {path} ({error})") from error
    lines = enumerate(text.replace("\\", "/").splitlines(), start=1)
    return [(i, line.strip()) for i, line in lines if line.strip()]


# --- ground truth ------------------------------------------------------------------------------------------


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


def check_totals(truth: Truth, benchmark: Benchmark) -> None:
    """Refuse a test set whose videos or frames are not the benchmark's.

    Raises:
        InputError: the first total that differs.
    """
    totals = (
        ("videos", len(truth.videos), benchmark.test_videos),
        ("frames", truth.frames, benchmark.test_frames),
        ("anomalous frames", truth.anomalous_frames, benchmark.anomalous_frames),
    )
    for what, found, published in totals:
        if published is not None and found != published:
            raise InputError(f"{benchmark.title} has {published:,} test {what}, these are {found:,}")
