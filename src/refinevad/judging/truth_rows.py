"""Rows of events.csv -> the videos they are of: a row that would pass unseen is refused, or left aside and counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from refinevad.datasets.labels import NORMAL_NAMES
from refinevad.errors import InputError
from refinevad.files.names import hint, same_letters, some
from refinevad.files.shown import shown
from refinevad.judging.truth import Truth
from refinevad.judging.truth_files import TimedEvent
from refinevad.timeline import Timeline

OVERSHOOT_S = 1.0  # people round up to the second; an event that ends later than this after its video is another's
SHOWN = 5


@dataclass(frozen=True)
class MatchedEvents:
    """Events of the set's videos, and a sentence for each thing a person should know of the others."""

    events: tuple[TimedEvent, ...]
    notes: tuple[str, ...]


@dataclass
class _Sorting:
    """What became of the rows so far: `wrong` and `lost` in words, `late` as a count of events that are cut."""

    kept: list[TimedEvent] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    late: int = 0


def match_events(
    file: Path,
    events: Sequence[TimedEvent],
    listed: Mapping[str, Sequence[str]],
    judged: Mapping[str, Timeline],
    lenient: bool = False,
    called: str = "line",
) -> MatchedEvents:
    """Find the video of each row; `called`: what a row's `line` counts.

    `listed` gives the labels of every video of the set (none: normal), `judged` the timelines of those to be judged.
    Paths are compared letter by letter; accents may be written either way, and what cannot be written in UTF-8 as
    messages show it (`caf\\udce9.mp4`).

    Raises:
        InputError: unless `lenient`: a row of no video of the set, of a category the video is not labelled with, that
            repeats another, that lies outside its video or covers no frame of it; an anomalous video to be judged
            without a row. One sentence names the file, the lines, what is wrong, and the nearest name.
    """
    sorting = _Sorting()
    letters = {same_letters(name): path for path in listed for name in (path, shown(path))}
    first: dict[TimedEvent, int] = {}
    for row in events:
        event = row if row.path in listed else replace(row, path=letters.get(same_letters(row.path), row.path))
        earlier = first.setdefault(event, event.line)
        wrong = (
            f"repeats {called} {earlier}"
            if earlier != event.line
            else _wrong(event, listed, judged, suggest=len(sorting.wrong) < SHOWN)
        )
        if wrong is not None:
            sorting.wrong.append(f"{called} {row.line}: {wrong}")
            continue
        sorting.kept.append(event)
        sorting.late += event.path in judged and event.end_s > judged[event.path].duration_s
    covered = {event.path for event in sorting.kept}
    sorting.lost += [
        f"{path} is labelled {' and '.join(listed[path])}, yet has no row"
        for path in judged
        if listed[path] and path not in covered
    ]
    if (sorting.wrong or sorting.lost) and not lenient:
        raise InputError(
            f"{file}: {sentences([*sorting.wrong, *sorting.lost])}; correct the file, or judge by --lenient"
        )
    return MatchedEvents(tuple(sorting.kept), tuple(_notes(file, sorting, listed, judged, called)))


def _wrong(
    event: TimedEvent, listed: Mapping[str, Sequence[str]], judged: Mapping[str, Timeline], suggest: bool
) -> str | None:
    """What is wrong with a row, but for its being there twice; None: nothing."""
    if event.path not in listed:
        return f"the set has no video {event.path!r}" + (hint(event.path, listed) if suggest else "")
    labels = listed[event.path]
    if event.category not in labels:
        said = " and ".join(labels) or "normal"
        if not labels and event.category.lower() in NORMAL_NAMES:
            return f"{event.path} is normal, where nothing happens: it needs no row"
        return f"{event.category!r} in {event.path}, which is labelled {said}"
    if event.path not in judged:
        return None
    timeline = judged[event.path]
    length_s = timeline.duration_s
    if event.end_s > length_s + OVERSHOOT_S:
        thousandth = event.end_s / 1000 <= length_s + OVERSHOOT_S and event.start_s.is_integer()
        unit = "; are these milliseconds or frames?" if thousandth else ""
        return f"{event.start_s:g} to {event.end_s:g} s, but {event.path} ends at {length_s:.2f} s{unit}"
    if not timeline.truth([(event.start_s, event.end_s)]).any():
        return f"{event.start_s:g} to {event.end_s:g} s covers no frame of {event.path}, which ends at {length_s:.2f} s"
    return None


def _notes(
    file: Path, sorting: _Sorting, listed: Mapping[str, Sequence[str]], judged: Mapping[str, Timeline], called: str
) -> list[str]:
    notes = []
    if sorting.wrong:
        notes.append(f"{file}: {len(sorting.wrong)} rows are left aside: {sentences(sorting.wrong)}")
    if sorting.lost:
        notes.append(f"{file}: {len(sorting.lost)} videos are judged as if nothing happened: {sentences(sorting.lost)}")
    if sorting.late:
        notes.append(f"{file}: {sorting.late} events end up to {OVERSHOOT_S:g} s after their videos, and are cut there")
    own: dict[str, set[str]] = {}
    for event in sorting.kept:
        own.setdefault(event.path, set()).add(event.category)
    partly = [path for path in judged if path in own and set(listed[path]) - own[path]]
    if partly:
        notes.append(f"{file}: {len(partly)} videos have a label without a row: {some(partly)}")
    overlapping = _overlapping([event for event in sorting.kept if event.path in judged], called)
    if overlapping:
        notes.append(
            f"{file}: {len(overlapping)} rows overlap another of the same category; each counts for mAP@IoU: "
            f"{some(overlapping)}"
        )
    return notes


def require_placed(file: Path, truth: Truth, lenient: bool = False) -> Truth:
    """The truth, where something is placed in each anomalous video; with `lenient`, a note of those without.

    Raises:
        InputError: unless `lenient`, an anomalous video has no anomalous frame.
    """
    lost = [video.name for video in truth.videos if not video.normal and not video.anomalous]
    if not lost:
        return truth
    sentence = f"{file}: {len(lost)} anomalous videos have no anomalous frame: {some(lost)}"
    if not lenient:
        raise InputError(f"{sentence}; correct the file, or judge by --lenient")
    return replace(truth, notes=(*truth.notes, f"{sentence}; they are judged as if nothing happened"))


def _overlapping(events: Sequence[TimedEvent], called: str) -> list[str]:
    """Lines of events that begin before an earlier one of the same video and category ends."""
    ends: dict[tuple[str, str], float] = {}
    found = []
    for event in sorted(events, key=lambda event: (event.start_s, event.end_s)):
        key = (event.path, event.category)
        if event.start_s < ends.get(key, 0.0):
            found.append(event.line)
        ends[key] = max(ends.get(key, 0.0), event.end_s)
    return [f"{called} {line}" for line in sorted(found)]


def sentences(many: Sequence[str]) -> str:
    """The first of many sentences in one line."""
    return some(many, SHOWN, "; ")
