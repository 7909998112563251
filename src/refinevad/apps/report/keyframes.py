"""One picture of each event: the frame at its peak, as a small JPEG."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from jaxtyping import UInt8

from refinevad.scoring.events import Event
from refinevad.video.reading import FrameReader, open_container, video_of
from refinevad.video.upright import orientation

MAX_KEYFRAMES = 40
MAX_WIDTH = 480
_JPEG_QUALITY = 82
_MOST_ASPECT = 4.0  # of a pixel; by a slip of the header one picture could fill the memory
_TICK = 1e-6  # of a tick: a second written as a decimal may fall just short of its own tick


def extract_keyframes(
    video: Path,
    events: Sequence[Event],
    *,
    limit: int = MAX_KEYFRAMES,
    max_width: int = MAX_WIDTH,
    in_order: bool = True,
) -> dict[int, bytes]:
    """JPEG of the frame on screen at `peak_s`, by the event's place in `events`.

    The `limit` events with the highest peaks get one. Rotation and non-square pixels are honoured. An event
    whose place in the file cannot be decoded gets none.

    Args:
        in_order: the file's time stamps can be sought by; else it is read through.

    Raises:
        InputError: the file cannot be opened or has no video.
    """
    chosen = chosen_events(events, limit)
    pictures: dict[int, bytes] = {}
    if not chosen:
        return pictures
    if not in_order:
        return _read_through(video, {index: events[index].peak_s for index in chosen}, max_width)
    with open_container(video) as container:
        stream = video_of(container)
        stream.thread_type = "AUTO"
        origin = _first_time(container, stream)
        for index in chosen:
            frame = _frame_at(container, stream, origin, events[index].peak_s)
            if frame is not None:
                pictures[index] = _jpeg(upright_rgb(frame, pixel_aspect(stream), max_width))
    return pictures


def chosen_events(events: Sequence[Event], limit: int = MAX_KEYFRAMES) -> list[int]:
    """Places of the events that get a picture, by the second of their peaks."""
    chosen = sorted(range(len(events)), key=lambda index: (-events[index].peak, index))[:limit]
    return sorted(chosen, key=lambda index: events[index].peak_s)


def _read_through(video: Path, seconds: Mapping[int, float], max_width: int) -> dict[int, bytes]:
    """JPEG of the frame on screen at each of `seconds`, which rise."""
    pictures: dict[int, bytes] = {}
    with open_container(video) as container:
        aspect = pixel_aspect(video_of(container))
    left = list(seconds.items())
    shown: av.VideoFrame | None = None
    for frame, time_s in FrameReader(video):
        while left and shown is not None and time_s > left[0][1]:
            pictures[left.pop(0)[0]] = _jpeg(upright_rgb(shown, aspect, max_width))
        shown = frame
    if shown is not None:
        pictures |= {index: _jpeg(upright_rgb(shown, aspect, max_width)) for index, _ in left}
    return pictures


def pixel_aspect(stream: VideoStream) -> float:
    """Width of a pixel over its height; 1 when the file does not say, or says what no camera makes."""
    ratio = float(stream.sample_aspect_ratio or 1)
    return ratio if 1 / _MOST_ASPECT <= ratio <= _MOST_ASPECT else 1.0


def upright_rgb(
    frame: av.VideoFrame, aspect: float = 1.0, max_width: int | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """A decoded frame as people see it: square pixels, turned and mirrored, at most `max_width` wide."""
    upright = orientation(frame)
    width, height = max(round(frame.width * aspect), 1), frame.height
    shown = height if upright.swapped else width
    scale = 1.0 if max_width is None else min(1.0, max_width / shown)
    width, height = max(round(width * scale), 1), max(round(height * scale), 1)
    return upright.apply(frame.reformat(width=width, height=height, format="rgb24").to_ndarray())


def _first_time(container: InputContainer, stream: VideoStream) -> int:
    """Time stamp of the first frame, which is second 0 everywhere in refinevad."""
    try:
        for frame in container.decode(stream):
            if frame.pts is not None:
                return frame.pts
    except av.FFmpegError:
        pass  # nothing decodes at the start: the container's word is all there is
    return stream.start_time or 0


def _frame_at(container: InputContainer, stream: VideoStream, origin: int, second: float) -> av.VideoFrame | None:
    """The last frame whose time is not after `second`; the first one decoded when all are later."""
    if stream.time_base is None:
        return None
    target = origin + math.floor(second / stream.time_base + _TICK)
    shown: av.VideoFrame | None = None
    try:
        container.seek(target, stream=stream, backward=True)
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts > target and shown is not None:
                break
            shown = frame
    except av.FFmpegError:
        return shown  # a damaged stretch: the last good picture before it, or none
    return shown


def _jpeg(rgb: UInt8[np.ndarray, "height width 3"]) -> bytes:
    done, buffer = cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return bytes(buffer) if done else b""
