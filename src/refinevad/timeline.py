"""frame <-> segment <-> second: the only frame-rate arithmetic there is.

A video is a bag of segments. The field cuts one every 16 frames, whatever the rate; a camera at 5 frames a
second would then have segments of 3.2 s. The default here holds the *seconds* (0.64 s: 16 frames at 25 a
second), so that a model sees the same stretch of time on every camera; `SegmentRule(frames=16)` is the field's.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from refinevad.errors import InputError

DEFAULT_SEGMENT_S = 0.64
FIELD_SEGMENT_FRAMES = 16
UNSTATED_RATE_HZ = 25.0  # of pictures whose source says none
MOST_FRAMES = 20_000_000  # of a video whose length a file merely claims: nine days at 25 a second
_TICK_S = 1e-4  # half a tick of the coarsest usual time base: frames on a border belong to the later segment


_WHOLE_RATE, _NTSC_RATE = 2e-5, 2e-4  # how far, in shares, a rate as written may lie from the one that is meant


def exact_rate(rate_hz: float) -> Fraction:
    """The rate that a rounded one stands for: 29.97 is 30000/1001, 25.0001 is 25; others to a denominator of 1001.

    Raises:
        InputError: no rate above 0.
    """
    if not (math.isfinite(rate_hz) and rate_hz > 0):
        raise InputError(f"a frame rate is a number above 0: got {rate_hz}")
    ntsc = Fraction(round(rate_hz * 1.001) * 1000, 1001)
    for exact, share in ((Fraction(round(rate_hz)), _WHOLE_RATE), (ntsc, _NTSC_RATE)):
        if abs(rate_hz - exact) <= share * rate_hz:
            return exact
    return Fraction(rate_hz).limit_denominator(1001) or Fraction(rate_hz)


def border_at(second: float, rate: Fraction) -> int:
    """The frame whose beginning lies nearest to a second, at a constant rate, counted from 0."""
    return round(Fraction(second) * rate)


def second_of(frame: int, rate: Fraction) -> float:
    """Where a frame begins at a constant rate, frames counted from 0."""
    return float(frame / rate)


@dataclass(frozen=True)
class SegmentRule:
    """Where one segment ends and the next begins: every `seconds`, or every `frames`; exactly one is set."""

    seconds: float | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.frames is None):
            raise InputError("a segment rule needs either seconds or frames, not both and not neither")
        if (self.seconds is not None and not self.seconds > 0) or (self.frames is not None and self.frames < 1):
            raise InputError(f"a segment must last: got seconds={self.seconds}, frames={self.frames}")

    @classmethod
    def default(cls) -> "SegmentRule":
        return cls(seconds=DEFAULT_SEGMENT_S)

    def seconds_at(self, rate_hz: float) -> float:
        """Nominal length of a segment in seconds for a source of `rate_hz` frames a second."""
        return self.seconds if self.seconds is not None else (self.frames or 0) / rate_hz

    def as_dict(self) -> dict[str, float | int]:
        return {"seconds": self.seconds} if self.seconds is not None else {"frames": self.frames or 0}


class Segmenter:
    """Assigns frames to segments as they come; knows nothing of the future.

    A segment starts with its first frame, so that frames keep their own times at 29.97 and at variable rates.
    Under a rule in seconds a short gap in the source (a stalled stream) makes no empty segment: the segment before it
    lasts until the next frame. Behind a hole (stamps.py) segments are counted anew.
    """

    def __init__(self, rule: SegmentRule) -> None:
        self.rule = rule
        self._origin: float | None = None
        self._start = 0.0
        self._cell = -1
        self._in_segment = 0

    def push(self, time_s: float, after_hole: bool = False) -> tuple[bool, float, float]:
        """Take a frame's presentation second; return (opens a new segment, segment's start second, phase).

        Phase is the frame's place inside its segment, in [0, 1).
        """
        if self._origin is None or after_hole:
            self._origin, self._cell, self._in_segment = time_s, -1, 0
        if self.rule.frames is not None:
            opens = self._in_segment in (0, self.rule.frames)
            self._in_segment = 1 if opens else self._in_segment + 1
            phase = (self._in_segment - 1) / self.rule.frames
        else:
            seconds = self.rule.seconds or DEFAULT_SEGMENT_S
            elapsed = time_s - self._origin
            cell = math.floor((elapsed + _TICK_S) / seconds)
            opens = cell > self._cell
            self._cell = max(cell, self._cell)
            phase = min(max(elapsed / seconds - self._cell, 0.0), 1.0 - 1e-9)
        if opens:
            self._start = time_s
        return opens, self._start, phase


@dataclass(frozen=True)
class Timeline:
    """The borders of T segments, counted in frames and in seconds: T + 1 of each, never decreasing.

    Attributes:
        time_bounds: where segments begin, and where the last one ends.
        early_ends: where each of the T segments ends, if any ends before the next one begins (a hole: no pictures);
            else None.
    """

    frame_bounds: Int[np.ndarray, "bound"]
    time_bounds: Float[np.ndarray, "bound"]
    early_ends: Float[np.ndarray, "segment"] | None = None

    def __post_init__(self) -> None:
        if len(self.frame_bounds) != len(self.time_bounds) or len(self.frame_bounds) == 0:
            raise InputError("a timeline needs as many frame bounds as time bounds, and at least one")
        if (np.diff(self.frame_bounds) < 0).any() or (np.diff(self.time_bounds) < 0).any():
            raise InputError("a timeline's bounds must not decrease")
        ends = self.early_ends
        if ends is not None and (
            len(ends) != self.segments or (ends < self.time_bounds[:-1]).any() or (ends > self.time_bounds[1:]).any()
        ):
            raise InputError("a timeline's segments must end after they begin, and before the next one begins")

    @classmethod
    def of(
        cls,
        frame_starts: Sequence[int],
        starts_s: Sequence[float],
        frames: int,
        end_s: float,
        early_ends: Mapping[int, float] | None = None,
    ) -> "Timeline":
        """Timeline of segments by their first frames, and of where the last one ends.

        `early_ends`: where segments end behind which there is a hole, by their places.
        """
        bounds = np.array([*starts_s, end_s], dtype=np.float64)
        ends = bounds[1:].copy() if early_ends else None
        if ends is not None and early_ends:
            ends[list(early_ends)] = list(early_ends.values())
        return cls(np.array([*frame_starts, frames], dtype=np.int64), bounds, ends)

    @classmethod
    def uniform(cls, frames: int, rate_hz: float, rule: SegmentRule) -> "Timeline":
        """Timeline of a constant-rate video that begins at 0 s; the last segment may be short.

        Raises:
            InputError: a rate that is none, or fewer frames than none, or more than `MOST_FRAMES`.
        """
        if frames > MOST_FRAMES:
            raise InputError(f"a video has at most {MOST_FRAMES:,} frames; cut one that has more into parts")
        if frames < 0 or not rate_hz > 0:
            raise InputError(f"a timeline needs frames >= 0 and a rate > 0: got {frames} frames at {rate_hz} Hz")
        if rule.frames is not None:
            starts = np.arange(0, frames, rule.frames)
        else:
            cells = np.floor((np.arange(frames) / rate_hz + _TICK_S) / (rule.seconds or DEFAULT_SEGMENT_S))
            starts = np.flatnonzero(np.diff(cells, prepend=-1.0) > 0)
        bounds = np.append(starts, frames).astype(np.int64)
        return cls(bounds, bounds / rate_hz)

    @property
    def segments(self) -> int:
        return len(self.frame_bounds) - 1

    @property
    def frames(self) -> int:
        return int(self.frame_bounds[-1])

    @property
    def duration_s(self) -> float:
        return float(self.time_bounds[-1])

    @property
    def ends_s(self) -> Float[np.ndarray, "segment"]:
        """Where each segment ends."""
        return self.time_bounds[1:] if self.early_ends is None else self.early_ends

    @property
    def shown_s(self) -> float:
        """Seconds for which there are pictures: the duration without its holes."""
        return self.duration_s if self.early_ends is None else float((self.early_ends - self.time_bounds[:-1]).sum())

    @property
    def breaks(self) -> Int[np.ndarray, "break"]:
        """Places of segments before which there is a hole."""
        if self.early_ends is None:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(self.early_ends[:-1] < self.time_bounds[1:-1]) + 1

    def stretches(self) -> list[tuple[int, int]]:
        """Half-open segment ranges without a hole in them."""
        borders = [0, *self.breaks.tolist(), self.segments]
        return list(pairwise(borders)) if self.segments else []

    def frame_times(self) -> Float[np.ndarray, "frame"]:
        """Presentation second of each frame, spaced evenly inside its segment."""
        segment = self.segment_of_frame()
        start, end = self.time_bounds[segment], self.ends_s[segment]
        within = np.arange(self.frames) - self.frame_bounds[segment]
        return np.asarray(start + (end - start) * within / np.maximum(np.diff(self.frame_bounds)[segment], 1))

    def segment_of_frame(self) -> Int[np.ndarray, "frame"]:
        return np.repeat(np.arange(self.segments), np.diff(self.frame_bounds))

    def expand(self, values: Float[np.ndarray, "segment"]) -> Float[np.ndarray, "frame"]:
        """Repeat each segment's value over its frames."""
        if len(values) != self.segments:
            raise InputError(f"{len(values)} values do not fit a timeline of {self.segments} segments")
        return np.repeat(values, np.diff(self.frame_bounds))

    def truth(self, intervals_s: Sequence[tuple[float, float]]) -> Bool[np.ndarray, "frame"]:
        """Which frames lie in one of the half-open intervals [start_s, end_s)."""
        times = self.frame_times()
        inside = np.zeros(self.frames, dtype=bool)
        for start_s, end_s in intervals_s:
            inside |= (times >= start_s - _TICK_S) & (times < end_s - _TICK_S)
        return inside

    def segment_at(self, second: float) -> int:
        """Index of the segment that holds `second`, clipped to the timeline."""
        return int(np.clip(np.searchsorted(self.time_bounds, second, side="right") - 1, 0, max(self.segments - 1, 0)))

    def per_second(self, values: Float[np.ndarray, "segment"]) -> Float[np.ndarray, "second"]:
        """Mean of a segment curve over each of `shown_seconds`, weighted by overlap; the last second may be short."""
        if not self.segments:
            return np.zeros(0)
        if self.early_ends is None:
            edges = np.append(np.arange(0.0, self.duration_s, 1.0), self.duration_s)
            area = np.concatenate([[0.0], np.cumsum(values * np.diff(self.time_bounds))])
            width = np.diff(edges)
            return np.asarray(np.diff(np.interp(edges, self.time_bounds, area))[width > 0] / width[width > 0])
        corners = np.stack([self.time_bounds[:-1], self.early_ends], axis=1).ravel()
        length = self.early_ends - self.time_bounds[:-1]
        sums = []
        for part in (length, values * length):
            until = np.append(0.0, np.cumsum(part))
            at_corners = np.stack([until[:-1], until[1:]], axis=1).ravel()
            before, after = (np.interp(self.shown_seconds() + later, corners, at_corners) for later in (0, 1))
            sums.append(after - before)
        return np.asarray(sums[1] / sums[0])

    def shown_seconds(self) -> Int[np.ndarray, "second"]:
        """The whole seconds in which there are pictures; without holes 0, 1, 2 and on."""
        ends = self.ends_s
        parts = [
            np.arange(math.floor(self.time_bounds[first]), math.ceil(ends[end - 1])) for first, end in self.stretches()
        ]
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *parts]))

    def head(self, segments: int) -> "Timeline":
        """The first `segments` segments."""
        ends = None if self.early_ends is None else self.early_ends[:segments]
        return Timeline(self.frame_bounds[: segments + 1], self.time_bounds[: segments + 1], ends)
