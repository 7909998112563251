"""A detection as a record that programs read: the JSON document and the CSV rows (docs/formats.md, Detection)."""

import csv
import io
import json
from typing import Any

import numpy as np

from refinevad.detection.findings import Findings
from refinevad.detection.lifts import event_lifts
from refinevad.scoring.event_record import SCHEMA_VERSION, SCORE_DIGITS, TIME_DIGITS, event_facts

CSV_HEADER = ("second", "score", "threshold", "event")


def detection_record(detection: Findings) -> dict[str, Any]:
    """The JSON document of a detection, schema version 2."""
    names = detection.categories
    starts = _rounded(detection.timeline.time_bounds[:-1], TIME_DIGITS)
    ends = _rounded(detection.timeline.ends_s, TIME_DIGITS)
    scores = _rounded(detection.scores, SCORE_DIGITS)
    rows = _rounded(detection.category_scores, SCORE_DIGITS)
    seconds = _rounded(detection.timeline.per_second(detection.scores), SCORE_DIGITS)
    which = detection.timeline.shown_seconds().tolist()
    by_path = _segment_paths(detection)
    return {
        "schema_version": SCHEMA_VERSION,
        "video": detection.video,
        "duration_s": round(float(detection.duration_s), TIME_DIGITS),
        "frames": int(detection.frames),
        "rate_hz": round(float(detection.rate_hz), SCORE_DIGITS),
        "categories": list(names),
        "threshold": _score(detection.threshold),
        "low_threshold": _score(detection.low_threshold),
        "alerts_per_hour": float(detection.alerts_per_hour),
        "video_score": _score(detection.video_score),
        "model": {name: str(detection.model.get(name, "")) for name in ("run", "encoder", "version")},
        "segments": [
            {"start_s": start, "end_s": end, "score": score, "categories": dict(zip(names, row, strict=True)), **path}
            for start, end, score, row, path in zip(starts, ends, scores, rows, by_path, strict=True)
        ],
        "seconds": [{"second": second, "score": score} for second, score in zip(which, seconds, strict=True)],
        "events": [_event_record(detection, place) for place in range(len(detection.events))],
        "notes": list(detection.notes),
        **paths_record(detection),
        **({"zones": detection.zones.as_dict()} if detection.zones else {}),
    }


def paths_record(detection: Findings) -> dict[str, Any]:
    """`paths`: what the model's paths are called and what their lifts are measured against; nothing where unknown."""
    paths = detection.paths
    return {} if paths is None else {"paths": {"names": dict(paths.names), "above": paths.above}}


def told_event(detection: Findings, place: int) -> dict[str, Any]:
    """An event's facts, and where they are known its `paths`: how far each path lifts it, in logits."""
    event = detection.events[place]
    told: dict[str, Any] = {**event_facts(event, located=detection.located.get(place))}
    if detection.paths is not None:
        lifts = event_lifts(detection.paths, detection.timeline, event)
        told["paths"] = {path: _score(lift) for path, lift in lifts.items()}
    return told


def _segment_paths(detection: Findings) -> list[dict[str, Any]]:
    paths = detection.paths
    if paths is None:
        return [{} for _ in range(detection.timeline.segments)]
    columns = _rounded(np.column_stack([paths.base, paths.added]), SCORE_DIGITS)
    return [{"paths": dict(zip(("base", *paths.names), row, strict=True))} for row in columns]


def detection_json(record: dict[str, Any]) -> str:
    """The record as text; a not-a-number score is refused, because JSON has none.

    Raises:
        ValueError: a score is not finite.
    """
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def detection_csv(detection: Findings) -> str:
    """One row a second that has pictures: second, mean score, threshold, category of the event in it or nothing.

    Where two events touch the same second, the one with the higher peak is named.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    named = _categories_by_second(detection)
    threshold = f"{detection.threshold:.6f}"
    line = detection.timeline
    for second, value in zip(line.shown_seconds().tolist(), line.per_second(detection.scores), strict=True):
        writer.writerow((second, f"{float(value):.6f}", threshold, named.get(second, "")))
    return text.getvalue()


def _categories_by_second(detection: Findings) -> dict[int, str]:
    named: dict[int, str] = {}
    for event in sorted(detection.events, key=lambda event: event.peak):
        second = int(event.start_s)
        while second < event.end_s:
            named[second] = event.category
            second += 1
    return named


def _event_record(detection: Findings, place: int) -> dict[str, Any]:
    told = told_event(detection, place)
    return {**told, "categories": told["probabilities"]}  # the name that version 1 had for it


def _rounded(values: np.ndarray, digits: int) -> list[Any]:
    rounded: list[Any] = np.round(np.asarray(values, dtype=np.float64), digits).tolist()
    return rounded


def _score(value: Any) -> float:
    return round(float(value), SCORE_DIGITS)
