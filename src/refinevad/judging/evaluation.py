"""RUN + held-out videos + temporal truth -> figures, with the controls on the same videos beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.checkpoint import Checkpoint
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.datasets.published import mean_over_crops
from refinevad.errors import InputError
from refinevad.features.store import Features, require_same_signature
from refinevad.judging.alerts import Curve, detection_delays, event_score, join_close
from refinevad.judging.controls import REFERENCE_VIDEOS, chance, trivial
from refinevad.judging.intervals import differences
from refinevad.judging.predictions import Predictions, VideoPrediction
from refinevad.judging.protocol import Protocol, frame_figures, map_figures
from refinevad.judging.set_truth import read_truth, require_known_categories
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.judging.yardstick import Yardstick
from refinevad.ridge import RIDGE
from refinevad.scoring.events import Event, EventRule, find_events
from refinevad.scoring.paths import PathCurves
from refinevad.scoring.scores import Scores, score_timeline
from refinevad.scoring.windows import WindowRule
from refinevad.segment_model import SegmentModel
from refinevad.timeline import Timeline


@dataclass(frozen=True)
class Judged:
    """One test video: what the model said and what was true."""

    item: Item
    timeline: Timeline
    scores: Scores
    events: tuple[Event, ...]
    truth: tuple[tuple[float, float], ...]
    paths: PathCurves | None = None


@dataclass(frozen=True)
class Result:
    """Figures of a run on its test videos.

    Attributes:
        metrics: the fixed names, event figures, and mAP by the other protocol as map_legacy or map_strict; behind a
            name `_ci95` its interval over videos.
        controls: the same for each control, by name, and under `model_minus_control` what the model is ahead by, over
            the same resamples.
        by_category: frame AUC and event recall over each category's videos and the normal ones.
        videos: each video, in order.
        control_scores: segment scores of each control, by its name and the video's path.
        notes: what a person should know of truth that was left aside.
    """

    metrics: dict[str, Any]
    controls: dict[str, dict[str, Any]]
    by_category: dict[str, dict[str, Any]]
    videos: list[Judged]
    control_scores: dict[str, dict[str, Float[np.ndarray, "_segment"]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _scored(model: SegmentModel, video: Features, rule: WindowRule) -> Scores:
    return mean_over_crops(video, lambda values: score_timeline(model, values, video.timeline, rule))


def _prediction(scores: Scores) -> VideoPrediction:
    return VideoPrediction(scores.segments, np.concatenate([1 - scores.segments[:, None], scores.categories], axis=1))


def judge(checkpoint: Checkpoint, items: Sequence[Item], features: Sequence[Features], truth: Truth) -> list[Judged]:
    """Score every test video and find its events at the calibrated threshold."""
    by_name = {video.name: video for video in truth.videos}
    judged = []
    for item, video in zip(items, features, strict=True):
        require_same_signature(checkpoint.signature, video.provenance, item.path)
        scored = _scored(checkpoint.model, video, checkpoint.window)
        events = find_events(
            scored.segments,
            scored.categories,
            checkpoint.model.config.categories,
            video.timeline,
            EventRule.of(checkpoint.calibration),
        )
        paths = PathCurves.of(checkpoint.model, scored.paths)
        judged.append(Judged(item, video.timeline, scored, tuple(events), by_name[item.path].events_s, paths))
    return judged


def summarise(
    videos: Sequence[Judged],
    truth: Truth,
    controls: Mapping[str, Sequence[VideoPrediction]],
    protocol: Protocol,
    yardstick: Yardstick | None = None,
) -> Result:
    """All figures of judged videos, and of what each control says of the same videos, on the same resamples of them."""
    yardstick = yardstick or Yardstick.of(truth)
    predictions = {video.item.path: _prediction(video.scores) for video in videos}
    curves = {v.item.path: Curve.of(v.scores.segments, v.timeline) for v in videos}
    ours = yardstick.row(predictions, protocol, curves=curves)
    metrics = ours.figures
    other: Protocol = "legacy" if protocol == "strict" else "strict"
    counted = yardstick.mean(predictions, lambda said, part: map_figures(said, part, other))
    metrics |= {f"map_{other}": counted["map"], f"map_{other}_average": counted["map_average"]}
    found = {v.item.path: [(e.start_s, e.end_s, e.peak) for e in v.events] for v in videos}
    metrics |= _at_threshold(found, truth, sum(v.timeline.shown_s for v in videos) / 3600)
    metrics |= yardstick.events_at(found)
    beside, drawn = {}, {}
    for name, said in controls.items():
        plain = {v.item.path: prediction for v, prediction in zip(videos, said, strict=True)}
        drawn[name] = {path: prediction.scores for path, prediction in plain.items()}
        shown = {v.item.path: Curve.of(p.scores, v.timeline) for v, p in zip(videos, said, strict=True)}
        row = yardstick.row(plain, protocol, curves=shown)
        beside[name] = row.figures | {"model_minus_control": differences(ours.sampled, row.sampled)}
    return Result(metrics, beside, by_category(predictions, yardstick), list(videos), drawn)


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


def by_category(predictions: Mapping[str, VideoPrediction], yardstick: Yardstick) -> dict[str, dict[str, Any]]:
    """`videos`, `auc`, `ap` and `ano_auc` of each category's videos and the normal ones; of those that occur."""
    rows = {}
    for category in yardstick.truth.categories:
        found = yardstick.mean(predictions, lambda said, part, name=category: _of_category(said, part, name))
        if found["videos"]:
            rows[category] = found
    return rows


def _of_category(predictions: Predictions, truth: Truth, category: str) -> dict[str, Any]:
    """Frame figures over a category's videos and the normal ones; where there is none of it, only that."""
    videos = tuple(v for v in truth.videos if v.normal or category in v.labels)
    anomalous = sum(not video.normal for video in videos)
    if not anomalous:
        return {"videos": 0}
    figures = frame_figures({v.name: predictions[v.name] for v in videos}, Truth(truth.columns, videos))
    return {"videos": anomalous, **figures}


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
    """Evaluate one run, or the runs of a cross-validation: each on its own test videos, their figures averaged.

    What is counted at the calibrated thresholds (events, alerts) is counted over all test videos, for each run keeps
    to its own threshold.
    `lenient`: parts of the truth that match nothing are left aside and told in the result's notes.
    """
    judged: list[Judged] = []
    truths: list[VideoTruth] = []
    beside: dict[str, list[VideoPrediction]] = {}
    sources: dict[str, Mapping[str, Any]] = {}
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
        sources |= {item.path: video.provenance.source for item, video in zip(tested, features, strict=True)}
        reference = index.load([item for item in items if item.split == "train"][:REFERENCE_VIDEOS])
        for name, curves in {"chance": chance(features), **trivial(features, reference)}.items():
            beside.setdefault(name, []).extend(map(VideoPrediction.of, curves))
        if all(part.ridge is not None for part, _ in parts):
            assert checkpoint.ridge is not None
            said = [_prediction(_scored(checkpoint.ridge, video, checkpoint.window)) for video in features]
            beside.setdefault(RIDGE, []).extend(said)
    whole = Truth(columns, tuple(truths))
    tested_by = [[item.path for item in items if item.split == "test"] for _, items in parts]
    yardstick = Yardstick.of(whole, data, sources, folds=tested_by if len(parts) > 1 else None)
    return replace(summarise(judged, whole, beside, protocol, yardstick), notes=tuple(notes))
