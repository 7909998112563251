"""scores -> events: hysteresis, minimum length and gap merging; and the threshold that keeps a target alert rate."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float

from refinevad.errors import InputError
from refinevad.timeline import Timeline

MIN_EVENT_S = 0.5
MERGE_GAP_S = 2.0
RENEWED_S = 30.0  # in calibration an alarm that stays on counts again every so many seconds, so that it is not cheap
LOW_SHARE = 0.7  # the lower threshold lies at this share of the way from the quiet level to the upper one


@dataclass(frozen=True)
class Event:
    """Something that happened: [start_s, end_s), its highest score and where, and how it resembles each category."""

    start_s: float
    end_s: float
    peak: float
    peak_s: float
    category: str
    probabilities: dict[str, float]

    @classmethod
    def of(
        cls,
        span_s: tuple[float, float],
        peak: tuple[float, float],
        category_scores: Float[np.ndarray, "category"],
        categories: Sequence[str],
    ) -> "Event":
        """Of where it begins and ends, its highest score and where, and each category's scores added up over it."""
        share = category_scores / max(float(category_scores.sum()), 1e-12)
        probabilities = {name: float(p) for name, p in zip(categories, share, strict=True)}
        return cls(*span_s, *peak, categories[int(np.argmax(share))], probabilities)


@dataclass(frozen=True)
class Calibration:
    """Thresholds on a segment's score, from normal validation videos.

    Attributes:
        threshold: an event opens above it.
        low_threshold: an open event lasts until the score falls below it.
        alerts_per_hour: the rate asked for.
        certified: whether the normal validation videos are long enough to vouch for that rate.
        normal_hours: how long they are together.
    """

    threshold: float
    low_threshold: float
    alerts_per_hour: float
    certified: bool
    normal_hours: float

    def at(self, threshold: float | None) -> "Calibration":
        """The same with the threshold moved by a person, which vouches for no rate; None: as it is.

        The lower threshold keeps its share of the way from the quiet level, which the two thresholds tell.

        Raises:
            InputError: the threshold lies outside of [0, 1].
        """
        if threshold is None or threshold == self.threshold:
            return self
        if not 0 <= threshold <= 1:
            raise InputError(f"a threshold must lie in [0, 1], as scores do: got {threshold}")
        return replace(self, threshold=threshold, low_threshold=self.low_at(threshold), certified=False)

    def low_at(self, threshold: float) -> float:
        """The lower threshold that goes with an upper one in [0, 1]."""
        if threshold == self.threshold:
            return self.low_threshold
        quiet = (self.low_threshold - LOW_SHARE * self.threshold) / (1 - LOW_SHARE)
        if quiet < 0:  # no score is so quiet: a person wrote these thresholds, and they keep their ratio
            return threshold * self.low_threshold / self.threshold
        return _low(threshold, quiet)


@dataclass(frozen=True)
class EventRule:
    """When an event opens, lasts, ends and counts: scores in [0, 1], lengths in seconds."""

    threshold: float
    low_threshold: float
    min_s: float = MIN_EVENT_S
    merge_gap_s: float = MERGE_GAP_S

    @classmethod
    def of(cls, calibration: Calibration) -> "EventRule":
        return cls(calibration.threshold, calibration.low_threshold)

    def lasts(self, start_s: float, end_s: float) -> bool:
        """Whether an event lasts long enough to count."""
        return end_s - start_s >= self.min_s - 1e-9


RunT = TypeVar("RunT", bound="Run")


@runtime_checkable
class Run(Protocol):
    """A stretch of segments, summed up as far as whoever follows it needs."""

    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...
    @property
    def peak(self) -> float: ...

    def joined(self: RunT, later: RunT) -> RunT:
        """Both and what lies between them; `later` comes behind it."""
        ...


