"""How far each path of a model lifts an event."""

import numpy as np

from refinevad.scoring.events import Event
from refinevad.scoring.paths import PathCurves
from refinevad.timeline import Timeline


def event_lifts(paths: PathCurves, timeline: Timeline, event: Event) -> dict[str, float]:
    """How far each path lifts an event's segments on average, in logits."""
    inside = np.flatnonzero((timeline.ends_s > event.start_s) & (timeline.time_bounds[:-1] < event.end_s))
    return paths.lifts(int(inside[0]), int(inside[-1]) + 1) if len(inside) else dict.fromkeys(paths.names, 0.0)
