"""Event F1 at the overlaps that tables are compared at: at a given threshold, and at the best one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from refinevad.judging.alerts import Curve, Interval, ScoredEvent, extract_events, match_events

EVENT_IOUS = (0.2, 0.3, 0.5)
MOST_THRESHOLDS = 32

Counts = tuple[dict[str, int], dict[str, int]]


def event_counts(
    predicted: Mapping[str, Sequence[ScoredEvent]], truths: Mapping[str, Sequence[Interval]], iou: float
) -> Counts:
    """By video: 2 x matched events, and predicted + true events. F1 is the sum of the one over that of the other."""
    names = {*predicted, *truths}
    matched = {
        name: 2 * len(match_events(predicted.get(name, ()), truths[name], iou)) for name in names if truths.get(name)
    }
    return matched, {name: len(predicted.get(name, ())) + len(truths.get(name, ())) for name in names}


def event_f1_at(
    predicted: Mapping[str, Sequence[ScoredEvent]], truths: Mapping[str, Sequence[Interval]]
) -> dict[str, float] | None:
    """F1 by IoU ("0.2", "0.3", "0.5"); None without a true event."""
    if not any(truths.values()):
        return None
    found = {}
    for iou in EVENT_IOUS:
        matched, events = event_counts(predicted, truths, iou)
        found[str(iou)] = sum(matched.values()) / sum(events.values())
    return found


@dataclass(frozen=True, eq=False)
class EventCounts:
    """Events at each threshold: F1 is the sum over videos of `matched` over that of `events`.

    Attributes:
        videos: names, in the order of the columns.
        matched: 2 x matched events, by each of EVENT_IOUS.
        events: predicted + true events.
    """

    videos: tuple[str, ...]
    matched: Int[np.ndarray, "iou threshold video"]
    events: Int[np.ndarray, "threshold video"]


def count_events(curves: Mapping[str, Curve], truths: Mapping[str, Sequence[Interval]]) -> EventCounts:
    """Counts at the distinct scores, or 32 even quantiles of them where there are more."""
    distinct = np.unique(np.concatenate([curve.scores for curve in curves.values()]))
    if len(distinct) > MOST_THRESHOLDS:
        distinct = np.unique(np.quantile(distinct, np.linspace(0, 1, MOST_THRESHOLDS)))
    names = tuple(dict.fromkeys([*curves, *truths]))
    matched = np.zeros((len(EVENT_IOUS), len(distinct), len(names)), dtype=np.int64)
    events = np.zeros((len(distinct), len(names)), dtype=np.int64)
    for row, threshold in enumerate(distinct):
        found = {name: extract_events(curve, float(threshold)) for name, curve in curves.items()}
        for place, iou in enumerate(EVENT_IOUS):
            twice, whole = event_counts(found, truths, iou)
            matched[place, row] = [twice.get(name, 0) for name in names]
            events[row] = [whole.get(name, 0) for name in names]
    return EventCounts(names, matched, events)