class Hysteresis(Generic[RunT]):
    """When an event opens, lasts and ends: the one state machine of recordings and streams. Constant memory.

    It takes a curve without a hole in pieces that follow each other, each on one side of the lower threshold: a
    stream's single segments (tracking.py), or a recording's whole runs (`find_runs`). An event opens where the score
    exceeds `threshold`, and reaches both ways while it stays above `low_threshold`; what is closer to it than
    `merge_gap_s` and passes the upper threshold, too, becomes part of it. How long an event must last is its reader's.

    Args:
        longest_s: what would last longer ends, and goes on as the next event.

    Attributes:
        event: the one that is open, up to the last piece that is surely part of it.
    """

    def __init__(self, rule: EventRule, longest_s: float = math.inf) -> None:
        self.event: RunT | None = None
        self._rule, self._longest_s = rule, longest_s
        self._low = min(rule.low_threshold, rule.threshold)
        self._between: RunT | None = None  # what came after the event and may yet be part of it
        self._rising: RunT | None = None  # a run above the lower threshold that has not passed the upper one
        self._running = False  # whether `event` holds the newest piece

    def push(self, one: RunT) -> list[tuple[RunT, bool]]:
        """Take the next piece; the events that ended, and whether each was cut because it would last too long."""
        return self._above(one) if one.peak > self._low else self._below(one)

    def flush(self) -> list[tuple[RunT, bool]]:
        """Nothing follows: end what is open, and begin anew."""
        self._rising = None
        return self._end()

    def _above(self, one: RunT) -> list[tuple[RunT, bool]]:
        if self._running and self.event is not None:
            if self._too_long(self.event, one):
                ended = self._end(cut=True)
                self.event, self._running = one, True
                return ended
            self.event = self.event.joined(one)
            return []
        ended = []
        if self._rising is None and self._too_late(one.start_s):
            ended = self._end()
        apart = self._rising is None or self._too_long(self._rising, one)
        self._rising = one if self._rising is None or apart else self._rising.joined(one)
        if one.peak > self._rule.threshold:
            if self.event is not None and self._too_long(self.event, self._rising):
                ended = [*ended, *self._end(cut=True)]
            if self.event is None:
                self.event = self._rising
            else:
                gap = self.event if self._between is None else self.event.joined(self._between)
                self.event = gap.joined(self._rising)
            self._rising = self._between = None
            self._running = True
        return ended

    def _below(self, one: RunT) -> list[tuple[RunT, bool]]:
        self._running = False
        if self._rising is not None:  # it never passed the upper threshold: no part of an event by itself
            self._between = self._rising if self._between is None else self._between.joined(self._rising)
            self._rising = None
        if self.event is None:
            self._between = None
            return []
        self._between = one if self._between is None else self._between.joined(one)
        return self._end() if self._too_late(one.end_s) else []

    def _too_late(self, start_s: float) -> bool:
        """Whether a run that starts then lies too far behind the event to be merged."""
        return self.event is not None and start_s - self.event.end_s >= self._rule.merge_gap_s

    def _too_long(self, run: RunT, later: RunT) -> bool:
        """Whether both together would last longer than an event may."""
        return later.end_s - run.start_s > self._longest_s + 1e-9

    def _end(self, cut: bool = False) -> list[tuple[RunT, bool]]:
        ended = [] if self.event is None else [(self.event, cut)]
        self.event = self._between = None
        self._running = False
        return ended


@dataclass(frozen=True)
class _Range:
    """A run by its place in the curve: segments [first, last)."""

    start_s: float
    end_s: float
    peak: float
    first: int
    last: int

    def joined(self, later: "_Range") -> "_Range":
        return _Range(self.start_s, later.end_s, max(self.peak, later.peak), self.first, later.last)


def find_runs(scores: Float[np.ndarray, "segment"], timeline: Timeline, rule: EventRule) -> list[tuple[int, int]]:
    """Half-open segment ranges of events, by the rule of `Hysteresis`; those shorter than `min_s` are dropped.

    None reaches across a hole.
    """
    machine: Hysteresis[_Range] = Hysteresis(rule)
    ended, curve = [], np.asarray(scores, dtype=np.float64)
    for first, last in timeline.stretches():
        for piece in _pieces(curve, timeline, first, last, min(rule.low_threshold, rule.threshold)):
            ended += machine.push(piece)
        ended += machine.flush()
    return [(run.first, run.last) for run, _ in ended if rule.lasts(run.start_s, run.end_s)]


def _pieces(
    scores: Float[np.ndarray, "segment"], timeline: Timeline, first: int, last: int, low: float
) -> Iterator[_Range]:
    """The curve of a stretch, cut wherever it crosses the lower threshold."""
    if first == last:
        return
    above = scores[first:last] > low
    starts = first + np.concatenate([[0], np.flatnonzero(above[1:] != above[:-1]) + 1])
    peaks = np.maximum.reduceat(scores[:last], starts)
    ends = np.append(starts[1:], last)
    begin_s, end_s = timeline.time_bounds[starts], timeline.ends_s[ends - 1]
    columns = (begin_s.tolist(), end_s.tolist(), peaks.tolist(), starts.tolist(), ends.tolist())
    yield from map(_Range, *columns)


