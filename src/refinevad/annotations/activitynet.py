"""ActivityNet: a `database` of annotated videos, or the `results` that its evaluation reads; times in seconds."""

from collections.abc import Sequence
from typing import Any

from refinevad.annotations.annotated import AnnotatedVideo, Format, Mark, MarkedVideo, Written
from refinevad.annotations.as_text import json_bytes
from refinevad.annotations.content import Content

TITLE = "ActivityNet"
_SUBSETS = {"train": "training", "val": "validation", "test": "testing"}


def claims(content: Content) -> bool:
    """An object with `database`, or with `results` by video."""
    whole = content.json
    return isinstance(whole, dict) and any(isinstance(whole.get(key), dict) for key in ("database", "results"))


def read(content: Content) -> Written:
    """`path` beside a video's annotations, where there is one, names its file."""
    whole, written = content.json, Written()
    results = not isinstance(whole.get("database"), dict)
    for name, entry in whole["results" if results else "database"].items():
        told = {"annotations": entry} if results else content.mapping(entry, name)
        video = MarkedVideo(str(told.get("path") or name), split=str(told.get("subset") or ""))
        if told.get("fps"):
            video.rate_hz = content.number(told["fps"], f"{name}, fps")
        for one in content.objects(told.get("annotations"), f"annotations of {name}"):
            segment = one.get("segment")
            if not isinstance(segment, list) or len(segment) != 2:
                content.mapping(segment, f"{name}, segment")
                continue
            start_s, end_s = (content.number(second, f"{name}, segment") for second in segment)
            score = one.get("score")
            score = None if score is None else content.number(score, f"{name}, score")
            video.marks.append(Mark(start_s, end_s, content.words(one.get("label"), f"{name}, label"), score))
        written.videos.append(video)
    return written


def render(videos: Sequence[AnnotatedVideo]) -> bytes:
    """Results where every event has a score, as what was found has; else a database."""
    spans = [span for video in videos for span in video.spans]
    if spans and all(span.score is not None for span in spans):
        found = {video.stem: [_entry(span) for span in video.spans] for video in videos}
        return json_bytes({"version": "VERSION 1.3", "results": found, "external_data": {}})
    database: dict[str, Any] = {}
    for video in videos:
        last = max((span.end_s for span in video.spans), default=0.0)
        database[video.stem] = {
            "duration": last if video.facts.duration_s is None else video.facts.duration_s,
            "subset": _SUBSETS.get(video.split, video.split),
            "path": video.path,
            **({} if video.facts.rate is None else {"fps": float(video.facts.rate)}),
            "annotations": [_entry(span) for span in video.spans],
        }
    return json_bytes({"version": "VERSION 1.3", "database": database})


def _entry(span: Any) -> dict[str, Any]:
    entry = {"segment": [span.start_s, span.end_s], "label": span.category}
    return entry if span.score is None else {**entry, "score": span.score}


FORMAT = Format("activitynet", TITLE, ".json", claims, read, render, holds=frozenset({"scores", "normal", "splits"}))
