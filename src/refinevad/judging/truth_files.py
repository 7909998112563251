"""Files of temporal truth that people and papers write, test_truth.json and events.csv -> truth."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refinevad.datasets.benchmarks import UCF_CRIME
from refinevad.datasets.labels import NORMAL_NAMES, labels_of
from refinevad.errors import InputError
from refinevad.files.names import hint, same_letters
from refinevad.files.shown import short
from refinevad.files.strict_json import parse_json
from refinevad.files.table import Row, read_table
from refinevad.judging.localisation import TrueSpan
from refinevad.judging.truth import FIELD_RULE, Truth, VideoTruth, merged, ranges_of
from refinevad.timeline import MOST_FRAMES, SegmentRule, Timeline

_RATE_HZ = UCF_CRIME.rate_hz  # a truth file counts frames and does not say the rate
_EVENT_COLUMNS = ("path", "start_s", "end_s", "category")


@dataclass(frozen=True)
class TimedEvent:
    """A row of `events.csv`: what happens in the video at `path`, in seconds, [start_s, end_s); `line` says where."""

    path: str
    start_s: float
    end_s: float
    category: str
    line: int = field(default=0, compare=False)


# --- test_truth.json ---------------------------------------------------------------------------------------


def read_truth_json(path: Path, rule: SegmentRule = FIELD_RULE) -> Truth:
    """Read truth in the form {columns, videos: [{name, label, frames, segments, segment_labels, anomalous_frames}]}.

    Raises:
        InputError: unreadable, not JSON, or a video whose fields do not fit together; the text names the video.
    """
    content = _read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected an object with columns and videos")
    columns = content.get("columns")
    videos = content.get("videos")
    if not isinstance(columns, list) or len(columns) < 2 or not all(isinstance(c, str) for c in columns):
        raise InputError(f'{path}: "columns" must list at least two names, the normal one first')
    if len(set(columns)) != len(columns):
        raise InputError(f'{path}: a name stands twice in "columns"')
    if not isinstance(videos, list) or not videos:
        raise InputError(f'{path}: "videos" must list at least one video')
    read = [_video_of(entry, f"{path}: video {i}", columns, rule) for i, entry in enumerate(videos, start=1)]
    repeated = _first_repeated([video.name for video in read])
    if repeated is not None:
        raise InputError(f"{path}: video {repeated!r} stands twice; keep one")
    return Truth(tuple(columns), tuple(read))


def _read_json(path: Path) -> object:
    try:
        content: object = parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"truth cannot be read: {path} ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; truth is JSON or events.csv") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg})") from error
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    return content


def _video_of(entry: Any, where: str, columns: Sequence[str], rule: SegmentRule) -> VideoTruth:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise InputError(f'{where}: expected an object with a "name"')
    where = f"{where} ({entry['name']})"
    frames = entry.get("frames")
    if not isinstance(frames, int) or isinstance(frames, bool) or frames < 1:
        raise InputError(f'{where}: "frames" must be a whole number above 0, got {short(frames)}')
    if frames > MOST_FRAMES:
        raise InputError(f'{where}: "frames" can be at most {MOST_FRAMES:,}, got {short(frames)}')
    labels = labels_of(entry.get("label"), columns, where)
    anomalous_frames = _ranges(entry.get("anomalous_frames"), where, "anomalous_frames")
    anomalous = merged(anomalous_frames, frames)
    segments = _ranges(entry.get("segments", []), where, "segments")
    names = entry.get("segment_labels", [])
    if not isinstance(names, list) or len(names) != len(segments) or not all(isinstance(n, str) for n in names):
        raise InputError(f'{where}: "segment_labels" must hold one name for each of the {len(segments)} segments')
    if anomalous and not labels:
        raise InputError(f"{where}: labelled normal, yet it has anomalous frames")
    unknown = [name for name in names if name not in columns and name.lower() not in NORMAL_NAMES]
    if unknown:
        raise InputError(
            f'{where}: "segment_labels" names {unknown[0]!r}, which is no column{hint(unknown[0], columns)}'
        )
    late = [start for start, _ in (*anomalous_frames, *segments) if start >= frames]
    if late:
        raise InputError(f"{where}: frame {late[0]} is marked, but the last of its {frames} frames is {frames - 1}")
    spans = tuple(TrueSpan(start, end, name) for (start, end), name in zip(segments, names, strict=True))
    return VideoTruth(entry["name"], labels, Timeline.uniform(frames, _RATE_HZ, rule), spans, anomalous)


def _ranges(value: object, where: str, key: str) -> list[tuple[int, int]]:
    if not isinstance(value, list):
        raise InputError(f'{where}: "{key}" must be a list of [start, end) frame pairs')
    pairs = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2 or not all(type(frame) is int for frame in pair):
            raise InputError(f'{where}: "{key}" holds {short(pair)}, not a pair of whole frame numbers')
        if not 0 <= pair[0] < pair[1]:
            raise InputError(f'{where}: "{key}" holds {short(pair)}, which does not end after it starts at 0 or later')
        pairs.append((pair[0], pair[1]))
    return pairs


def _first_repeated(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


# --- events.csv --------------------------------------------------------------------------------------------


def read_events_csv(path: Path, categories: Sequence[str] | None = None) -> tuple[TimedEvent, ...]:
    """Read `path,start_s,end_s,category` rows (other columns are left alone), in the file's order.

    Seconds are counted from the first picture (docs/formats.md, Time).

    Raises:
        InputError: one sentence with the line and the column that is wrong: missing column or value, not a number,
            an end that is not after its start, or a category outside `categories` (where given).
    """
    try:
        table = read_table(path)
    except OSError as error:
        raise InputError(f"events cannot be read: {path} ({error.strerror})") from error
    absent = [name for name in _EVENT_COLUMNS if name not in table.columns]
    if absent:
        raise InputError(f"{path}, line 1: no column {absent[0]!r}; events.csv has path,start_s,end_s,category")
    return tuple(_event(row, f"{path}, line {row.line}", categories) for row in table.rows)


def _event(row: Row, where: str, categories: Sequence[str] | None) -> TimedEvent:
    for name in _EVENT_COLUMNS:
        if not row[name]:
            raise InputError(f"{where}, column {name}: empty; fill it in")
    start_s, end_s = (_seconds(row[name], f"{where}, column {name}") for name in ("start_s", "end_s"))
    if end_s <= start_s:
        raise InputError(f"{where}, column end_s: {end_s:g} s is not after the start at {start_s:g} s")
    category = same_letters(row["category"])  # as data sets have them
    if categories is not None and category not in categories:
        raise InputError(
            f"{where}, column category: {category!r} is not one of {', '.join(categories)}{hint(category, categories)}"
        )
    return TimedEvent(row["path"], start_s, end_s, category, row.line)


def _seconds(text: str, where: str) -> float:
    try:
        value = math.nan if "_" in text else float(text)  # Python reads 2_5 as 25
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise InputError(f"{where}: {short(text)} is not a number of seconds")
    if not math.isfinite(value) or value < 0:
        raise InputError(f"{where}: {short(text)} is not a second at or after the video's start")
    return value


def folder_truth(
    events: Sequence[TimedEvent],
    timelines: Mapping[str, Timeline],
    labels: Mapping[str, Sequence[str]],
    columns: Sequence[str],
) -> Truth:
    """Truth of a folder's videos from its events.

    `timelines` names the videos to judge, in order, by the path `events.csv` uses; `labels` their categories (none:
    normal); `columns` the prediction columns, normal first. Events of other videos are left aside.

    Raises:
        InputError: an event in a video labelled normal, or of a category the video does not have as a label.
    """
    videos = []
    for name, timeline in timelines.items():
        own = [event for event in events if event.path == name]
        for event in own:
            if event.category not in labels[name]:
                said = " and ".join(labels[name]) or "normal"
                raise InputError(f"events.csv has {event.category!r} in {name}, which is labelled {said}; correct one")
        mask = timeline.truth([(event.start_s, event.end_s) for event in own])
        spans = tuple(
            TrueSpan(start, end, event.category)
            for event in own
            for start, end in ranges_of(timeline.truth([(event.start_s, event.end_s)]))
        )
        videos.append(VideoTruth(name, tuple(labels[name]), timeline, spans, ranges_of(mask)))
    return Truth(tuple(columns), tuple(videos))
