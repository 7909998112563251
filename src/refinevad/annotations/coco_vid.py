"""COCO-VID style JSON: videos, their frames as `images` (frame_id from 0), and boxes on frames with an instance_id.

An event is a run of frames in which one instance is there. The format has no key for a frame rate; `fps` of a video is
read and written.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from refinevad.annotations.annotated import AnnotatedVideo, Format, Mark, MarkedVideo, Written, categories_of
from refinevad.annotations.as_text import json_bytes
from refinevad.annotations.content import Content

TITLE = "COCO-VID"
_PARTS = {"videos", "images", "annotations", "categories"}


def claims(content: Content) -> bool:
    """An object with COCO's parts and `videos`."""
    return isinstance(content.json, dict) and content.json.keys() >= _PARTS


def read(content: Content) -> Written:
    """Instances without an id are told apart by category alone."""
    parts = {part: content.objects(content.json[part], part) for part in _PARTS}
    names = {one.get("id"): content.words(one.get("name"), "category, name") for one in parts["categories"]}
    videos: dict[Any, MarkedVideo] = {}
    for one in parts["videos"]:
        video = MarkedVideo(content.words(one.get("name") or one.get("file_name"), "video, name"))
        rate = one.get("fps") or one.get("frame_rate")
        video.rate_hz = content.number(rate, f"{video.name}, fps") if rate else None
        videos[one.get("id")] = video
    written = Written(list(videos.values()))
    place, frames = {}, dict[Any, set[int]]()
    for image in parts["images"]:
        number = image.get("frame_id", image.get("frame_index"))
        frame = content.whole(number, f"image {image.get('id')}, frame_id")
        place[image.get("id")] = (image.get("video_id"), frame)
        frames.setdefault(image.get("video_id"), set()).add(frame)
    runs: dict[tuple[Any, Any, Any], dict[int, float | None]] = {}
    for one in parts["annotations"]:
        owner, frame = place.get(one.get("image_id"), (None, 0))
        if owner not in videos or one.get("category_id") not in names:
            written.left["boxes of no video or category"] += 1
            continue
        instance = one.get("instance_id", one.get("track_id"))
        score = one.get("score")
        runs.setdefault((owner, one["category_id"], instance), {})[frame] = (
            None if score is None else content.number(score, "score")
        )
    for (owner, category, _), seen in runs.items():
        videos[owner].marks += _marks(seen, sorted(frames[owner]), names[category])
    return written


def _marks(seen: dict[int, float | None], listed: Sequence[int], category: str) -> list[Mark]:
    """Runs of an instance's frames: a listed frame without it ends one, and so does a gap in the list."""
    step = min((b - a for a, b in pairwise(listed)), default=1)
    order = sorted(seen)
    breaks = [place for place, (a, b) in enumerate(pairwise(order), start=1) if b - a > step]
    marks = []
    for first, end in pairwise([0, *breaks, len(order)]):
        scores = [seen[frame] for frame in order[first:end]]
        told = [score for score in scores if score is not None]
        marks.append(Mark(order[first], order[end - 1] + step, category, max(told, default=None), in_frames=True))
    return marks


def render(videos: Sequence[AnnotatedVideo]) -> bytes:
    """The frames of events and the one behind each; a box is the whole picture."""
    names = categories_of(videos)
    listed, images, boxes = [], list[dict[str, Any]](), list[dict[str, Any]]()
    for number, video in enumerate(videos, start=1):
        width, height = video.size(TITLE) if video.spans else video.facts.size or (0, 0)
        entry: dict[str, Any] = {"id": number, "name": video.path, "width": width, "height": height}
        if video.facts.rate is not None:
            entry["fps"] = float(video.facts.rate)
        listed.append(entry)
        stretches = [video.frames(span, TITLE) for span in video.spans]
        length = video.length(TITLE) if stretches else 0
        frames = {frame for first, end in stretches for frame in range(first, min(end + 1, max(length, end)))}
        image_of = {frame: len(images) + place for place, frame in enumerate(sorted(frames), start=1)}
        images += [
            {
                "id": image,
                "video_id": number,
                "frame_id": frame,
                "file_name": f"{video.stem}/{frame:06d}.jpg",
                "width": width,
                "height": height,
            }
            for frame, image in image_of.items()
        ]
        for instance, (span, (first, end)) in enumerate(zip(video.spans, stretches, strict=True), start=1):
            for frame in range(first, end):
                box = {
                    "id": len(boxes) + 1,
                    "image_id": image_of[frame],
                    "video_id": number,
                    "category_id": names.index(span.category) + 1,
                    "instance_id": instance,
                    "bbox": [0, 0, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
                boxes.append(box if span.score is None else {**box, "score": span.score})
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    return json_bytes(
        {"info": {}, "licenses": [], "categories": categories, "videos": listed, "images": images, "annotations": boxes}
    )


FORMAT = Format("coco-vid", TITLE, ".json", claims, read, render, holds=frozenset({"scores", "normal"}))
