"""What every row of a table is measured by: one truth, one set of resamples, and what is known of the videos.

The model, each control and anyone's predictions go through `Yardstick.row`, so that they have the same figures, and
any two rows can be compared over the same resamples (`intervals.differences`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refinevad.datasets.sources import Groups, read_groups
from refinevad.judging.alerts import EVENT_IOU, Curve, ScoredEvent, extract_events
from refinevad.judging.brightness import brightness_of
from refinevad.judging.event_points import EVENT_IOUS, event_counts, event_f1_at
from refinevad.judging.folds import by_fold
from refinevad.judging.intervals import difference, intervals
from refinevad.judging.predictions import Expansion, Predictions, align
from refinevad.judging.protocol import Protocol, evaluate_predictions
from refinevad.judging.resampled_events import ALERTS, BEST_F1
from refinevad.judging.resampling import Bootstrap, Sampled
from refinevad.judging.scene_bias import Factors, scene_bias, source_factors, table_factors
from refinevad.judging.truth import Truth


@dataclass(frozen=True, eq=False)
class Row:
    """Figures as JSON holds them, those that were resampled, and each video's scores in seconds."""

    figures: dict[str, Any]
    sampled: Mapping[str, Sampled]
    curves: Mapping[str, Curve]


@dataclass(frozen=True, eq=False)
class Yardstick:
    """A test set: its truth, its resamples, which videos belong together, and how they were filmed.

    With folds, each judged by a model of its own, every figure of scores is a mean over them (folds.py).
    """

    truth: Truth
    bootstrap: Bootstrap
    groups: Groups
    factors: Factors

    @classmethod
    def of(
        cls,
        truth: Truth,
        data: Path | None = None,
        sources: Mapping[str, Mapping[str, Any]] | None = None,
        resamples: int | None = None,
        folds: Sequence[Sequence[str]] | None = None,
    ) -> "Yardstick":
        """From the tables and videos in the folder `data`, and what features say of each video's source.

        `folds`: the videos that each of several models is judged on.

        Raises:
            InputError: a table that cannot be read, or a truth without videos.
        """
        names = [video.name for video in truth.videos]
        groups = Groups() if data is None else read_groups(data, names)
        factors = source_factors(sources or {})
        if data is not None:
            factors |= {"brightness": brightness_of(data, names)} | table_factors(data, names)
        return cls(truth, Bootstrap.of(truth, groups.of, resamples, folds=folds), groups, factors)

    def row(
        self,
        predictions: Predictions,
        protocol: Protocol,
        expansion: Expansion = "auto",
        allow_missing: bool = False,
        curves: Mapping[str, Curve] | None = None,
    ) -> Row:
        """Every figure that scores alone have, with intervals over videos.

        `curves` are the scores in seconds, where they lie otherwise than the truth's timeline says.

        Raises:
            InputError: as `align`.
        """
        figures = self.mean(
            predictions, lambda said, part: evaluate_predictions(said, part, protocol, expansion, allow_missing)
        )
        aligned = align(predictions, self.truth, expansion, allow_missing).videos
        drawn = curves or {v.truth.name: Curve(v.prediction.scores, v.time_bounds) for v in aligned}
        sampled = _by_protocol(self.bootstrap.of_videos(aligned), protocol)
        of_events = self._event_figures(drawn)
        sampled |= of_events
        figures |= _as_told(of_events) | _strict_map(sampled) | intervals(sampled)
        figures["auc_minus_video_mean"] = difference(sampled["auc"], sampled["video_mean_auc"])
        figures["resampled"] = self.bootstrap.as_dict() | {"unit": self.groups.unit, "note": self.groups.note}
        figures["scene_bias"] = scene_bias(aligned, self.factors, self.bootstrap)
        return Row(figures, sampled, drawn)

    def mean(
        self, predictions: Predictions, figures: Callable[[Predictions, Truth], Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Figures of each fold's predictions by its truth, averaged; without folds those of all."""
        return by_fold(predictions, self.bootstrap.parts, figures)

    def _event_figures(self, curves: Mapping[str, Curve]) -> dict[str, Sampled]:
        hours = {v.name: v.timeline.shown_s / 3600 for v in self.truth.videos if v.name in curves}
        return self.bootstrap.of_events(curves, self._true_events(curves), hours)

    def events_at(self, found: Mapping[str, Sequence[ScoredEvent]]) -> dict[str, Any]:
        """`event_f1_at` of events found at a given threshold, with its intervals, and that of `event_f1` among them."""
        events = self._true_events(found)
        figures = event_f1_at(found, events)
        if figures is None:
            return {"event_f1_at": None}
        sampled = {f"event_f1_at/{iou}": self.bootstrap.ratio(*event_counts(found, events, iou)) for iou in EVENT_IOUS}
        told = intervals({**sampled, "event_f1": sampled[f"event_f1_at/{EVENT_IOU}"]})
        return {"event_f1_at": figures} | told

    def events_from(self, row: Row, threshold: float) -> dict[str, Any]:
        """`events_at` of the runs of a row's scores at or above `threshold`."""
        return self.events_at({name: extract_events(curve, threshold) for name, curve in row.curves.items()})

    def _true_events(self, judged: Mapping[str, object]) -> dict[str, tuple[tuple[float, float], ...]]:
        return {video.name: video.events_s for video in self.truth.videos if video.name in judged}


def _as_told(sampled: Mapping[str, Sampled]) -> dict[str, Any]:
    """False alerts an hour at 80 % event recall, and event F1 at the best threshold; None without a true event."""
    if not sampled:
        return {ALERTS: None, BEST_F1: None}
    rate = sampled[ALERTS].value
    return {
        ALERTS: rate if math.isfinite(rate) else None,
        BEST_F1: {str(iou): sampled[f"{BEST_F1}/{iou}"].value for iou in EVENT_IOUS},
    }


def _by_protocol(sampled: Mapping[str, Sampled], protocol: Protocol) -> dict[str, Sampled]:
    """mAP, resampled by the strict protocol alone, under its own name where `map` is the legacy one's."""
    if protocol == "strict":
        return dict(sampled)
    return {f"map_strict{name[3:]}" if name.startswith("map") else name: each for name, each in sampled.items()}


def _strict_map(sampled: Mapping[str, Sampled]) -> dict[str, Any]:
    """`map_strict` and `map_strict_average` where they are among the resampled figures."""
    values = {name: each.value for name, each in sampled.items() if name.startswith("map_strict")}
    if not values:
        return {}
    average = values.pop("map_strict_average")
    return {
        "map_strict": {name.partition("/")[2]: value for name, value in values.items()},
        "map_strict_average": average,
    }
