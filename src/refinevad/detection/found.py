"""Everything found in one video."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.scoring.events import Event
from refinevad.scoring.paths import PathCurves
from refinevad.timeline import Timeline


@dataclass(frozen=True, repr=False, eq=False)
class Detection:
    """Everything found in one video. Scores in [0, 1], times in seconds from its first frame.

    Attributes:
        video: its name.
        duration_s, frames, rate_hz: its length in seconds and in frames, and frames a second.
        timeline: where each segment begins and ends.
        scores: anomaly score of each segment.
        categories: names of the anomalies that the model knows.
        category_scores: score of each category in each segment, in their order.
        events: what happened, in order of time.
        threshold, low_threshold: an event opens above the one and lasts until the score falls below the other.
        alerts_per_hour: the rate on normal videos that the threshold was calibrated to.
        video_score: of the video as a whole: the mean of its highest segments, of as many as spoke for a video in
            training.
        model: the run, its encoder, and refinevad's version.
        start_s: what a player's clock shows at the first frame: its sound may begin before the picture, and frames
            given with times of their own begin with the first of these.
        notes: what a person should know of the video: a sentence each, none of a clean one.
        paths: what each path of the model adds to each segment's logit; None: not followed.
    """

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

    @property
    def times_s(self) -> Float[np.ndarray, "segment 2"]:
        """Where each segment begins and ends, in seconds from the first frame."""
        return np.stack([self.timeline.time_bounds[:-1], self.timeline.ends_s], axis=1)

    def to_json(self) -> str:
        """The JSON document that `refinevad detect` writes (docs/formats.md, Detection).

        Raises:
            ValueError: a score is no number, which JSON cannot say.
        """
        from refinevad.detection.record import detection_json, detection_record

        return detection_json(detection_record(self))

    def to_pandas(self) -> Any:
        """A pandas DataFrame with a row a segment.

        Columns: `start_s`, `end_s`, `score`, `category.<name>` for each category's score, and `event`: the place in
        `events` of the one it lies in, missing where it lies in none.

        Raises:
            InputError: pandas is not installed.
        """
        from refinevad.detection.tables import as_frame

        return as_frame(self)

    def plot(self, axes: Any = None) -> Any:
        """Draw the curve, its threshold and the events with matplotlib.

        Args:
            axes: where to draw; None: axes of a new figure.

        Returns:
            The matplotlib Axes.

        Raises:
            InputError: matplotlib is not installed.
        """
        from refinevad.detection.plot import draw

        return draw(self, axes)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from refinevad.detection.notebook import cell

        return cell(self)

    def __repr__(self) -> str:
        from refinevad.detection.wording import length, verdict

        return f"<Detection in {self.video}, {length(self.duration_s)}: {verdict(self)}>"
