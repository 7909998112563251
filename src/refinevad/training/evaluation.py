"""RUN + held-out videos + temporal truth -> figures, with the controls on the same videos beside them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.checkpoint import Checkpoint
from refinevad.errors import InputError
from refinevad.events import Event, EventRule, find_events
from refinevad.features import Features, require_same_signature
from refinevad.scores import Scores, score
from refinevad.timeline import Timeline
from refinevad.training.alerts import Curve, alerts_per_hour_at_recall, detection_delays, event_score, join_close
from refinevad.training.controls import chance, trivial
from refinevad.training.dataset import FeatureIndex, Item
from refinevad.training.predictions import VideoPrediction
from refinevad.training.protocol import Protocol, evaluate_predictions, frame_figures, map_figures
from refinevad.training.published import mean_over_crops
from refinevad.training.set_truth import read_truth, require_known_categories
from refinevad.training.truth import Truth, VideoTruth


@dataclass(frozen=True)
class Judged:
    """One test video: what the model said and what was true."""

    item: Item
    timeline: Timeline
    scores: Scores
    events: tuple[Event, ...]
    truth: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Result:
    """Figures of a run on its test videos.

    Attributes:
        metrics: the fixed names, event figures, and mAP by the other protocol as map_legacy or map_strict.
        controls: the same for each control, by name.
        by_category: frame AUC and event recall over each category's videos and the normal ones.
        videos: each video, in order.
        notes: what a person should know of truth that was left aside.
    """

    metrics: dict[str, Any]
    controls: dict[str, dict[str, Any]]
    by_category: dict[str, dict[str, Any]]
    videos: list[Judged]
    notes: tuple[str, ...] = ()


def _scored(checkpoint: Checkpoint, video: Features) -> Scores:
    bounds = video.timeline.time_bounds
    return mean_over_crops(video, lambda values: score(checkpoint.model, values, bounds, checkpoint.window))


def judge(checkpoint: Checkpoint, items: Sequence[Item], features: Sequence[Features], truth: Truth) -> list[Judged]:
    """Score every test video and find its events at the calibrated threshold."""
    by_name = {video.name: video for video in truth.videos}
    judged = []
    for item, video in zip(items, features, strict=True):
        require_same_signature(checkpoint.signature, video.provenance, item.path)
        scored = _scored(checkpoint, video)
        events = find_events(
            scored.segments,
            scored.categories,
            checkpoint.model.config.categories,
            video.timeline,
            EventRule.of(checkpoint.calibration),
        )
        judged.append(Judged(item, video.timeline, scored, tuple(events), by_name[item.path].events_s))
    return judged


def summarise(
    videos: Sequence[Judged],
    truth: Truth,
    controls: Mapping[str, Sequence[Float[np.ndarray, "_segment"]]],
    protocol: Protocol,
) -> Result:
    """All figures of judged videos, and of each control's curves on the same videos."""
    predictions = {
        video.item.path: VideoPrediction(
            video.scores.segments,
            np.concatenate([1 - video.scores.segments[:, None], video.scores.categories], axis=1),
        )
        for video in videos
    }
    curves = {v.item.path: Curve(v.scores.segments, v.timeline.time_bounds) for v in videos}
    metrics = evaluate_predictions(predictions, truth, protocol) | event_figures(curves, truth)
    other: Protocol = "legacy" if protocol == "strict" else "strict"
    counted = map_figures(predictions, truth, other)
    metrics |= {f"map_{other}": counted["map"], f"map_{other}_average": counted["map_average"]}
    found = {v.item.path: [(e.start_s, e.end_s, e.peak) for e in v.events] for v in videos}
    metrics |= _at_threshold(found, truth, sum(v.timeline.duration_s for v in videos) / 3600)
    beside = {}
    for name, scores in controls.items():
        plain = {v.item.path: VideoPrediction.of(s) for v, s in zip(videos, scores, strict=True)}
        drawn = {v.item.path: Curve(s, v.timeline.time_bounds) for v, s in zip(videos, scores, strict=True)}
        beside[name] = evaluate_predictions(plain, truth, protocol) | event_figures(drawn, truth)
    return Result(dict(metrics), beside, _by_category(predictions, truth), list(videos))


