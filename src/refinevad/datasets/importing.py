"""Published feature files -> a feature folder that reads them in place: headers are looked at, values are not.

Layouts, told apart by name and shape, never asked for:
- a file a crop, T x C: VadCLIP, UR-DMU, PEL4VAD (whose UCF-Crime has no number on crop 0), XD-Violence's own;
- a file a video, T x crops x C (RTFM's ten-crop I3D), crops x T x C, or T x C;
- audio beside either: `<video>__vggish.npy`, T' x 128.
No file of temporal truth is opened here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from refinevad.datasets.benchmarks import (
    BENCHMARKS,
    MSAD,
    SHANGHAITECH,
    UCF_CRIME,
    XD_VIOLENCE,
    Benchmark,
)
from refinevad.datasets.crop_axis import crop_axis_of
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.datasets.feature_lists import (
    TEST,
    TRAIN,
    ListedVideo,
    by_video,
    from_folders,
    from_lists,
    from_official,
    has_official_split,
)
from refinevad.datasets.npy import open_npy
from refinevad.datasets.published import PublishedSet, PublishedVideo, audio_rows
from refinevad.errors import InputError
from refinevad.files.names import some

IMPORTABLE = tuple(benchmark.key for benchmark in (UCF_CRIME, XD_VIOLENCE, SHANGHAITECH, MSAD))
DEFAULT_ENCODER_NAME = "published"
_VGGISH = "__vggish"


@dataclass(frozen=True)
class ImportRequest:
    """What a person says of published features; recipes say it in [features].

    Attributes:
        folder: holds the `.npy` files, at any depth.
        benchmark: key of the benchmark they belong to.
        train_list, test_list: lists of files; None: the official split, or folders' names.
        audio: folder of VGGish files; None: no audio, whatever lies in `folder`.
        train_crop: the one crop to train on; None: each.
        test_crop: the one crop to test on; None: the mean of all crops' scores.
    """

    folder: Path
    benchmark: str
    train_list: Path | None = None
    test_list: Path | None = None
    audio: Path | None = None
    train_crop: int | None = None
    test_crop: int | None = None


@dataclass(frozen=True)
class Imported:
    """What was found: the index of what can be used, a sentence a video that cannot, and what else to know."""

    index: FeatureIndex
    failed: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Seen:
    """A video by its files' headers: its widths (picture, audio), and what to tell of lengths that differ."""

    video: PublishedVideo
    width: tuple[int, int]
    adjusted: tuple[str, ...]


def benchmark_of(key: str) -> Benchmark:
    """Raises InputError for a benchmark there is no importer for."""
    if key not in IMPORTABLE:
        raise InputError(f"no importer for benchmark {key!r}; there are {', '.join(IMPORTABLE)}")
    return next(benchmark for benchmark in BENCHMARKS if benchmark.key == key)


def import_features(
    request: ImportRequest,
    data: Path,
    out: Path,
    encoder: str = DEFAULT_ENCODER_NAME,
    progress: Callable[[int], Callable[[], None]] | None = None,
) -> Imported:
    """Find every video's files, look at their headers, and write the index `out/dataset.json`; values stay unread.

    `data` holds the benchmark's official lists and, for evaluation, its truth.

    Raises:
        InputError: no features, a list that does not fit, labels that contradict, features of different widths.
    """
    benchmark = benchmark_of(request.benchmark)
    videos, notes = _find(request, benchmark, data)
    audio = None if request.audio is None else _audio_files(request.audio)
    axis = crop_axis_of(file for video in videos if len(video.files) == 1 for file in video.files.values())
    step = progress(len(videos)) if progress else None
    seen: dict[str, _Seen] = {}
    failed: dict[str, str] = {}
    for video in videos:
        path = f"{video.split}/{video.name}.npy"
        try:
            seen[path] = _look_at(request, video, audio, axis)
        except InputError as error:
            failed[path] = str(error)
        if step:
            step()
    if not seen:
        raise InputError(f"none of the {len(videos)} videos can be used; the first: {next(iter(failed.values()))}")
    channels, audio_channels = _one_width([each.width for each in seen.values()])
    published = PublishedSet(
        str(request.folder.resolve()),
        str(request.audio.resolve()) if request.audio else "",
        benchmark.rate_hz,
        channels,
        audio_channels,
        request.train_crop,
        request.test_crop,
        {path: each.video for path, each in seen.items()},
    )
    labels = {f"{video.split}/{video.name}.npy": video for video in videos}
    items = [Item(path, labels[path].labels, labels[path].split) for path in seen]
    index = FeatureIndex(out, items, encoder, str(data.resolve()), published)
    index.save()
    adjusted = (sentence for each in seen.values() for sentence in each.adjusted)
    if any(each.video.axis == 0 for each in seen.values()):
        notes = (*notes, "crops lie on the first axis of the files: crops x segments x channels")
    return Imported(index, failed, (*notes, *_counts(index, benchmark), *_crop_notes(published.videos), *adjusted))


