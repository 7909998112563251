"""Frigate: what `/api/review` or `/api/events` answers, saved as JSON: a camera and seconds of Unix time.

A recording is told by its name, CAMERA-START-END with whole or broken seconds of Unix time, such as
`front-1764300000-1764300600.mp4`: an item is an event of each recording of its camera that it lies in.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from refinevad.annotations.annotated import AnnotatedVideo, Format, Mark, MarkedVideo, Written
from refinevad.annotations.as_text import json_bytes
from refinevad.annotations.content import Content
from refinevad.errors import InputError

TITLE = "Frigate"
_NAME = re.compile(r"(?:clip_)?(?P<camera>.+?)[-_](?P<start>\d{9,10}(?:\.\d+)?)[-_](?P<end>\d{9,10}(?:\.\d+)?)")


@dataclass(frozen=True)
class Recording:
    """A stretch of one camera, in seconds of Unix time."""

    path: str
    camera: str
    start_s: float
    end_s: float


def recording_of(path: str) -> Recording | None:
    """What a recording's name says of it; None: it is not called as one."""
    found = _NAME.fullmatch(PurePosixPath(path).stem)
    return found and Recording(path, found["camera"], float(found["start"]), float(found["end"]))


def claims(content: Content) -> bool:
    """A list of items with a camera and a start."""
    items = content.json
    return (
        isinstance(items, list)
        and bool(items)
        and all(isinstance(item, dict) and {"camera", "start_time"} <= item.keys() for item in items)
    )


def read(content: Content) -> Written:
    """Each object of a review, or the label of an event, is one category; what has no end yet is counted."""
    written, cameras = Written(), dict[str, MarkedVideo]()
    for item in content.objects(content.json, "the export"):
        camera = content.words(item.get("camera"), "camera")
        video = cameras.setdefault(camera, MarkedVideo(camera))
        if item.get("end_time") is None:
            written.left["items without an end"] += 1
            continue
        start_s, end_s = (content.number(item.get(key), f"{camera}, {key}") for key in ("start_time", "end_time"))
        data = content.mapping(item.get("data") or {}, f"{camera}, data")
        score = data.get("score", item.get("top_score"))
        score = None if score is None else content.number(score, f"{camera}, score")
        said = data.get("objects")
        objects = said if isinstance(said, list) else []
        labels = (
            [item["label"]] if isinstance(item.get("label"), str) else [one for one in objects if isinstance(one, str)]
        )
        if not labels:
            written.left["items without an object"] += 1
        video.marks += [Mark(start_s, end_s, label.removesuffix("-verified"), score) for label in labels]
    written.videos = list(cameras.values())
    return written


def placed(written: Written, paths: Iterable[str], where: str) -> Written:
    """The same in the recordings' own seconds, a video for each recording of a camera that the file speaks of.

    Raises:
        InputError: a camera of which there is no recording.
    """
    recordings = [found for found in map(recording_of, paths) if found is not None]
    result = Written([], written.left)
    for camera in written.videos:
        own = [one for one in recordings if one.camera == camera.name]
        if not own:
            raise InputError(
                f"{where}: Frigate's times are of the clock, and there is no recording of {camera.name}: name the "
                f"folder with --videos, and its files CAMERA-START-END in seconds of Unix time"
            )
        for one in own:
            inside = [
                Mark(
                    max(mark.start - one.start_s, 0.0),
                    min(mark.end, one.end_s) - one.start_s,
                    mark.category,
                    mark.score,
                )
                for mark in camera.marks
                if mark.start < one.end_s and mark.end > one.start_s
            ]
            result.videos.append(MarkedVideo(one.path, inside))
        outside = [m for m in camera.marks if not any(m.start < one.end_s and m.end > one.start_s for one in own)]
        result.left["items outside the recordings"] += len(outside)
    return result


def render(videos: Sequence[AnnotatedVideo]) -> bytes:
    """Review items, as `/api/review` gives them."""
    items = []
    for video in videos:
        recording = recording_of(video.path)
        if recording is None:
            raise InputError(
                f"Frigate's times are of the clock, which the name {video.path} does not tell: call it "
                "CAMERA-START-END in seconds of Unix time"
            )
        for number, span in enumerate(video.spans, start=1):
            start_s, end_s = (recording.start_s + second for second in (span.start_s, span.end_s))
            score = {} if span.score is None else {"score": span.score}
            items.append(
                {
                    "id": f"{start_s:.6f}-refinevad{number}",
                    "camera": recording.camera,
                    "start_time": start_s,
                    "end_time": end_s,
                    "severity": "alert",
                    "has_been_reviewed": False,
                    "thumb_path": "",
                    "data": {"detections": [], "objects": [span.category], "sub_labels": [], "zones": [], "audio": []}
                    | score,
                }
            )
    return json_bytes(items)


FORMAT = Format("frigate", TITLE, ".json", claims, read, render, frozenset({"scores"}), resolution_s=1e-5)
