"""Event figures over all thresholds on sets whose videos are drawn again: counted once a video, summed anew.

Thresholds stay those of the set as it is. In a resample each of them finds what it finds in the videos drawn, and the
best one is taken anew, as the figure itself takes it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from refinevad.judging.alerts import Curve, Interval, count_alerts
from refinevad.judging.event_points import EVENT_IOUS, count_events

RECALL = 0.8
ALERTS, BEST_F1 = "alerts_per_hour_at_80_recall", "event_f1_best_at"
Drawn = Callable[[Sequence[str]], Float[np.ndarray, "row video"]]


def event_samples(
    curves: Mapping[str, Curve],
    truths: Mapping[str, Sequence[Interval]],
    hours: Mapping[str, float],
    drawn: Drawn,
) -> dict[str, Float[np.ndarray, "row"]]:
    """`alerts_per_hour_at_80_recall` and `event_f1_best_at/0.2`, /0.3, /0.5 of each row of draws.

    `hours` are each video's; `drawn(names)` says how often a row holds each of the named videos. NaN where no event
    was drawn, or no threshold finds four fifths of them. At least one video has a true event.
    """
    alerts = count_alerts(curves, truths)
    rows = drawn(alerts.videos)
    true, footage = rows @ alerts.true, rows @ np.array([hours[name] for name in alerts.videos])
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = (rows @ alerts.found.T) / true[:, None]
        rate = (rows @ alerts.false.T) / footage[:, None]
    lowest = np.where(recall >= RECALL - 1e-12, rate, np.inf).min(axis=1)
    found = {ALERTS: np.where(np.isfinite(lowest), lowest, np.nan)}
    events = count_events(curves, truths)
    rows = drawn(events.videos)
    whole = rows @ events.events.T
    some = rows @ np.array([len(truths.get(name, ())) for name in events.videos]) > 0
    for iou, matched in zip(EVENT_IOUS, events.matched, strict=True):
        f1 = np.divide(rows @ matched.T, whole, out=np.zeros_like(whole), where=whole > 0)
        found[f"{BEST_F1}/{iou}"] = np.where(some, f1.max(axis=1), np.nan)
    return found