def _find(request: ImportRequest, benchmark: Benchmark, data: Path) -> tuple[list[ListedVideo], tuple[str, ...]]:
    """The videos there are features of, and what to tell of files left aside."""
    if not request.folder.is_dir():
        raise InputError(f"features not found: {request.folder} is not a folder")
    files = sorted(path for path in request.folder.rglob("*.npy") if not path.stem.endswith(_VGGISH))
    if not files:
        raise InputError(f"no features in {request.folder}: it holds no .npy file but audio")
    lists = {TRAIN: request.train_list, TEST: request.test_list}
    named = {split: path for split, path in lists.items() if path is not None}
    notes: tuple[str, ...] = ()
    if named:
        listed, notes = from_lists(named, files, request.folder, benchmark)
    elif has_official_split(benchmark):
        listed, notes = from_official(benchmark, data, files)
    else:
        listed = from_folders(files, request.folder)
    return by_video(listed, benchmark), notes


def _audio_files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"audio not found: {folder} is not a folder")
    files = {path.stem.removesuffix(_VGGISH): path for path in sorted(folder.rglob(f"*{_VGGISH}.npy"))}
    if not files:
        raise InputError(f"no audio in {folder}: it holds no <video>{_VGGISH}.npy")
    return files


def _one_width(widths: Sequence[tuple[int, int]]) -> tuple[int, int]:
    counts = Counter(widths)
    if len(counts) > 1:
        told = ", ".join(f"{count} of {' + '.join(map(str, width))}" for width, count in counts.most_common())
        raise InputError(f"videos differ in channels (picture + audio): {told}; import them apart")
    return widths[0]


def _look_at(request: ImportRequest, video: ListedVideo, audio: Mapping[str, Path] | None, axis: int) -> _Seen:
    """One video from its files' headers. Raises InputError where its files do not make one video."""
    name = video.name
    shapes = [open_npy(path).shape for path in video.files.values()]
    if any(len(shape) != len(shapes[0]) or shape[1:] != shapes[0][1:] for shape in shapes):
        raise InputError(f"{name}: its crops differ in shape, {' and '.join(map(str, sorted(set(shapes))))}")
    axes = len(shapes[0])
    if axes not in (2, 3) or (axes == 3 and len(shapes) > 1):
        first = next(iter(video.files.values()))
        raise InputError(f"{first} has shape {shapes[0]}; expected segments x channels, or segments x crops x channels")
    if None in video.files and 0 in video.files:
        raise InputError(f"{name} has both a file without a crop's number and crop 0; keep one")
    adjusted = []
    if axes == 3 and axis == 0:
        shapes = [(shapes[0][1], shapes[0][0], shapes[0][2])]
    segments = min(shape[0] for shape in shapes)
    if any(shape[0] != segments for shape in shapes):
        lengths = ", ".join(str(shape[0]) for shape in shapes)
        adjusted.append(f"{name}: its crops have {lengths} segments; the first {segments} of each are used")
    width, file = 0, None
    if audio is not None and request.audio is not None:
        if name not in audio:
            raise InputError(f"{name} has no audio: {name}{_VGGISH}.npy is missing")
        rows = open_npy(audio[name]).shape
        if len(rows) != 2:
            raise InputError(f"{audio[name]} has shape {rows}; expected rows x channels")
        width, file = rows[1], audio[name].relative_to(request.audio).as_posix()
        if rows[0] != segments:
            adjusted.append(f"{name}: {rows[0]} audio rows for {segments} segments: {_audio_words(segments, rows[0])}")
    numbered = {crop or 0: path.relative_to(request.folder).as_posix() for crop, path in video.files.items()}
    places = shapes[0][1] if axes == 3 else 0
    seen = PublishedVideo(dict(sorted(numbered.items())), places, segments, file, axis if places else 1)
    return _Seen(seen, (shapes[0][-1], width), tuple(adjusted))


def _audio_words(segments: int, rows: int) -> str:
    paired = min(segments, rows)
    if (audio_rows(segments, rows)[:paired] == np.arange(paired)).all():
        return "surplus rows are left out" if rows > segments else "the last row is repeated"
    return "each segment takes the row at its middle"


def _counts(index: FeatureIndex, benchmark: Benchmark) -> Iterable[str]:
    for split, published in ((TRAIN, benchmark.train_videos), (TEST, benchmark.test_videos)):
        found = sum(item.split == split for item in index.items)
        if found != published:
            yield f"{benchmark.title} has {published:,} {split} videos, these are {found:,}"


def _crop_notes(videos: Mapping[str, PublishedVideo]) -> Iterable[str]:
    """Videos with another set of crops than their split's most common one."""
    for split in (TRAIN, TEST):
        kinds: dict[tuple[int, ...], list[str]] = {}
        for path, video in videos.items():
            if path.startswith(f"{split}/"):
                kinds.setdefault(tuple(video.numbers()), []).append(path)
        usual = max(kinds, key=lambda kind: len(kinds[kind]), default=())
        for kind, paths in kinds.items():
            if kind != usual:
                yield f"{len(paths)} {split} videos have {len(kind)} crops, others {len(usual)}: {some(paths)}"
