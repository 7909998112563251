"""How often a threshold would have alerted on the stored scores, by the same hysteresis as live (events.py)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from refinevad.apps.live.storage.records import ScoreCurve
from refinevad.scoring.events import EventRule, find_runs
from refinevad.timeline import Timeline


@dataclass(frozen=True)
class AlertRate:
    """Alerts (events opened) at a threshold over the hours for which there are scores."""

    threshold: float
    alerts: int
    hours: float

    @property
    def per_hour(self) -> float:
        return self.alerts / self.hours if self.hours else 0.0


def alert_rates(curve: ScoreCurve, rules: Iterable[EventRule]) -> list[AlertRate]:
    """Alert rate of each rule. No event reaches across a time without scores: there the camera was away."""
    known = list(stretches(curve))
    hours = sum(float(timeline.time_bounds[-1] - timeline.time_bounds[0]) for _, timeline in known) / 3600
    return [
        AlertRate(rule.threshold, sum(len(find_runs(curve.score[part], line, rule)) for part, line in known), hours)
        for rule in rules
    ]


def stretches(curve: ScoreCurve) -> Iterator[tuple[slice, Timeline]]:
    """Parts whose segments follow each other; less than half a segment between them counts as following."""
    if not len(curve.time):
        return
    gap = curve.time[1:] - (curve.time[:-1] + curve.length_s[:-1])
    borders = [0, *(np.flatnonzero(gap > curve.length_s[:-1] / 2) + 1), len(curve.time)]
    for first, last in pairwise(borders):
        bounds = np.append(curve.time[first:last], curve.time[last - 1] + curve.length_s[last - 1])
        yield slice(int(first), int(last)), Timeline(np.arange(last - first + 1, dtype=np.int64), bounds)
