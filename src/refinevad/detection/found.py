"""Everything found in one video."""

from dataclasses import dataclass
from typing import Any

from refinevad.detection.findings import Findings
from refinevad.detection.notebook import cell
from refinevad.detection.plot import draw
from refinevad.detection.record import detection_json, detection_record
from refinevad.detection.tables import as_frame
from refinevad.detection.wording import length, verdict


@dataclass(frozen=True, repr=False, eq=False)
class Detection(Findings):
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
        zones: which parts of the picture counted; without any, all of it.
        located: where in the picture an event's peak came from and by which path, by its place in `events`; none of an
            event whose score no cell carries, of those beyond the strongest 40, and where nobody asked.
    """

    def to_json(self) -> str:
        """The JSON document that `refinevad detect` writes (docs/formats.md, Detection).

        Raises:
            ValueError: a score is no number, which JSON cannot say.
        """
        return detection_json(detection_record(self))

    def to_pandas(self) -> Any:
        """A pandas DataFrame with a row a segment.

        Columns: `start_s`, `end_s`, `score`, `category.<name>` for each category's score, and `event`: the place in
        `events` of the one it lies in, missing where it lies in none.

        Raises:
            InputError: pandas is not installed.
        """
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
        return draw(self, axes)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return cell(self)

    def __repr__(self) -> str:
        return f"<Detection in {self.video}, {length(self.duration_s)}: {verdict(self)}>"
