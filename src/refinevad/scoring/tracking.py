"""scores -> events as they come: those of events.py, each announced, kept up to date and ended under one number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from refinevad.scoring.events import Event, EventRule, Hysteresis
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
    """The events of `events.find_events`, segment by segment, in constant memory (`events.Hysteresis`).

    An event is announced once it has lasted `min_s`, and ended when nothing can be merged with it any more, or at
    `flush`. An announced event is never taken back: it can only grow.

    `longest_s`: what would last longer is told as several events, each beginning where the one before it ends, so that
    nothing that goes on for ever hides what comes after it.
    """

    def __init__(self, categories: Sequence[str], rule: EventRule, longest_s: float = math.inf) -> None:
        self.categories, self.rule = tuple(categories), rule
        self._machine: Hysteresis[_Run] = Hysteresis(rule, longest_s)
        self._told: Event | None = None  # of the open event
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
            for run, cut in self._machine.push(one):
                updates += self._end(run, cut)
        return updates + self._tell(self._machine.event)

    def flush(self) -> list[EventUpdate]:
        """End what is open, when nothing follows."""
        return [update for run, cut in self._machine.flush() for update in self._end(run, cut)]

    def _end(self, run: _Run, cut: bool) -> list[EventUpdate]:
        told = self._told
        changes = self._tell(run)
        updates = changes if told is None else []  # the last change of a known event is told by its end
        if self._told is not None:
            updates = [*updates, EventUpdate("end", self._number, told or self._told, self._told, cut)]
        self._told = None
        return updates

    def _tell(self, run: _Run | None) -> list[EventUpdate]:
        if run is None or not self.rule.lasts(run.start_s, run.end_s):
            return []
        event = Event.of((run.start_s, run.end_s), (run.peak, run.peak_s), run.share, self.categories)
        before, self._told = self._told, event
        if before == event:
            return []
        if before is None:
            self._number += 1
            return [EventUpdate("new", self._number, None, event)]
        return [EventUpdate("update", self._number, before, event)]