def find_events(
    scores: Float[np.ndarray, "segment"],
    category_scores: Float[np.ndarray, "segment category"],
    categories: Sequence[str],
    timeline: Timeline,
    rule: EventRule,
) -> list[Event]:
    """Events of one curve, each with the category whose score is largest over it."""
    events, ends = [], timeline.ends_s
    for start, end in find_runs(scores, timeline, rule):
        peak = start + int(np.argmax(scores[start:end]))
        events.append(
            Event.of(
                (float(timeline.time_bounds[start]), float(ends[end - 1])),
                (float(scores[peak]), float((timeline.time_bounds[peak] + ends[peak]) / 2)),
                category_scores[start:end].sum(0),
                categories,
            )
        )
    return events


def calibrate(
    normal: Sequence[tuple[Float[np.ndarray, "_segment"], Timeline]],
    alerts_per_hour: float,
    moved: Calibration | None = None,
) -> Calibration:
    """The lowest threshold that keeps normal validation videos at or under a target alert rate.

    An alarm that stays on counts once for each `RENEWED_S`. Conformal in form: with n alerts over h hours the rate is
    taken as (n + 1) / h, so a rate below 1 / h cannot be vouched for; then the threshold is the highest normal score
    and `certified` is false. Without normal videos it is 0.5, uncertified. Hours are those with pictures.

    `moved`: the calibration whose threshold is to be moved; the lower one is then what moving it gives. Without one it
    follows from the median of the normal scores, the quiet level.
    """
    hours = sum(timeline.shown_s for _, timeline in normal) / 3600
    pooled = np.concatenate([scores for scores, _ in normal]) if normal else np.zeros(0)
    if not len(pooled):
        return Calibration(0.5, 0.5 * LOW_SHARE, alerts_per_hour, False, 0.0)
    quiet = float(np.median(pooled))

    def low(threshold: float) -> float:
        return _low(threshold, quiet) if moved is None else moved.low_at(threshold)

    highest = [float(scores.max(initial=-math.inf)) for scores, _ in normal]

    def alerts(threshold: float) -> int:
        rule = EventRule(threshold, low(threshold))
        lengths = [
            timeline.ends_s[end - 1] - timeline.time_bounds[start]
            for (scores, timeline), peak in zip(normal, highest, strict=True)
            if peak > threshold
            for start, end in find_runs(scores, timeline, rule)
        ]
        return sum(max(1, math.ceil(length / RENEWED_S)) for length in lengths)

    # candidates from the top: the first that breaks the target ends the search; events need not be monotone in it
    candidates = np.unique(pooled)[::-1]
    threshold, certified = float(candidates[0]), (0 + 1) / hours <= alerts_per_hour
    if certified:
        for candidate, most in zip(candidates, _most_alerts(normal, candidates, low), strict=True):
            within = (most + 1) / hours <= alerts_per_hour
            if not within and (alerts(float(candidate)) + 1) / hours > alerts_per_hour:
                break
            threshold = float(candidate)
    return Calibration(threshold, low(threshold), alerts_per_hour, certified, hours)


def _most_alerts(
    normal: Sequence[tuple[Float[np.ndarray, "_segment"], Timeline]],
    candidates: Float[np.ndarray, "candidate"],
    low_of: Callable[[float], float],
) -> Float[np.ndarray, "candidate"]:
    """No fewer alerts than each threshold gives, for all of them at once: counting them costs a pass over every curve.

    Every event holds a place where its curve rises above the threshold, and renewals take time above the lower one.
    `low_of`: the lower threshold of an upper one.
    """
    scores = np.concatenate([curve for curve, _ in normal])
    seconds = np.concatenate([timeline.ends_s - timeline.time_bounds[:-1] for _, timeline in normal])
    inside = np.ones(len(scores), dtype=bool)
    begins = np.cumsum([0, *(len(curve) for curve, _ in normal)])
    stretch_begins = [
        begins[place] + first
        for place, (_, timeline) in enumerate(normal)
        for first, last in timeline.stretches()
        if last > first
    ]
    inside[stretch_begins] = False
    both = np.sort(np.minimum(scores[1:], scores[:-1])[inside[1:]])
    order = np.argsort(scores)
    ordered = scores[order]
    rises = (len(ordered) - np.searchsorted(ordered, candidates, "right")) - (
        len(both) - np.searchsorted(both, candidates, "right")
    )
    low = np.array([low_of(float(candidate)) for candidate in candidates])
    time_above = np.concatenate([np.cumsum(seconds[order][::-1])[::-1], [0.0]])
    return np.asarray(rises + time_above[np.searchsorted(ordered, low, "right")] / RENEWED_S)


def _low(threshold: float, quiet: float) -> float:
    return min(threshold, quiet + LOW_SHARE * (threshold - quiet))
