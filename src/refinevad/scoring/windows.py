"""The window rule: which stretch of a video the model sees for a segment's score, and when that score is final.

One rule for long recordings and live streams. Everything the model does to a whole video (merging of equal segments,
pooling, centring, smoothing as a share of the length, the video's own evidence) it does inside a window:

          start           zone                     end
    window  |--- context ---|//// zone: scored ////|          |         closes when its oldest score may wait no longer
    next        |--- context ---------------|//////////// zone ///////////|      (delay_s), or fills it (window_s)

A window closes with the first segment at which the oldest segment without a final score could not wait for another one
as long as this one: for its delay, or for its place in the window. It reaches back `window_s` from there. The last
eighth of its zone is scored by the next window too, and the two are blended linearly; all before that is final.
"""

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from refinevad.errors import InputError
from refinevad.timeline import Timeline

LIVE_WINDOW_S, LIVE_DELAY_S = 60.0, 5.0  # of streams, for runs trained on whole videos
MOST_SEGMENTS = 4096  # a window never holds more (44 minutes of 0.64 s segments): attention costs their square
OVERLAP = 8  # two windows share an eighth of a zone
_TICK_S = 1e-6  # below any time base's tick; sums of lengths such as 0.64 s are not exact


@dataclass(frozen=True)
class WindowRule:
    """How far back a window reaches, and how long a score may wait for what comes after it; in seconds.

    With `window_s` infinite a window holds all there is, with `delay_s` infinite a score waits for its window to fill:
    both together are the way of recordings, whose windows are bounded by `MOST_SEGMENTS` alone.

    Attributes:
        window_s: length of a window, the score's own segment included.
        delay_s: a score is final at most so long after its segment's end, as long as segments keep their length; 0:
            each segment is scored with nothing behind it.
    """

    window_s: float = math.inf
    delay_s: float = math.inf

    def __post_init__(self) -> None:
        """Raises InputError for lengths no window can have."""
        if not self.window_s > 0:
            raise InputError(f"a window must last: got {self.window_s} seconds")
        if not self.delay_s >= 0:
            raise InputError(f"a delay is 0 seconds or more: got {self.delay_s}")
        if self.delay_s > self.window_s and not math.isinf(self.delay_s):
            raise InputError(f"a delay of {self.delay_s} s is longer than its window of {self.window_s} s")

    @classmethod
    def of(cls, window_s: float | None, delay_s: float | None) -> "WindowRule":
        """The rule people ask for: None is no bound."""
        return cls(math.inf if window_s is None else window_s, math.inf if delay_s is None else delay_s)

    @property
    def bounded(self) -> bool:
        """Whether it is a rule in seconds, as a stream needs."""
        return math.isfinite(self.window_s)

    def live(self, window_s: float | None = None, delay_s: float | None = None) -> "WindowRule":
        """The rule of a stream for a run trained under this one; what is None is as in training.

        A run trained on whole videos is given `LIVE_WINDOW_S` and `LIVE_DELAY_S`.

        Raises:
            InputError: lengths that no window can have.
        """
        if window_s is None:
            window_s = self.window_s if self.bounded else LIVE_WINDOW_S
        if delay_s is not None:
            return WindowRule(window_s, delay_s)
        return WindowRule(window_s, min(self.delay_s if self.bounded else LIVE_DELAY_S, window_s))


WHOLE = WindowRule()


@dataclass(frozen=True)
class Window:
    """A window over segments [start, end) that scores [zone, end), all counted from the stream's first segment.

    Its first `fade_in` scores are blended with the window before, its last `fade_out` with the one after.
    """

    start: int
    zone: int
    end: int
    fade_in: int
    fade_out: int

    @property
    def final(self) -> int:
        """Scores of segments before this one are final once the window is scored."""
        return self.end - self.fade_out

    @property
    def weights(self) -> Float[np.ndarray, "zone"]:
        """Of its scores in the blend; divided by their sum over windows."""
        place = np.arange(self.end - self.zone)
        rising = np.minimum((place + 1.0) / (self.fade_in + 1.0), 1.0)
        falling = np.minimum((place[::-1] + 1.0) / (self.fade_out + 1.0), 1.0)
        return np.asarray(np.minimum(rising, falling))


