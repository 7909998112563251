"""A file or a folder of annotations -> what happens in which video, in seconds from its first picture."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from refinevad.annotations import frigate
from refinevad.annotations.annotated import (
    AnnotatedVideo,
    Annotations,
    Format,
    Mark,
    MarkedVideo,
    Span,
    VideoFacts,
    Written,
)
from refinevad.annotations.choice import FORMATS, format_of
from refinevad.annotations.content import Content
from refinevad.annotations.known import KnownVideos, Names
from refinevad.errors import InputError
from refinevad.files.names import hint, same_letters, some
from refinevad.timeline import border_at, exact_rate, second_of

_RATES_DIFFER = Fraction(1, 1000)  # as 30 and 29.97 do


@dataclass
class _Gathered:
    """What was read so far, by video; what was left aside, by what it is."""

    spans: dict[str, list[Span]] = field(default_factory=dict)
    facts: dict[str, VideoFacts] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)
    rates: list[str] = field(default_factory=list)


def read_annotations(
    path: Path,
    videos: KnownVideos,
    formats: Sequence[Format] = FORMATS,
    rate: Fraction | None = None,
) -> Annotations:
    """Read a file of annotations, or all that lie in a folder.

    Frames become seconds by `rate`, else by the video's own, else by the file's. Times that a format rounds are put
    back to the frame they are of, where the rate is known.

    Raises:
        InputError: nothing there that is of one of `formats`, a file that is not as its format is, a name that may be
            of several videos, or frames of an unknown rate; one sentence with the file.
    """
    gathered, names = _Gathered(), Names(videos.paths)
    for content, format in _files(path, formats, gathered.left):
        written = format.read(content)
        if format is frigate.FORMAT:
            written = frigate.placed(written, videos.paths, str(content.path))
        gathered.left.update(written.left)
        if format.per_video and path.is_dir() and len(written.videos) == 1:
            _name_by_place(written, content.path.relative_to(path), names)
        for video in written.videos:
            _take(video, _Reading(content.path, format, videos, names, rate), gathered)
    found = [
        AnnotatedVideo(
            name,
            tuple(sorted(spans, key=lambda span: (span.start_s, span.end_s, span.category))),
            gathered.facts[name],
            gathered.splits.get(name, ""),
        )
        for name, spans in gathered.spans.items()
    ]
    if not found:
        raise InputError(f"{path} speaks of no video")
    return Annotations(tuple(found), tuple(_notes(path, gathered, videos)))


@dataclass(frozen=True)
class _Reading:
    """One file as it is read, and with what."""

    path: Path
    format: Format
    videos: KnownVideos
    names: Names
    rate: Fraction | None


def _files(path: Path, formats: Sequence[Format], left: Counter[str]) -> list[tuple[Content, Format]]:
    """Each file with its format; in a folder, files of none are counted."""
    suffixes = {format.suffix for format in formats}
    if not path.exists():
        raise InputError(f"annotations not found: {path}")
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    found = []
    for file in files:
        if path.is_dir() and file.suffix.lower() not in suffixes:
            continue
        content = Content(file)
        format = format_of(content, formats)
        if format is not None:
            found.append((content, format))
        elif path.is_dir():
            left["files of no known format"] += 1
    if not found:
        what = f"{path} holds no annotations" if path.is_dir() else f"{path} is of no known format"
        raise InputError(f"{what}: there are {', '.join(format.title for format in formats)}; --from names one")
    return found


def _name_by_place(written: Written, file: Path, names: Names) -> None:
    """Where the file's place in its folder is that of a video, it is that video's, whatever the file calls it."""
    place = file.with_suffix("").as_posix()
    if written.videos[0].name == file.stem or names.find(written.videos[0].name, str(file)) is None:
        written.videos[0].name = place


def _take(video: MarkedVideo, reading: _Reading, gathered: _Gathered) -> None:
    """Add one video of a file to what was gathered."""
    own = reading.names.find(video.name, str(reading.path))
    name = same_letters(video.name.replace("\\", "/")) if own is None else own
    if own is None and reading.videos.paths:
        gathered.unknown.append(name)
    facts = VideoFacts() if own is None else reading.videos.facts(own)
    stated = None if video.rate_hz is None else exact_rate(video.rate_hz)
    used = reading.rate or facts.rate or stated or reading.videos.rate_otherwise
    in_frames = any(mark.in_frames for mark in video.marks)
    if in_frames and used and stated and abs(used / stated - 1) > _RATES_DIFFER:
        gathered.rates.append(f"{name} ({float(stated):g} by {reading.path.name}, {float(used):g} taken)")
    facts = replace(facts, rate=used)
    spans = gathered.spans.setdefault(name, [])
    gathered.facts.setdefault(name, facts)
    if video.split:
        gathered.splits[name] = video.split
    for mark in video.marks:
        span = _span(mark, name, facts, reading)
        if span.end_s <= span.start_s:
            gathered.left["stretches that last no time"] += 1
        elif span in spans:
            gathered.left["stretches that stand twice"] += 1
        else:
            spans.append(span)


def _span(mark: Mark, name: str, facts: VideoFacts, reading: _Reading) -> Span:
    category = same_letters(" ".join(mark.category.split()))
    if mark.start < 0:
        raise InputError(f"{reading.path}: {category!r} in {name} begins at {mark.start:g}, before the video")
    if not mark.in_frames:
        start_s, end_s = (
            _on_frame(second, facts.rate, reading.format.resolution_s) for second in (mark.start, mark.end)
        )
        return Span(start_s, end_s, category, mark.score)
    if facts.rate is None:
        raise InputError(
            f"{reading.path}: {reading.format.title} counts frames, and neither the video {name} is at hand nor does "
            "the file say its frame rate: name the folder of the videos with --videos, or the rate with --rate"
        )
    if mark.start != int(mark.start) or mark.end != int(mark.end):
        raise InputError(f"{reading.path}: {mark.start:g} to {mark.end:g} in {name} are no whole frames")
    return Span(second_of(int(mark.start), facts.rate), second_of(int(mark.end), facts.rate), category, mark.score)


def _on_frame(second: float, rate: Fraction | None, resolution_s: float) -> float:
    """A rounded time as the beginning of the frame that it was rounded from, where there is one so near."""
    if rate is None or not resolution_s:
        return second
    exact = second_of(border_at(second, rate), rate)
    return exact if abs(exact - second) <= 0.5 * resolution_s + 1e-9 else second


def _notes(path: Path, gathered: _Gathered, videos: KnownVideos) -> list[str]:
    notes = [f"{path}: {count} {what} left aside" for what, count in sorted(gathered.left.items()) if count]
    if gathered.rates:
        notes.append(
            f"{path}: {len(gathered.rates)} videos have another frame rate than is written there: "
            f"{some(gathered.rates)}; --rate names the one that frames were counted by"
        )
    if gathered.unknown:
        named = [f"{name}{hint(name, videos.paths)}" for name in gathered.unknown[:3]] + gathered.unknown[3:]
        notes.append(f"{path}: {len(gathered.unknown)} of its videos are not there: {some(named)}")
    return notes
