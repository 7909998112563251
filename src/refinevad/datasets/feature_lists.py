"""Which published file is which crop of which video, in which split, by lists and names.

Lists: VadCLIP's CSV `path,label`, or a path a line, with or without a 0/1 behind it. Paths in them are another
machine's: a file is found by the end of its path. Without lists the benchmark's own split decides, and where that is
not at hand (XD-Violence, MSAD) whether a folder's name holds "test".

Names: `<video>__<crop>.npy`, ShanghaiTech's `<video>_<crop>.npy`; without a number `<video>.npy` or `<video>_i3d.npy`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from refinevad.datasets.benchmarks import (
    MSAD,
    SHANGHAITECH,
    UCF_CRIME,
    XD_VIOLENCE,
    Benchmark,
    read_shanghaitech_split,
    read_ucf_split,
    xd_labels,
)
from refinevad.datasets.labels import labels_of
from refinevad.errors import InputError
from refinevad.files.names import hint, some

TRAIN, TEST = "train", "test"
_VIDEO = ".mp4"
_OFFICIAL = {
    UCF_CRIME.key: (read_ucf_split, "Anomaly_Train.txt", "Anomaly_Test.txt"),
    SHANGHAITECH.key: (read_shanghaitech_split, "train.list", "test.list"),
}


@dataclass(frozen=True)
class ListedFile:
    """A file with the split it belongs to and, where a list says it, the label of its video."""

    path: Path
    split: str
    label: str | None = None


@dataclass(frozen=True)
class ListedVideo:
    """A video's files by crop (None: its only one, without a number), in the lists' order, and its labels."""

    name: str
    split: str
    labels: tuple[str, ...]
    files: dict[int | None, Path]


def read_feature_list(path: Path) -> tuple[tuple[str, str | None], ...]:
    """(path, label) of each line: VadCLIP's CSV `path,label`; or a path a line, with or without a 0/1 behind a blank.

    A path is a .npy file's, or an .mp4 video's as official lists have it. The 0/1 is left aside: names say the
    category. Paths keep their `/`; `\\` becomes one.

    Raises:
        InputError: unreadable, empty, or a line that names no such file.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"list cannot be read: {path} ({error})") from error
    entries = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or (number == 1 and text.replace(" ", "") == "path,label"):
            continue
        found = re.fullmatch(r"(.+\.(?:npy|mp4))(?:,\s*(?P<label>[^,]+)|\s+[\d.]+)?", text)
        if found is None:
            raise InputError(
                f"{path}, line {number}: expected a path to a .npy file or an .mp4 video, or path,label, got {text!r}"
            )
        entries.append((found[1].replace("\\", "/"), found["label"]))
    if not entries:
        raise InputError(f"{path} lists no features")
    return tuple(entries)


def from_lists(
    lists: Mapping[str, Path], files: Sequence[Path], folder: Path, benchmark: Benchmark
) -> tuple[list[ListedFile], tuple[str, ...]]:
    """The files that lists name, by split, and what to tell of lines that say nothing new.

    A line that names a video (`Abuse/Abuse001_x264.mp4`) means all of its crops.

    Raises:
        InputError: a file that `folder` does not hold, or holds twice.
    """
    found: list[ListedFile] = []
    notes = []
    for split, path in lists.items():
        listed = list(_from_list(path, split, files, folder, benchmark))
        once = list(dict.fromkeys(listed))
        if len(once) < len(listed):
            notes.append(f"{path} lists {len(listed) - len(once)} files more than once; each is taken once")
        found += once
    return found, tuple(notes)


def has_official_split(benchmark: Benchmark) -> bool:
    """Whether the authors publish the split as text that `from_official` reads."""
    return benchmark.key in _OFFICIAL


def from_folders(files: Sequence[Path], folder: Path) -> list[ListedFile]:
    """Split by folders' names: those below one that holds "test" are for testing."""
    return [ListedFile(path, _folder_split(path.relative_to(folder))) for path in files]


def _from_list(
    path: Path, split: str, files: Sequence[Path], folder: Path, benchmark: Benchmark
) -> Iterable[ListedFile]:
    """Find each listed file by its path as it stands, or by the end of its path under the folder."""
    by_name: dict[str, list[Path]] = {}
    by_video: dict[str, list[Path]] = {}
    for file in files:
        by_name.setdefault(file.name, []).append(file)
        by_video.setdefault(video_and_crop(file.stem, benchmark)[0], []).append(file)
    absent = []
    for text, label in read_feature_list(path):
        if text.endswith(_VIDEO):
            crops = by_video.get(PurePosixPath(text).stem, [])
            if not crops:
                absent.append(text)
            yield from (ListedFile(file, split, label) for file in crops)
            continue
        candidates = by_name.get(PurePosixPath(text).name, [])
        if len(candidates) > 1:
            wanted = PurePosixPath(text).parts
            shared = [_common_end(file.parts, wanted) for file in candidates]
            candidates = [file for file, count in zip(candidates, shared, strict=True) if count == max(shared)]
        if len(candidates) > 1:
            raise InputError(f"{path} lists {text}, which {candidates[0]} and {candidates[1]} both may be; rename one")
        if candidates:
            yield ListedFile(candidates[0], split, label)
        else:
            absent.append(text)
    if absent:
        raise InputError(
            f"{path} lists {len(absent)} files that {folder} does not hold, {absent[0]} first"
            f"{hint(PurePosixPath(absent[0]).name, by_name)}; "
            "complete the folder or shorten the list"
        )


