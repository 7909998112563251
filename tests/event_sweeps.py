"""Event figures of a set as it is, over all thresholds: what those of resamples are on a set of copies."""

import math
from collections.abc import Mapping, Sequence

from refinevad.judging.alerts import EARLY_S, GAP_S, Curve, Interval, sweep_alerts
from refinevad.judging.event_points import EVENT_IOUS, count_events


def alerts_per_hour_at_recall(
    curves: Mapping[str, Curve],
    truths: Mapping[str, Sequence[Interval]],
    hours: float,
    recall: float = 0.8,
    gap_s: float = GAP_S,
    early_s: float = EARLY_S,
) -> float:
    """Fewest false alerts per hour of footage among thresholds that find at least `recall` of the true events.

    Infinity where no threshold does.
    """
    sweep = sweep_alerts(curves, truths, hours, gap_s, early_s)
    reached = sweep.false_per_hour[sweep.recall >= recall - 1e-12]
    return float(reached.min()) if len(reached) else math.inf


def best_event_f1_at(curves: Mapping[str, Curve], truths: Mapping[str, Sequence[Interval]]) -> dict[str, float] | None:
    """The highest `event_f1_at` that any threshold reaches, each IoU with its own; None without a true event.

    The threshold is chosen on the test set: a bound for scores that come without one, not a result. Thresholds are
    those of `count_events`.
    """
    if not any(truths.values()):
        return None
    counts = count_events(curves, truths)
    best = (counts.matched.sum(axis=-1) / counts.events.sum(axis=-1)).max(axis=-1)
    return {str(iou): float(value) for iou, value in zip(EVENT_IOUS, best, strict=True)}
