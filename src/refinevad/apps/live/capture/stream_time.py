"""Presentation times -> stream seconds, and where those lie on this machine's monotonic clock.

Stream seconds are the source's own: its first frame is at 0, and later ones lie where the source's clock puts them,
however late they come. `origin` is the monotonic second of stream second 0: the smallest difference seen between a
frame's arrival and its stream second, that of the frame that was under way for the shortest time; only the last
half to whole minute counts, so that a camera's clock that runs fast or slow is followed. A recording's is when its
first frame was read. How late a packet is, is held against the same promptest frame, until that is forgotten.
"""

import math

from refinevad.video.stamps import RESTART_S, FilmClock, StampCounts, StreamClock, TimeBrokenError

MINIMUM_OVER_S = 30.0  # two such spans are held: a clock that is wrong by 100 ppm is off by 6 ms in both together


class StreamTime:
    """One connection's times, of stamps that went through the sieve (stamps.py).

    Args:
        step_s: a nominal frame; one without a time stamp lies so far behind the one before it.
        stamped: whether the source's time stamps can be believed; else frames are shown when they come.
        recording: its times are video/reading.py's (`FilmClock`); live frames whose time does not rise are dropped.
        hole_s: a live source whose times go on by more than this has pictures missing.
        wrap_s: seconds after which the source's counter runs over.
        counts: takes what is found in a recording's stamps.
    """

    def __init__(
        self,
        step_s: float,
        *,
        stamped: bool,
        recording: bool,
        hole_s: float,
        wrap_s: float | None = None,
        counts: StampCounts | None = None,
    ) -> None:
        self._stamped, self._recording = stamped, recording
        self.stands = False  # its time stamps do, and cannot be believed from here on
        self._clock = (
            FilmClock(1.0 / step_s, counts or StampCounts(), wrap_s)
            if recording
            else StreamClock(step_s, hole_s, wrap_s)
        )
        self.origin = self._prompt = math.inf  # `_prompt`: a recording's promptest frame, as `origin`
        self._now_min = self._before_min = math.inf
        self._span_end = -math.inf
        self._excused, self._since_excuse = False, -math.inf

    @property
    def last_s(self) -> float:
        """Of the newest frame; before the first, a nominal frame before it."""
        return self._clock.last_s

    def place(self, stamp_s: float | None, arrived: float) -> float | None:
        """Stream second of a frame; None for one that does not advance.

        Raises:
            TimeBrokenError: the times jumped: the source began again, or pictures are missing; or they stand still.
        """
        try:
            return self._clock.place(stamp_s if self._stamped else None, arrived)
        except TimeBrokenError as error:
            self.stands = not error.step_s
            raise

    def of(self, stamp_s: float) -> float:
        """Stream second of a packet's time stamp, which may lie before the first frame's."""
        return stamp_s - self._clock.origin if self._clock.origin is not None else 0.0

    def saw(self, time_s: float, arrived: float) -> None:
        """A frame of `time_s` has come: it cannot have been shown later than that."""
        if self._recording:  # shown from when its first frame came, whether it is read at its pace or faster
            self.origin = min(self.origin, arrived - time_s) if time_s == 0 else self.origin
            self._prompt = arrived - time_s if math.isinf(self._prompt) else self._prompt
            return
        if arrived >= self._span_end:
            self._before_min, self._now_min = self._now_min, math.inf
            self._span_end = arrived + MINIMUM_OVER_S
            if not self._excused:
                self._since_excuse = -math.inf
            self._excused = False
        self._now_min = min(self._now_min, arrived - time_s)
        self.origin = min(self._before_min, self._now_min)
        self._since_excuse = min(self._since_excuse, arrived - time_s)

    def lag_s(self, time_s: float, now: float) -> float:
        """How much later than the promptest frame one of `time_s` is, if it comes `now`; 0 for one that begins anew."""
        if time_s < self.last_s - RESTART_S:
            return 0.0
        prompt = self._prompt
        if not self._recording:
            prompt = max(min(self._before_min, self._now_min), self._since_excuse)
        return now - (time_s + prompt) if math.isfinite(prompt) else 0.0

    def excuse(self) -> None:
        """Hold nothing against what comes now, where it was not this machine that was late; the origin stays."""
        self._excused, self._since_excuse = True, math.inf

    def forget(self) -> None:
        """Hold nothing against frames that came sooner: the source delivers later than it did, and will go on so."""
        self._prompt = self._now_min = self._before_min = math.inf
        self._span_end, self._since_excuse = -math.inf, -math.inf