@dataclass(frozen=True)
class _Segment:
    start_s: float
    end_s: float
    tokens: int  # of this segment and all before it


class Windowing:
    """Says which windows close as segments come; knows nothing of the future. Holds one window's times at most."""

    def __init__(self, rule: WindowRule) -> None:
        self.rule = rule
        self._kept: deque[_Segment] = deque()  # segments `first` and later
        self.first = 0  # oldest segment that a window to come may still hold
        self._zone = self._fade_in = self._scored = 0

    @property
    def segments(self) -> int:
        """How many segments came."""
        return self.first + len(self._kept)

    def push(self, start_s: float, end_s: float, token: bool = True) -> Window | None:
        """Take a segment; return the window that closes with it, if one does.

        `token` is false for a segment that costs the model nothing, being merged with the one before it.
        """
        before = self._kept[-1].tokens if self._kept else 0
        self._kept.append(_Segment(start_s, end_s, before + token))
        self._forget()
        return self._close() if self._must_close(end_s - start_s) else None

    def flush(self) -> Window | None:
        """The last window, when the stream ends; None when every segment has been in a window."""
        return self._close() if self._scored < self.segments else None

    def _must_close(self, length_s: float) -> bool:
        """Whether the oldest open segment could not wait for another segment of this length."""
        oldest, newest = self._kept[self._zone - self.first], self._kept[-1]
        later = newest.end_s + length_s
        late = later - oldest.end_s > self.rule.delay_s + _TICK_S
        full = later - oldest.start_s > self.rule.window_s + _TICK_S
        return bool(late or full or newest.tokens - oldest.tokens + 2 > MOST_SEGMENTS)

    def _close(self) -> Window:
        end = self.segments
        fade_out = (end - self._zone) // OVERLAP
        window = Window(self.first, self._zone, end, self._fade_in, fade_out)
        self._scored, self._zone, self._fade_in = end, end - fade_out, fade_out
        self._forget()
        return window

    def _forget(self) -> None:
        """Drop what lies out of reach; the zone is kept whatever its length."""
        newest = self._kept[-1]
        while self.first < self._zone and self._kept:
            oldest = self._kept[0]
            near = oldest.start_s >= newest.end_s - self.rule.window_s - _TICK_S
            if near and newest.tokens - oldest.tokens + 1 <= MOST_SEGMENTS:
                return
            self._kept.popleft()
            self.first += 1


def windows_between_holes(
    timeline: Timeline, rule: WindowRule, tokens: Bool[np.ndarray, "segment"] | None = None
) -> list[Window]:
    """`windows` of a recording, none of which reaches across a hole."""
    found = []
    for first, last in timeline.stretches():
        bounds = np.append(timeline.time_bounds[first:last], timeline.ends_s[last - 1])
        for one in windows(bounds, rule, None if tokens is None else tokens[first:last]):
            start, zone, end = one.start + first, one.zone + first, one.end + first
            found.append(replace(one, start=start, zone=zone, end=end))
    return found


def windows(
    time_bounds: Float[np.ndarray, "bound"],
    rule: WindowRule = WHOLE,
    tokens: Bool[np.ndarray, "segment"] | None = None,
) -> list[Window]:
    """All windows of a recording with these segment borders; `tokens` as in `Windowing.push`. None without segments."""
    windowing = Windowing(rule)
    found = []
    for place in range(len(time_bounds) - 1):
        token = tokens is None or bool(tokens[place])
        found.append(windowing.push(float(time_bounds[place]), float(time_bounds[place + 1]), token))
    found.append(windowing.flush())
    return [window for window in found if window is not None]
