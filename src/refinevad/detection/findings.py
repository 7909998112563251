"""The fields of a detection, which those who write one down are given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.scoring.events import Event
from refinevad.scoring.paths import PathCurves
from refinevad.scoring.where import Located
from refinevad.timeline import Timeline
from refinevad.video.zones import Zones


@dataclass(frozen=True, repr=False, eq=False)
class Findings:
    """What was found in one video; `Detection` (found.py) says what each field is."""

    video: str
    duration_s: float
    frames: int
    rate_hz: float
    timeline: Timeline
    scores: Float[np.ndarray, "segment"]
    categories: tuple[str, ...]
    category_scores: Float[np.ndarray, "segment category"]
    events: tuple[Event, ...]
    threshold: float
    low_threshold: float
    alerts_per_hour: float
    video_score: float
    model: Mapping[str, Any]
    start_s: float = 0.0
    notes: tuple[str, ...] = ()
    paths: PathCurves | None = None
    zones: Zones = field(default_factory=Zones)
    located: Mapping[int, Located] = field(default_factory=dict)

    @property
    def times_s(self) -> Float[np.ndarray, "segment 2"]:
        """Where each segment begins and ends, in seconds from the first frame."""
        return np.stack([self.timeline.time_bounds[:-1], self.timeline.ends_s], axis=1)
