"""CVAT: the XML "for video 1.1" (tracks), also of a project, and "for images 1.1" of a video's frames (tags).

Frames are counted from 0 in the video, whatever frame the task began with; a task may take every n-th of them. A track
is there from a shape that is not outside to the next that is. A file does not say the frame rate.
"""

from collections.abc import Sequence
from itertools import pairwise
from xml.etree import ElementTree

from refinevad.annotations.annotated import AnnotatedVideo, Format, Mark, MarkedVideo, Written, categories_of
from refinevad.annotations.as_text import child, xml_bytes
from refinevad.annotations.content import Content

TITLE = "CVAT"
_SHAPES = ("box", "polygon", "polyline", "points", "cuboid", "skeleton", "mask", "ellipse")


def claims(content: Content) -> bool:
    """A root called `annotations` with CVAT's meta."""
    root = content.xml
    return root is not None and root.tag == "annotations" and root.find("meta") is not None


def read(content: Content) -> Written:
    """Tracks and tags; shapes on single images are counted."""
    root = content.xml
    assert root is not None
    written, tasks, steps = Written(), dict[str, MarkedVideo](), dict[str, int]()
    for task in [*root.findall("meta/task"), *root.findall("meta/job"), *root.findall("meta/project/tasks/task")]:
        number = task.findtext("id") or ""
        video = MarkedVideo(task.findtext("source") or task.findtext("name") or content.path.stem)
        video.split = task.findtext("subset") or ""
        written.videos.append(video)
        tasks[number] = video
        steps[number] = _step(content, task)
    if not tasks:
        tasks[""] = MarkedVideo(root.findtext("meta/source") or content.path.stem)
        steps[""] = 1
        written.videos.append(tasks[""])
    only = next(iter(tasks))
    for track in root.findall("track"):
        key = track.get("task_id") or only
        if key not in tasks:
            written.left["tracks of no task"] += 1
            continue
        tasks[key].marks += _track(content, track, steps[key])
    for image in root.findall("image"):
        written.left["shapes on single frames"] += sum(len(image.findall(shape)) for shape in _SHAPES)
    for key, video in tasks.items():
        images = [one for one in root.findall("image") if (one.get("task_id") or only) == key]
        video.marks += _tags(content, images, steps[key])
    return written


def _step(content: Content, task: ElementTree.Element) -> int:
    """Every how many frames one was taken."""
    words = (task.findtext("frame_filter") or "").replace(" ", "")
    return max(content.whole(words.removeprefix("step="), "frame_filter"), 1) if words.startswith("step=") else 1


def _track(content: Content, track: ElementTree.Element, step: int) -> list[Mark]:
    label = content.words(track.get("label"), f"track {track.get('id')}, label")
    where = f"track {track.get('id')}, frame"
    found = [
        (content.whole(shape.get("frame"), where), shape.get("outside") == "1")
        for shape in track
        if shape.tag in _SHAPES
    ]
    marks, begun = list[Mark](), None
    shapes = sorted(found)
    for frame, outside in shapes:
        if not outside and begun is None:
            begun = frame
        elif outside and begun is not None:
            marks.append(Mark(begun, frame, label, in_frames=True))
            begun = None
    if begun is not None:
        marks.append(Mark(begun, shapes[-1][0] + step, label, in_frames=True))
    return marks


def _tags(content: Content, images: Sequence[ElementTree.Element], step: int) -> list[Mark]:
    """Runs of frames that have the same tag."""
    frames: dict[str, set[int]] = {}
    for image in images:
        frame = content.whole(image.get("id"), "image, id")
        for tag in image.findall("tag"):
            frames.setdefault(content.words(tag.get("label"), f"image {frame}, tag"), set()).add(frame)
    marks = []
    for label, tagged in sorted(frames.items()):
        order = sorted(tagged)
        breaks = [place for place, (a, b) in enumerate(pairwise(order), start=1) if b - a > step]
        for first, end in pairwise([0, *breaks, len(order)]):
            marks.append(Mark(order[first], order[end - 1] + step, label, in_frames=True))
    return marks


def render(videos: Sequence[AnnotatedVideo]) -> bytes:
    """One task: a track over the whole picture for each event."""
    (video,) = videos
    width, height = video.size(TITLE) if video.spans else video.facts.size or (0, 0)
    length = video.length(TITLE) if video.spans or video.facts.rate else 0
    root = ElementTree.Element("annotations")
    child(root, "version", "1.1")
    task = child(child(root, "meta"), "task")
    for tag, text in {
        "id": "1",
        "name": video.stem,
        "size": str(length),
        "mode": "interpolation",
        "overlap": "0",
    }.items():
        child(task, tag, text)
    for tag, text in {"start_frame": "0", "stop_frame": str(max(length - 1, 0)), "frame_filter": ""}.items():
        child(task, tag, text)
    if video.split:
        child(task, "subset", video.split)
    labels = child(task, "labels")
    for category in categories_of(videos):
        label = child(labels, "label")
        child(label, "name", category)
        child(label, "attributes")
    size = child(task, "original_size")
    child(size, "width", str(width))
    child(size, "height", str(height))
    child(task, "source", video.path)
    for number, span in enumerate(video.spans):
        first, end = video.frames(span, TITLE)
        track = child(root, "track", id=str(number), label=span.category, source="file")
        borders = (
            {first: "0", end: "1"} if end < length else {first: "0", **({end - 1: "0"} if end - 1 > first else {})}
        )
        for frame, outside in borders.items():
            corners = {"xtl": "0", "ytl": "0", "xbr": str(width), "ybr": str(height)}
            flags = {"outside": outside, "occluded": "0", "keyframe": "1", "z_order": "0"}
            child(track, "box", frame=str(frame), **flags, **corners)
    return xml_bytes(root)


FORMAT = Format("cvat", TITLE, ".xml", claims, read, render, holds=frozenset({"normal", "splits"}), per_video=True)
