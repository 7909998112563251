"""scores -> events: hysteresis, minimum length and gap merging; and the threshold that keeps a target alert rate."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

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
        if quiet < 0:  # thresholds that a person wrote may lie so that no score is so quiet: they keep their ratio
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


def find_runs(scores: Float[np.ndarray, "segment"], timeline: Timeline, rule: EventRule) -> list[tuple[int, int]]:
    """Half-open segment ranges of events.

    A run opens where the score exceeds `threshold` and reaches both ways while it stays above `low_threshold`; runs
    closer than `merge_gap_s` become one; what is then shorter than `min_s` is dropped. None reaches across a hole.
    """
    return [
        (first + start, first + end)
        for first, last in timeline.stretches()
        for start, end in _runs(scores[first:last], timeline.time_bounds[first:last], timeline.ends_s[first:last], rule)
    ]


def _runs(
    scores: Float[np.ndarray, "segment"],
    starts: Float[np.ndarray, "segment"],
    ends: Float[np.ndarray, "segment"],
    rule: EventRule,
) -> list[tuple[int, int]]:
    """`find_runs` of a stretch without a hole."""
    above = scores > min(rule.low_threshold, rule.threshold)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], above, [False]]).astype(np.int8)))
    runs = [
        (int(start), int(end))
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if (scores[start:end] > rule.threshold).any()
    ]
    merged: list[tuple[int, int]] = []
    for start, end in runs:
        if merged and starts[start] - ends[merged[-1][1] - 1] < rule.merge_gap_s:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return [(s, e) for s, e in merged if ends[e - 1] - starts[s] >= rule.min_s - 1e-9]


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
        share = category_scores[start:end].sum(0)
        share = share / max(float(share.sum()), 1e-12)
        events.append(
            Event(
                start_s=float(timeline.time_bounds[start]),
                end_s=float(ends[end - 1]),
                peak=float(scores[peak]),
                peak_s=float((timeline.time_bounds[peak] + ends[peak]) / 2),
                category=categories[int(np.argmax(share))],
                probabilities={name: float(p) for name, p in zip(categories, share, strict=True)},
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
