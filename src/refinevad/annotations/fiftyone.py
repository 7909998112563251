"""FiftyOne: exported temporal detections, `labels.json` of a FiftyOneTemporalDetectionDataset or `samples.json`.

`support` is [first, last] frame, counted from 1, both included; `timestamps` in its place are seconds.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from refinevad.annotations.annotated import AnnotatedVideo, Format, Mark, MarkedVideo, Written, categories_of
from refinevad.annotations.as_text import json_bytes
from refinevad.annotations.content import Content

TITLE = "FiftyOne"


def claims(content: Content) -> bool:
    """An object with `labels` by video, or with `samples`."""
    whole = content.json
    if not isinstance(whole, dict):
        return False
    by_video = isinstance(whole.get("labels"), dict) and "classes" in whole
    return by_video or (isinstance(whole.get("samples"), list) and "filepath" in str(whole["samples"][:1]))


def read(content: Content) -> Written:
    """Both forms. A label that is a number is a place in `classes`."""
    whole, written = content.json, Written()
    if "samples" in whole:
        for sample in content.objects(whole["samples"], "samples"):
            written.videos.append(_sample(content, sample, written))
        return written
    classes = whole["classes"] if isinstance(whole["classes"], list) else []
    for name, detections in whole["labels"].items():
        video = MarkedVideo(name)
        for detection in content.objects(detections, f"labels of {name}"):
            video.marks += _marks(content, detection, classes, f"labels of {name}")
        written.videos.append(video)
    return written


def _sample(content: Content, sample: dict[str, Any], written: Written) -> MarkedVideo:
    path = content.words(sample.get("filepath"), "filepath")
    video = MarkedVideo(path.lstrip("/"))
    facts = sample.get("metadata")
    if isinstance(facts, dict) and facts.get("frame_rate"):
        video.rate_hz = content.number(facts["frame_rate"], f"frame_rate of {path}")
    tags = [tag for tag in sample.get("tags") or [] if isinstance(tag, str)]
    video.split = next((tag for tag in tags if tag in ("train", "val", "validation", "test")), "")
    for field in sample.values():
        kind = field.get("_cls") if isinstance(field, dict) else None
        if kind == "TemporalDetections":
            detections = content.objects(field.get("detections"), f"detections of {path}")
        elif kind == "TemporalDetection":
            detections = [field]
        else:
            written.left["labels that are no temporal detections"] += kind in ("Classification", "Detections")
            continue
        for detection in detections:
            video.marks += _marks(content, detection, [], f"detections of {path}")
    return video


def _marks(content: Content, detection: dict[str, Any], classes: list[Any], where: str) -> Iterator[Mark]:
    label = detection.get("label")
    if isinstance(label, int) and 0 <= label < len(classes):
        label = classes[label]
    label = content.words(label, f"{where}, label")
    score = detection.get("confidence")
    score = None if score is None else content.number(score, f"{where}, confidence")
    in_frames = "support" in detection
    ends = detection.get("support" if in_frames else "timestamps")
    if not isinstance(ends, list) or len(ends) != 2:
        content.mapping(ends, f"{where}, support")
        return
    first, last = (content.number(end, f"{where}, support") for end in ends)
    yield Mark(first - 1, last, label, score, True) if in_frames else Mark(first, last, label, score)


def render(videos: Sequence[AnnotatedVideo]) -> bytes:
    """A `labels.json` whose keys are the videos' paths without suffix, as FiftyOne expects them below `data/`."""
    classes = categories_of(videos)
    labels = {}
    for video in videos:
        key = str(PurePosixPath(video.stem))
        labels[key] = [
            {
                "label": classes.index(span.category),
                "support": [video.frames(span, TITLE)[0] + 1, video.frames(span, TITLE)[1]],
                **({} if span.score is None else {"confidence": span.score}),
            }
            for span in video.spans
        ]
    return json_bytes({"classes": classes, "labels": labels})


FORMAT = Format("fiftyone", TITLE, ".json", claims, read, render, holds=frozenset({"scores", "normal"}))