def _common_end(ours: Sequence[str], theirs: Sequence[str]) -> int:
    count = 0
    for a, b in zip(reversed(ours), reversed(theirs), strict=False):
        if a != b:
            break
        count += 1
    return count


def from_official(benchmark: Benchmark, data: Path, files: Sequence[Path]) -> tuple[list[ListedFile], tuple[str, ...]]:
    """The files named after videos of the official split, found in `data`, and what to tell of the others.

    Raises:
        InputError: the split is not in `data`, or no file is named after one of its videos.
    """
    read, *names = _OFFICIAL[benchmark.key]
    missing = [name for name in names if not (data / name).exists()]
    if missing:
        raise InputError(
            f"{benchmark.title}'s split is not in {data} ({missing[0]} is missing); put it there, or name lists"
        )
    split_of = {
        entry.name: split for split, name in zip((TRAIN, TEST), names, strict=True) for entry in read(data / name)
    }
    listed = [
        ListedFile(path, split_of[name])
        for path in files
        if (name := video_and_crop(path.stem, benchmark)[0]) in split_of
    ]
    if not listed:
        raise InputError(f"no file is named after a video of {benchmark.title}; the first is {files[0].name}")
    notes = []
    if len(listed) < len(files):
        notes.append(f"{len(files) - len(listed)} files belong to no video of {benchmark.title} and are left aside")
    present = {video_and_crop(entry.path.stem, benchmark)[0] for entry in listed}
    absent = [name for name in split_of if name not in present]
    if absent:
        notes.append(f"{len(absent)} videos of {benchmark.title} have no features: {some(absent)}")
    return listed, tuple(notes)


def _folder_split(path: Path) -> str:
    return TEST if any(TEST in part.lower() for part in path.parts[:-1]) else TRAIN


def video_and_crop(stem: str, benchmark: Benchmark) -> tuple[str, int | None]:
    """A file's video and crop by its name: `Abuse001_x264__3` -> Abuse001_x264, 3; `Abuse001_x264_i3d` -> None."""
    patterns = [r"(.+)__(\d+)"]
    if benchmark is SHANGHAITECH:
        patterns.append(r"(\d+_\d{3,4})_(\d+)")
    for pattern in patterns:
        if found := re.fullmatch(pattern, stem):
            return _bare(found[1]), int(found[2])
    return _bare(stem), None


def _bare(name: str) -> str:
    return name.removesuffix("_i3d").removesuffix(".mp4")


def labels_by_name(name: str, benchmark: Benchmark) -> tuple[str, ...]:
    """The labels a benchmark's video carries in its name; none: normal.

    Raises:
        InputError: a name that says neither a category nor normal.
    """
    if benchmark is XD_VIOLENCE:
        return xd_labels(name)
    if benchmark is SHANGHAITECH:
        if not re.fullmatch(r"\d+_\d{3,4}", name):
            raise InputError(f"{name!r} is no video of ShanghaiTech, whose names are like 01_0014")
        return SHANGHAITECH.categories if len(name.partition("_")[2]) == 4 else ()
    category = name.rpartition("_")[0] if benchmark is MSAD else re.match(r"[A-Za-z]*", name)[0]  # type: ignore[index]
    if category in benchmark.categories:
        return (category,)
    if "normal" in name.lower():
        return ()
    raise InputError(f"{name!r} begins with no category of {benchmark.title} and is not called normal")


def by_video(listed: Sequence[ListedFile], benchmark: Benchmark) -> list[ListedVideo]:
    """Files put together by video, in the lists' order.

    Raises:
        InputError: a video in both splits, a crop twice, or a label that contradicts the video's name.
    """
    videos: dict[str, ListedVideo] = {}
    for entry in listed:
        name, crop = video_and_crop(entry.path.stem, benchmark)
        if name not in videos:
            videos[name] = ListedVideo(name, entry.split, labels_by_name(name, benchmark), {})
        video = videos[name]
        if video.split != entry.split:
            raise InputError(f"{name} is listed both for training and for testing; keep one")
        if entry.label is not None:
            said = labels_of(entry.label, benchmark.columns, f"list: {entry.path.name}")
            if set(said) != set(video.labels):
                raise InputError(f"{entry.path.name} is listed as {entry.label!r}, which its name contradicts")
        if crop in video.files:
            raise InputError(f"{video.files[crop]} and {entry.path} are the same crop of {name}; keep one")
        video.files[crop] = entry.path
    return list(videos.values())
