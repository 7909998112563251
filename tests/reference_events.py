"""The events of a curve said plainly: the oracle of `find_events` and of `EventTracker`, which share a state machine.

1. A run is a longest stretch of segments above the lower threshold in which some segment is above the upper one.
2. Two runs with less than `merge_gap_s` between them are one event with what lies between them; so on, while any are.
3. An event shorter than `min_s` is none.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from refinevad.scoring.events import Event, EventRule


def plain_ranges(scores: Sequence[float], bounds: Sequence[float], rule: EventRule) -> list[tuple[int, int]]:
    """Half-open segment ranges of events of a curve without a hole, whose segment t lasts from bounds[t] on."""
    low = min(rule.low_threshold, rule.threshold)
    runs = []
    for above, members in groupby(range(len(scores)), key=lambda place: scores[place] > low):
        places = list(members)
        if above and any(scores[place] > rule.threshold for place in places):
            runs.append((places[0], places[-1] + 1))
    while True:
        near = [k for k in range(len(runs) - 1) if bounds[runs[k + 1][0]] - bounds[runs[k][1]] < rule.merge_gap_s]
        if not near:
            break
        runs[near[-1] : near[-1] + 2] = [(runs[near[-1]][0], runs[near[-1] + 1][1])]
    return [(first, last) for first, last in runs if bounds[last] - bounds[first] >= rule.min_s - 1e-9]


def plain_events(
    scores: np.ndarray, shares: np.ndarray, names: Sequence[str], bounds: np.ndarray, rule: EventRule
) -> list[Event]:
    """The events with all that is told of them."""
    events = []
    for first, last in plain_ranges(scores.tolist(), bounds.tolist(), rule):
        inside = scores[first:last].tolist()
        peak = first + inside.index(max(inside))
        totals = [sum(shares[first:last, column].tolist()) for column in range(len(names))]
        probabilities = {name: total / max(sum(totals), 1e-12) for name, total in zip(names, totals, strict=True)}
        category = max(names, key=lambda name: probabilities[name])
        middle = (bounds[peak] + bounds[peak + 1]) / 2
        events.append(
            Event(float(bounds[first]), float(bounds[last]), max(inside), float(middle), category, probabilities)
        )
    return events
