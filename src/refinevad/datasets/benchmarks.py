"""The field's test sets: what they hold, and their splits. Their ground truth is judging/official_truth.py's."""

from dataclasses import dataclass
from pathlib import Path

from refinevad.datasets.labels import labels_of
from refinevad.errors import InputError
from refinevad.files.shown import short


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
