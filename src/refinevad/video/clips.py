"""frames -> clips: cut into segments by presentation time, turned upright, scaled; file and live stream alike."""

import math
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from refinevad.timeline import Segmenter, SegmentRule, Timeline
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.masks import blank, hidden
from refinevad.video.stamps import longest_step_s
from refinevad.video.upright import orientation
from refinevad.video.vectors import Moved, cells, moved

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter


class Pick(NamedTuple):
    """What a frame is for: whether it opens a segment, which began at `start_s`, and is wanted in colour, in grey.

    `hole_s`: behind a hole, the second at which the segment before it ends, one nominal frame after its last frame.
    """

    opens: bool
    start_s: float
    rgb: bool
    gray: bool
    hole_s: float | None = None


class FramePicker:
    """Which frames an encoder gets, from their times alone; times must rise strictly.

    `rgb_taken`: colour frames picked so far in the open segment.
    """

    def __init__(self, needs: FrameNeeds, rule: SegmentRule, rate_hz: float) -> None:
        self.needs, self.rule, self.rate_hz = needs, rule, rate_hz
        self.rgb_taken = 0
        self._segmenter = Segmenter(rule)
        self._next_gray = -math.inf
        self._last_s, self._longest_s = math.inf, longest_step_s(rate_hz)

    def copy(self) -> "FramePicker":
        """One that goes on from here by itself."""
        other = copy(self)
        other._segmenter = copy(self._segmenter)
        return other

    def push(self, time_s: float) -> Pick:
        """Take the presentation second of the next frame."""
        hole_s = None
        if time_s - self._last_s > self._longest_s:
            hole_s, self._next_gray = self._last_s + 1.0 / self.rate_hz, -math.inf
        self._last_s = time_s
        opens, start_s, phase = self._segmenter.push(time_s, hole_s is not None)
        if opens:
            self.rgb_taken = 0
        wanted = self.needs.rgb_frames
        rgb = self.rgb_taken < wanted and phase >= (2 * self.rgb_taken + 1) / (2 * wanted) - 1e-9
        self.rgb_taken += rgb
        # half a nominal frame of slack: a rate that equals the source's takes every frame despite jitter
        gray = self.needs.gray_long_side is not None and time_s >= self._next_gray - 0.5 / self.rate_hz
        if gray:
            self._next_gray = time_s + 1.0 / self.needs.gray_hz
        return Pick(opens, start_s, rgb, gray, hole_s)


@dataclass
class _Gathering:
    """One segment while its frames arrive."""

    start_s: float
    rgb: list[UInt8[np.ndarray, "_ _ 3"]] = field(default_factory=list)
    rgb_times: list[float] = field(default_factory=list)
    gray: list[UInt8[np.ndarray, "_ _"]] = field(default_factory=list)
    gray_times: list[float] = field(default_factory=list)
    lead: bool = False
    hidden: Bool[np.ndarray, "_ _"] | None = None
    moved: list[Moved] = field(default_factory=list)


