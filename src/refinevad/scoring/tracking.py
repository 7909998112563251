"""scores -> events as they come: those of events.py, each announced, kept up to date and ended under one number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from refinevad.scoring.events import Event, EventRule
from refinevad.scoring.segment_scores import SegmentScores

UpdateKind = Literal["new", "update", "end"]


@dataclass(frozen=True)
class EventUpdate:
    """A change of one event. `before` is what was last told of it: None for a new one.

    Attributes:
        kind: `new`: it has begun and lasted long enough; `update`: it goes on; `end`: `after` is what it was.
        event: its number in the stream, the same for its whole life; 1, 2, 3 and on.
        cut: it ended because it had lasted as long as one may; what goes on is the next event.
    """

    kind: UpdateKind
    event: int
    before: Event | None
    after: Event
    cut: bool = False


@dataclass(frozen=True)
class _Run:
    """A stretch of segments summed up: what an Event needs."""

    start_s: float
    end_s: float
    peak: float
    peak_s: float
    share: Float[np.ndarray, "category"]

    def joined(self, later: "_Run") -> "_Run":
        peak, peak_s = (later.peak, later.peak_s) if later.peak > self.peak else (self.peak, self.peak_s)
        return _Run(self.start_s, later.end_s, peak, peak_s, self.share + later.share)


class EventTracker:
    """Hysteresis, merging and least length of `events.find_events`, segment by segment, in constant memory.

    An event is announced once it has lasted `min_s`, and ended when nothing can be merged with it any more, or at
    `flush`. An announced event is never taken back: it can only grow.

    `longest_s`: what would last longer is told as several events, each beginning where the one before it ends, so that
    nothing that goes on for ever hides what comes after it.
    """

    def __init__(self, categories: Sequence[str], rule: EventRule, longest_s: float = math.inf) -> None:
        self.categories, self.rule, self._longest_s = tuple(categories), rule, longest_s
        self._low = min(rule.low_threshold, rule.threshold)
        self._event: _Run | None = None  # runs above the upper threshold, merged
        self._between: _Run | None = None  # what came after them and may yet be part of the event
        self._rising: _Run | None = None  # a run above the lower threshold that has not passed the upper one
        self._running = False  # whether `_event` holds the newest segment
        self._told: Event | None = None
        self._number = 0

    def push(self, segments: SegmentScores) -> list[EventUpdate]:
        """Take final scores; return what they change, at most one `update` for an event."""
        updates: list[EventUpdate] = []
        for place in range(len(segments)):
            one = _Run(
                float(segments.start_s[place]),
                float(segments.end_s[place]),
                float(segments.scores[place]),
                float((segments.start_s[place] + segments.end_s[place]) / 2),
                segments.categories[place],
            )
            if one.peak > self._low:
                updates += self._above(one)
            else:
                updates += self._below(one)
        return updates + self._tell()

    def flush(self) -> list[EventUpdate]:
        """End what is open, when nothing follows."""
        self._rising = None
        return self._end()

    def _above(self, one: _Run) -> list[EventUpdate]:
        if self._running and self._event is not None:
            if self._too_long(self._event, one):
                ended = self._end(cut=True)
                self._event, self._running = one, True
                return ended
            self._event = self._event.joined(one)
            return []
        ended = []
        if self._rising is None and self._event is not None and self._too_late(one.start_s):
            ended = self._end()
        apart = self._rising is None or self._too_long(self._rising, one)
        self._rising = one if self._rising is None or apart else self._rising.joined(one)
        if one.peak > self.rule.threshold:
            if self._event is not None and self._too_long(self._event, self._rising):
                ended = [*ended, *self._end(cut=True)]
            if self._event is None:
                self._event = self._rising
            else:
                gap = self._event if self._between is None else self._event.joined(self._between)
                self._event = gap.joined(self._rising)
            self._rising = self._between = None
            self._running = True
        return ended

    def _below(self, one: _Run) -> list[EventUpdate]:
        self._running = False
        if self._rising is not None:  # it never passed the upper threshold: no part of an event by itself
            self._between = self._rising if self._between is None else self._between.joined(self._rising)
            self._rising = None
        if self._event is None:
            self._between = None
            return []
        self._between = one if self._between is None else self._between.joined(one)
        return self._end() if self._too_late(one.end_s) else []

    def _too_late(self, start_s: float) -> bool:
        """Whether a run that starts then lies too far behind the event to be merged."""
        return self._event is not None and start_s - self._event.end_s >= self.rule.merge_gap_s

    def _too_long(self, run: _Run, later: _Run) -> bool:
        """Whether both together would last longer than an event may."""
        return later.end_s - run.start_s > self._longest_s + 1e-9

    def _end(self, cut: bool = False) -> list[EventUpdate]:
        told = self._told
        changes = self._tell()
        updates = changes if told is None else []  # the last change of a known event is told by its end
        if self._told is not None:
            updates = [*updates, EventUpdate("end", self._number, told or self._told, self._told, cut)]
        self._event = self._between = self._told = None
        self._running = False
        return updates

    def _tell(self) -> list[EventUpdate]:
        run = self._event
        if run is None or run.end_s - run.start_s < self.rule.min_s - 1e-9:
            return []
        share = run.share / max(float(run.share.sum()), 1e-12)
        event = Event(
            start_s=run.start_s,
            end_s=run.end_s,
            peak=run.peak,
            peak_s=run.peak_s,
            category=self.categories[int(np.argmax(share))],
            probabilities={name: float(p) for name, p in zip(self.categories, share, strict=True)},
        )
        before, self._told = self._told, event
        if before == event:
            return []
        if before is None:
            self._number += 1
            return [EventUpdate("new", self._number, None, event)]
        return [EventUpdate("update", self._number, before, event)]
