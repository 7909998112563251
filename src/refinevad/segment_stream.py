"""A stream's segment vectors, as they come -> scores when they are final, and what they change in the events.

The one way for cameras (apps/live/engine/track.py) and for programs (streaming.py). Under the same window rule it
gives what scores.py and events.py give of the whole recording.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from refinevad.checkpoint import Checkpoint
from refinevad.errors import InputError
from refinevad.scoring.events import EventRule
from refinevad.scoring.scores import SegmentScores, StreamScorer
from refinevad.scoring.tracking import EventTracker, EventUpdate
from refinevad.scoring.windows import WindowRule
from refinevad.video.stamps import HOLE_S, RESTART_S


@dataclass(frozen=True)
class Scored:
    """What one push brought.

    Attributes:
        segments: scores that became final, with their times.
        updates: what they change in the events.
        arrived: when each of these segments came, as it was said.
    """

    segments: SegmentScores
    updates: tuple[EventUpdate, ...]
    arrived: Float[np.ndarray, "segment"]

    def then(self, later: "Scored") -> "Scored":
        """Both, one after the other."""
        a, b = self.segments, later.segments
        segments = SegmentScores(
            np.concatenate([a.start_s, b.start_s]),
            np.concatenate([a.end_s, b.end_s]),
            np.concatenate([a.scores, b.scores]),
            np.concatenate([a.categories, b.categories]),
        )
        return Scored(segments, self.updates + later.updates, np.concatenate([self.arrived, later.arrived]))


@dataclass
class StreamCounts:
    """What came, and what became of it.

    Attributes:
        frames: used; segments: made or pushed; late: frames or segments dropped because they do not advance;
        gaps: told by the caller, or holes; restarts: found by a time stamp that jumped back.
    """

    frames: int = 0
    segments: int = 0
    late: int = 0
    gaps: int = 0
    restarts: int = 0


class SegmentStream:
    """One stream's scores and events. A checkpoint can be shared by streams of one thread.

    Args:
        rule: window and delay; the window must be finite.
        longest_s: what would last longer is told as several events (tracking.py).

    Raises:
        InputError: an unbounded window.
    """

    def __init__(self, checkpoint: Checkpoint, rule: WindowRule, longest_s: float = math.inf) -> None:
        if not math.isfinite(rule.window_s):
            raise InputError("a stream needs a window in seconds: give its length")
        self.checkpoint, self.rule, self.counts = checkpoint, rule, StreamCounts()
        self._tracker = EventTracker(checkpoint.categories, EventRule.of(checkpoint.calibration), longest_s)
        self._begin()

    def _begin(self) -> None:
        self._scorer = StreamScorer(self.checkpoint.model, self.rule)
        self._arrivals: deque[float] = deque()  # of segments without a final score
        self._last_s = -math.inf  # end of the newest segment

    @property
    def held_segments(self) -> int:
        """Segments in memory."""
        return self._scorer.held

    def push(
        self, features: Float[np.ndarray, "channel"], start_s: float, end_s: float, arrived: float = math.nan
    ) -> Scored:
        """Take a segment's vector; `StreamingDetector.push_segment` says all else."""
        if not (math.isfinite(start_s) and math.isfinite(end_s) and start_s < end_s):
            raise InputError(f"a segment must last: got {start_s} to {end_s} seconds")
        start_s, end_s = float(start_s), float(end_s)  # of numpy's numbers
        self._check(features, start_s)
        before = self.nothing()
        if start_s < self._last_s - RESTART_S:
            self.counts.restarts += 1
            before = self.flush()
        elif end_s <= self._last_s:
            self.counts.late += 1
            return before
        elif math.isfinite(self._last_s) and start_s - self._last_s > HOLE_S:
            before = self.gap()
        start_s, self._last_s = max(start_s, self._last_s), end_s
        self.counts.segments += 1
        self._arrivals.append(arrived)
        return before.then(self._take(self._scorer.push(features, start_s, end_s)))

    def gap(self) -> Scored:
        """Pictures are missing from here on; the next push begins a new window."""
        self.counts.gaps += 1
        return self.flush()

    def flush(self) -> Scored:
        """The stream ended: the scores that wait, and the end of open events."""
        rest = self._take(self._scorer.flush())
        updates = tuple(self._tracker.flush())
        self._begin()
        return Scored(rest.segments, rest.updates + updates, rest.arrived)

    def nothing(self) -> Scored:
        """What a push brings that makes no score final."""
        return Scored(SegmentScores.none(len(self.checkpoint.categories)), (), np.zeros(0))

    def _check(self, features: Float[np.ndarray, "channel"], start_s: float) -> None:
        channels = self.checkpoint.model.config.channels
        if features.shape != (channels,):
            raise InputError(f"the model takes {channels} numbers a segment: got {features.shape}")
        if not np.isfinite(features).all():
            raise InputError(f"NaN or infinite values in the segment from {start_s:.2f} s; check the encoder's weights")

    def _take(self, segments: SegmentScores) -> Scored:
        if not np.isfinite(segments.scores).all():  # NaN is above no threshold: nothing would ever be told
            raise InputError(f"the model gives no number after {segments.start_s[0]:.2f} s; check the run's weights")
        arrived = np.array([self._arrivals.popleft() for _ in range(len(segments))], dtype=np.float64)
        return Scored(segments, tuple(self._tracker.push(segments)), arrived)
