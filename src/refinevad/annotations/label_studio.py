"""Label Studio: a JSON export of tasks, or JSON-MIN, with video timeline segments.

Frames of `<TimelineLabels>` are counted from 1, both ends included, by the `frameRate` of the labelling page's
`<Video>` (24 where it says none). `<Labels>` on a video or its sound are in seconds.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from refinevad.annotations.annotated import AnnotatedVideo, Format, Mark, MarkedVideo, Written
from refinevad.annotations.as_text import json_bytes
from refinevad.annotations.content import Content

TITLE = "Label Studio"
_RATES = ("fps", "frame_rate", "frameRate", "framerate")
_VIDEO, _LABELS = "video", "timeline"  # names of the tags, as in Label Studio's template


def claims(content: Content) -> bool:
    """A list of tasks, or of what JSON-MIN makes of them."""
    tasks = content.json
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
        return False
    whole = all("data" in task and ("annotations" in task or "predictions" in task) for task in tasks)
    return whole or all("annotation_id" in task for task in tasks)


def read(content: Content) -> Written:
    """Of a task with several annotations the one marked as ground truth counts, else the last; others are counted."""
    written = Written()
    for number, task in enumerate(content.objects(content.json, "the export"), start=1):
        where = f"task {task.get('id', number)}"
        data = content.mapping(task["data"], f"{where}, data") if "data" in task else task
        video = MarkedVideo(_name(content, data, where), split=str(data.get("split") or ""))
        rates = [data[key] for key in _RATES if data.get(key) is not None]
        video.rate_hz = content.number(rates[0], f"{where}, frame rate") if rates else None
        regions = list(_regions(content, task, where, written)) if "data" in task else list(_minimal(content, data))
        for region in regions:
            marks = list(_marks(content, region, where, video))
            if not marks:
                written.left["results that are no stretch of time"] += 1
            video.marks += marks
        written.videos.append(video)
    return written


def _name(content: Content, data: dict[str, Any], where: str) -> str:
    """The video of a task as it was called before it was uploaded."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    value = texts.get("path") or texts.get("video") or next((v for v in texts.values() if _is_film(v)), None)
    address = urlsplit(content.words(value, f"{where}, data.video"))
    named = parse_qs(address.query).get("d", [address.path])[0] if address.query else address.path or str(value)
    name = unquote(named)
    if "/upload/" in name:  # an upload's name has eight digits before its own
        head, _, last = name.rpartition("/")
        prefix, dash, own = last.partition("-")
        name = own if dash and len(prefix) == 8 and own else f"{head}/{last}"
    return name.lstrip("/")


def _is_film(value: str) -> bool:
    return unquote(value).lower().rpartition(".")[2][:4] in ("mp4", "mkv", "avi", "mov", "webm", "m4v", "mpg")


def _regions(content: Content, task: dict[str, Any], where: str, written: Written) -> Iterator[dict[str, Any]]:
    made = content.objects(task.get("annotations"), f"{where}, annotations")
    made = [one for one in made if not one.get("was_cancelled")]
    made = made or content.objects(task.get("predictions"), f"{where}, predictions")
    if not made:
        return
    truth = [one for one in made if one.get("ground_truth")]
    chosen = truth[-1] if truth else made[-1]
    if len(made) > 1:
        written.left["further annotations of a task"] += len(made) - 1
    yield from content.objects(chosen.get("result"), f"{where}, result")


def _minimal(content: Content, task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """JSON-MIN lays the values of each control under its name."""
    for key, values in task.items():
        if isinstance(values, list):
            for value in values:
                if isinstance(value, dict):
                    yield {"type": key, "value": value}


def _marks(content: Content, region: dict[str, Any], where: str, video: MarkedVideo) -> Iterator[Mark]:
    value = region.get("value")
    if not isinstance(value, dict):
        return
    score = region.get("score", value.get("score"))
    score = None if score is None else content.number(score, f"{where}, score")
    if value.get("framesCount") and value.get("duration") and video.rate_hz is None:
        frames, length_s = (content.number(value[key], f"{where}, {key}") for key in ("framesCount", "duration"))
        video.rate_hz = frames / length_s if length_s > 0 else None
    if "timelinelabels" in value:
        for stretch in content.objects(value.get("ranges"), f"{where}, ranges"):
            first, last = (content.number(stretch.get(key), f"{where}, {key}") for key in ("start", "end"))
            for label in _labels(value["timelinelabels"]):
                yield Mark(max(first, 1) - 1, last, label, score, in_frames=True)
    elif "start" in value and "end" in value:
        start_s, end_s = (content.number(value[key], f"{where}, {key}") for key in ("start", "end"))
        for label in _labels(value.get("labels")):
            yield Mark(start_s, end_s, label, score)


def _labels(value: object) -> list[str]:
    return [label for label in value if isinstance(label, str)] if isinstance(value, list) else []


def render(videos: Sequence[AnnotatedVideo]) -> bytes:
    """Tasks to import: truth as annotations, what was found as predictions with their scores."""
    return json_bytes([_task(number, video) for number, video in enumerate(videos, start=1)])


def _task(number: int, video: AnnotatedVideo) -> dict[str, Any]:
    result = []
    for place, span in enumerate(video.spans, start=1):
        first, end = video.frames(span, TITLE)
        region = {
            "id": f"v{number}e{place}",
            "from_name": _LABELS,
            "to_name": _VIDEO,
            "type": "timelinelabels",
            "value": {"ranges": [{"start": first + 1, "end": end}], "timelinelabels": [span.category]},
        }
        result.append(region if span.score is None else {**region, "score": span.score})
    found = bool(video.spans) and all(span.score is not None for span in video.spans)
    data: dict[str, Any] = {"video": video.path}
    if video.facts.rate is not None:
        data["fps"] = float(video.facts.rate)
    if video.split:
        data["split"] = video.split
    task: dict[str, Any] = {"id": number, "data": data, "annotations": [], "predictions": []}
    if found:
        scores = [span.score for span in video.spans if span.score is not None]
        task["predictions"] = [{"model_version": "refinevad", "score": max(scores), "result": result}]
    else:
        task["annotations"] = [{"id": number, "was_cancelled": False, "ground_truth": False, "result": result}]
    return task


FORMAT = Format("label-studio", TITLE, ".json", claims, read, render, holds=frozenset({"scores", "normal", "splits"}))