def event_figures(curves: Mapping[str, Curve], truth: Truth) -> dict[str, Any]:
    """Figures over all thresholds: false alerts an hour at 80 % event recall."""
    true_events = {video.name: video.events_s for video in truth.videos}
    if not any(true_events.values()):
        return {"alerts_per_hour_at_80_recall": None}
    hours = sum(video.timeline.duration_s for video in truth.videos) / 3600
    rate = alerts_per_hour_at_recall(curves, true_events, hours, recall=0.8)
    return {"alerts_per_hour_at_80_recall": rate if math.isfinite(rate) else None}


def _at_threshold(
    found: Mapping[str, Sequence[tuple[float, float, float]]], truth: Truth, hours: float
) -> dict[str, Any]:
    """Figures of the detector as it stands, at its calibrated threshold."""
    true_events = {video.name: video.events_s for video in truth.videos}
    result = event_score(found, true_events)
    delays = [
        delay for name, events in true_events.items() for delay in detection_delays(found[name], join_close(events))
    ]
    seen = [delay for delay in delays if delay is not None]
    normal = sum(len(found[video.name]) for video in truth.videos if video.normal)
    return {
        "event_f1": result.f1,
        "event_precision": result.precision,
        "event_recall": result.recall,
        "events_found": len(seen) / len(delays) if delays else None,
        "delay_s_median": float(np.median(seen)) if seen else None,
        "false_alerts_in_normal_videos": normal,
        "events": sum(map(len, found.values())),
        "hours": hours,
    }


def _by_category(predictions: Mapping[str, VideoPrediction], truth: Truth) -> dict[str, dict[str, Any]]:
    rows = {}
    for category in truth.categories:
        videos = tuple(v for v in truth.videos if v.normal or category in v.labels)
        if all(video.normal for video in videos):
            continue
        figures = frame_figures({v.name: predictions[v.name] for v in videos}, Truth(truth.columns, videos))
        rows[category] = {"videos": sum(not video.normal for video in videos), **figures}
    return rows


def evaluate(
    checkpoint: Checkpoint,
    index: FeatureIndex,
    items: Sequence[Item],
    data: Path,
    protocol: Protocol = "strict",
    lenient: bool = False,
) -> Result:
    """Evaluate one run on its test items with the data set's temporal truth, controls included.

    Raises:
        InputError: no test videos, features of another encoder, or no temporal truth.
    """
    return evaluate_folds([(checkpoint, items)], index, data, protocol, lenient)


def evaluate_folds(
    parts: Sequence[tuple[Checkpoint, Sequence[Item]]],
    index: FeatureIndex,
    data: Path,
    protocol: Protocol = "strict",
    lenient: bool = False,
) -> Result:
    """Evaluate one run, or the runs of a cross-validation with their test videos pooled.

    `lenient`: parts of the truth that match nothing are left aside and told in the result's notes.
    """
    judged: list[Judged] = []
    truths: list[VideoTruth] = []
    curves: dict[str, list[Float[np.ndarray, _segment]]] = {}
    columns: tuple[str, ...] = ()
    notes: dict[str, None] = {}
    for checkpoint, items in parts:
        tested = [item for item in items if item.split == "test"]
        if not tested:
            raise InputError(f"the data set {data} has no test videos; put some under test/<category>/")
        features = index.load(tested)
        categories = checkpoint.model.config.categories
        require_known_categories(tested, categories)
        truth = read_truth(data, tested, features, categories, index.items, lenient)
        judged += judge(checkpoint, tested, features, truth)
        truths += truth.videos
        columns = truth.columns
        notes |= dict.fromkeys(truth.notes)
        reference = index.load([item for item in items if item.split == "train"][:200])
        for name, scores in {"chance": chance(features), **trivial(features, reference)}.items():
            curves.setdefault(name, []).extend(scores)
    return replace(summarise(judged, Truth(columns, tuple(truths)), curves, protocol), notes=tuple(notes))
