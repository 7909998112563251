"""A copy of a video with its score curve drawn in: for people who will not open a report."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import UInt8

from refinevad.apps.report.keyframes import pixel_aspect, upright_rgb
from refinevad.detection.curve import drawn_curve, unbroken
from refinevad.detection.found import Detection
from refinevad.detection.wording import clock
from refinevad.errors import InputError
from refinevad.files.whole import atomic_write
from refinevad.scoring.events import Event
from refinevad.video.reading import FrameReader, open_container, video_of

Picture = UInt8[np.ndarray, "height width 3"]
Canvas = UInt8[np.ndarray, "canvas_height canvas_width 3"]  # padded to even sides, or with the strip below
Colour = tuple[int, int, int]  # red, green, blue: those of the report in the dark

_EVENT, _CURVE, _FILL = (251, 146, 60), (124, 176, 238), (36, 50, 66)
_INK, _GROUND = (236, 237, 240), (17, 19, 22)
_STRIP_SHARE, _MIN_STRIP = 0.2, 48  # of the picture's height; pixels
_WEIGHT = 500  # of the letters, 400 is regular
_CRF = "20"  # x264's quality: visually close to the source at a moderate size
_TIME_BASE = Fraction(1, 90_000)  # of MPEG: finer than any camera's


def write_annotated(
    detection: Detection, video: Path, path: Path, progress: Callable[[int], None] | None = None
) -> None:
    """Write an MP4 (H.264, yuv420p) with the curve below the picture, a playhead, and a frame around each event.

    Every frame keeps its own presentation time, also at a variable rate; the first is at 0 s. Rotation and
    non-square pixels are applied; width and height become even. Sound is dropped.

    Args:
        detection: of this very video.
        video: read once, a frame at a time.
        path: of the MP4; written beside and moved into place.
        progress: called with the number of frames done.

    Raises:
        InputError: the video cannot be read, or the file cannot be written.
    """
    reader = FrameReader(video)
    with open_container(video) as source:
        aspect = pixel_aspect(video_of(source))
    with atomic_write(path) as partial, av.open(str(partial), "w", format="mp4") as container:
        overlay: Overlay | None = None
        last_tick = -1
        for done, (frame, second) in enumerate(reader, start=1):
            picture = upright_rgb(frame, aspect)
            if overlay is None:
                overlay = Overlay(detection, picture.shape[1], picture.shape[0])
                stream = container.add_stream("libx264", rate=Fraction(reader.info.rate_hz).limit_denominator(1001))
                stream.width, stream.height = overlay.size
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = stream.time_base = _TIME_BASE
                stream.options = {"crf": _CRF, "preset": "veryfast"}
            drawn = av.VideoFrame.from_ndarray(overlay.draw(picture, second), format="rgb24")
            drawn.time_base = _TIME_BASE
            last_tick = drawn.pts = max(round(second / _TIME_BASE), last_tick + 1)
            container.mux(stream.encode(drawn))
            if progress:
                progress(done)
        if overlay is None:
            raise InputError(f"{video} holds no frame that can be decoded; nothing to annotate")
        container.mux(stream.encode(None))


class Overlay:
    """Draws one moment of a detection over and below a picture of fixed size."""

    def __init__(self, detection: Detection, width: int, height: int) -> None:
        self.detection = detection
        self.width, self.height = width + width % 2, height + height % 2
        strip = max(round(self.height * _STRIP_SHARE), _MIN_STRIP)
        self._strip = curve_strip(detection, self.width, strip + strip % 2)
        self.size = (self.width, self.height + self._strip.shape[0])
        self._font = cv2.FontFace("sans")  # has Latin, Greek, Cyrillic and CJK letters
        self._text_size = max(round(self.height / 18), 11)

    def draw(self, picture: Picture, second: float) -> Canvas:
        """The picture with border and label while an event is on, above the strip with the playhead at `second`."""
        top = self._fitted(picture)
        now = self._event_at(second)
        if now is not None:
            thick = max(round(self.height / 70), 2)
            for edge in (top[:thick], top[-thick:], top[:, :thick], top[:, -thick:]):
                edge[:] = _EVENT
            self._label(top, f"{now.category}  {self._score_at(second):.2f}", _EVENT, _GROUND)
        else:
            self._label(top, clock(second), _GROUND, _INK)
        canvas = np.concatenate([top, self._strip])
        share = second / max(self.detection.duration_s, 1e-6)
        x = round(min(share, 1.0) * (self.width - 1))
        half = max(round(self.width / 600), 1)
        canvas[self.height :, max(x - half, 0) : x + half] = _INK
        return canvas

    def _fitted(self, picture: Picture) -> Canvas:
        """The picture at the overlay's size; an odd edge is repeated, a stream that changes size is scaled."""
        height, width = picture.shape[:2]
        if (self.height - height) in (0, 1) and (self.width - width) in (0, 1):
            edges = ((0, self.height - height), (0, self.width - width), (0, 0))
            return np.pad(picture, edges, mode="edge")
        return np.asarray(cv2.resize(picture, (self.width, self.height)), dtype=np.uint8)

    def _event_at(self, second: float) -> Event | None:
        on = [event for event in self.detection.events if event.start_s <= second < event.end_s]
        return max(on, key=lambda event: event.peak) if on else None

    def _score_at(self, second: float) -> float:
        return float(self.detection.scores[self.detection.timeline.segment_at(second)])

    def _label(self, top: Canvas, text: str, ground: Colour, ink: Colour) -> None:
        size, margin = self._text_size, max(self._text_size // 2, 4)
        (_, _, width, _) = cv2.getTextSize((self.width, self.height), text, (0, 0), self._font, size, _WEIGHT)
        box = top[margin : margin + round(1.5 * size), margin : margin + width + size]
        box[:] = ground
        foot = margin + round(1.12 * size)
        cv2.putText(top, text, (margin + size // 2, foot), ink, self._font, size, _WEIGHT)


def curve_strip(detection: Detection, width: int, height: int) -> Canvas:
    """The whole video's score curve, events shaded, threshold dashed."""
    strip = np.full((height, width, 3), _GROUND, dtype=np.uint8)
    room, duration = max(height // 12, 3), max(detection.duration_s, 1e-6)

    def row(score: float) -> int:
        return round(height - 1 - (height - 1 - room) * min(max(score, 0.0), 1.0))

    curve = drawn_curve(detection.timeline, detection.scores, np.zeros((detection.timeline.segments, 0)), 2 * width)
    across = np.clip(curve.x / duration, 0.0, 1.0) * (width - 1)
    lines = [
        np.array([(round(x), row(y)) for x, y in zip(*part, strict=True)], dtype=np.int32)
        for part in unbroken(across, curve.y)
    ]
    for points in lines:
        below = np.concatenate([points, [[points[-1, 0], height - 1], [points[0, 0], height - 1]]])
        cv2.fillPoly(strip, [below.astype(np.int32)], _FILL)
    for event in detection.events:
        left, right = (round(second / duration * (width - 1)) for second in (event.start_s, event.end_s))
        band = strip[:, left : max(right, left + 1)]
        band[:] = (0.72 * band + 0.28 * np.array(_EVENT)).astype(np.uint8)
        band[:room] = _EVENT
    strip[row(detection.threshold), np.arange(width) % 10 < 6] = _EVENT
    if lines:
        cv2.polylines(strip, lines, False, _CURVE, max(round(height / 60), 1), cv2.LINE_AA)
    return strip