class ClipCutter:
    """Takes frames one by one and gives a clip whenever a segment is full; holds one segment's pixels at most.

    Times must rise strictly. A segment is full when the first frame of the next one comes; it ends there, but where
    there is a hole between them, across which no motion is seen.

    Args:
        rate_hz: nominal frames a second: the last frame lasts 1 / rate_hz, and grey frames are picked with half of
            that as slack.
        picker: goes on from where it is, when frames do not begin with the source's first; None: a fresh one.

    Attributes:
        frames: how many were taken.
        opened: index of the first frame of the segment that is being gathered.
        hole_s: of the newest frame's pick.
    """

    def __init__(self, needs: FrameNeeds, rule: SegmentRule, rate_hz: float, picker: FramePicker | None = None) -> None:
        self.needs, self.rate_hz = needs, rate_hz
        self.frames = self.opened = 0
        self.hole_s: float | None = None
        self._picker = picker or FramePicker(needs, rule, rate_hz)
        self._current: _Gathering | None = None
        self._last: tuple[VideoFrame | None, float] | None = None
        self._gray_size: tuple[int, int] | None = None
        self._hidden: Bool[np.ndarray, "_ _"] | None = None  # of the newest grey frame
        self._to_rgb, self._to_gray = _scaler(), _scaler()

    def push(self, frame: "VideoFrame | None", time_s: float) -> Clip | None:
        """Take a frame shown at `time_s`; return the segment that it ends, if it ends one.

        None stands for a frame that was not decoded because nothing of it is needed (`needed_frames.py`).
        """
        clip = None
        pick = self._picker.push(time_s)
        self.hole_s = pick.hole_s
        if pick.opens:
            clip = self._clip(pick.start_s if pick.hole_s is None else pick.hole_s)
            self._current = self._open(pick.start_s, None if pick.hole_s is not None else self._current)
        current = self._current
        assert current is not None
        if pick.rgb and frame is not None:
            current.rgb.append(self._rgb(frame))
            current.rgb_times.append(time_s)
        if pick.gray and frame is not None:
            current.gray.append(self._gray(frame))
            current.gray_times.append(time_s)
            current.hidden = self._hidden
            if self.needs.vector_cells is not None:
                current.moved.append(self._moved(frame, current.gray[-1].shape, self.needs.vector_cells))
        self.frames += 1
        self._last = (frame, time_s)
        return clip

    def close(self) -> Clip | None:
        """The segment that is being gathered, ended one nominal frame after its last one; None before any frame."""
        clip = self._clip(self._last[1] + 1.0 / self.rate_hz) if self._last is not None else None
        self._current = None
        return clip

    def _open(self, start_s: float, before: _Gathering | None) -> _Gathering:
        self.opened = self.frames
        gathering = _Gathering(start_s)
        if before is not None and before.gray:
            gathering.gray.append(before.gray[-1])
            gathering.gray_times.append(before.gray_times[-1])
            gathering.lead, gathering.hidden, gathering.moved = True, before.hidden, before.moved[-1:]
        return gathering

    def _clip(self, end_s: float) -> Clip | None:
        current, last = self._current, self._last
        if current is None or last is None:
            return None
        if not current.rgb and self.needs.rgb_frames:  # fewer frames than asked: the last one stands in
            frame, time_s = last
            if frame is not None:
                current.rgb.append(self._rgb(frame))
                current.rgb_times.append(time_s)
        empty_rgb, empty_gray = np.zeros((0, 2, 2, 3), np.uint8), np.zeros((0, 2, 2), np.uint8)
        if len({picture.shape for picture in current.rgb}) > 1:  # the stream changed its size inside the segment
            current.rgb, current.rgb_times = current.rgb[-1:], current.rgb_times[-1:]
        return Clip(
            rgb=np.stack(current.rgb) if current.rgb else empty_rgb,
            rgb_times=np.array(current.rgb_times, dtype=np.float64),
            gray=np.stack(current.gray) if current.gray else empty_gray,
            gray_times=np.array(current.gray_times, dtype=np.float64),
            start_s=current.start_s,
            end_s=end_s,
            lead=current.lead,
            hidden=current.hidden,
            moved=self._all_moved(current.moved),
        )

    def _rgb(self, frame: "VideoFrame") -> UInt8[np.ndarray, "height width 3"]:
        width, height = self.needs.rgb_size or (frame.width, frame.height)
        shown = orientation(frame)
        if self.needs.rgb_size is not None and shown.swapped:
            width, height = height, width
        pixels = shown.apply(self._to_rgb.reformat(frame, width, height, "rgb24", threads=1).to_ndarray())
        where = self._hidden_in(pixels, frame)
        return pixels if where is None else blank(pixels, where)

    def _gray(self, frame: "VideoFrame") -> UInt8[np.ndarray, "height width"]:
        scale = (self.needs.gray_long_side or 0) / max(frame.width, frame.height)
        if self._gray_size is None:  # a stream that changes size keeps the first one's grey size
            self._gray_size = (
                max(2, round(frame.width * scale / 2) * 2),
                max(2, round(frame.height * scale / 2) * 2),
            )
        width, height = self._gray_size
        pixels = orientation(frame).apply(self._to_gray.reformat(frame, width, height, "gray", threads=1).to_ndarray())
        self._hidden = self._hidden_in(pixels, frame)
        return pixels if self._hidden is None else blank(pixels, self._hidden)

    def _moved(self, frame: "VideoFrame", size: tuple[int, ...], along: int) -> Moved:
        height, width = size
        return moved(frame, (height, width), cells((height, width), along), self._hidden)

    def _all_moved(self, fields: list[Moved]) -> Float[np.ndarray, "gray_frame row column 2"] | None:
        if self.needs.vector_cells is None:
            return None
        return np.stack(fields) if fields else np.zeros((0, 4, 4, 2), np.float32)

    def _hidden_in(self, pixels: np.ndarray, frame: "VideoFrame") -> Bool[np.ndarray, "height width"] | None:
        """Which pixels of a frame's upright picture do not count; None: all do."""
        if not self.needs.zones:
            return None
        source = frame.width, frame.height
        upright = source[::-1] if orientation(frame).swapped else source
        return hidden(self.needs.zones, (pixels.shape[1], pixels.shape[0]), upright)


class RecordingCutter(ClipCutter):
    """A cutter of a recording, which remembers where each segment lies."""

    def __init__(self, needs: FrameNeeds, rule: SegmentRule, rate_hz: float) -> None:
        super().__init__(needs, rule, rate_hz)
        self._bounds: list[int] = []
        self._times: list[float] = []
        self._early_ends: dict[int, float] = {}
        self._last_time_s = 0.0

    def push(self, frame: "VideoFrame | None", time_s: float) -> Clip | None:
        """As `ClipCutter.push`."""
        clip = super().push(frame, time_s)
        if self.hole_s is not None:
            self._early_ends[len(self._bounds) - 1] = self.hole_s
        if self.opened == self.frames - 1:
            self._bounds.append(self.opened)
            self._times.append(time_s)
        self._last_time_s = time_s
        return clip

    @property
    def timeline(self) -> Timeline:
        """Of all frames so far; the last one lasts a nominal frame."""
        end_s = self._last_time_s + 1.0 / self.rate_hz
        return Timeline.of(self._bounds, self._times, self.frames, end_s, self._early_ends)


def _scaler() -> "VideoReformatter":
    """One for each size asked for: `VideoFrame.reformat` sets up its own anew, which takes longer than to scale."""
    from av.video.reformatter import VideoReformatter

    return VideoReformatter()
