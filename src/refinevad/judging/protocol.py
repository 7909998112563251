"""Predictions and truth -> the field's table of figures, under one of two protocols.

Both: AUC, AP (step-wise and trapezoid) over the frames of all videos together; Ano-AUC over the videos whose label is
not normal; video AUC on each video's top floor(T / 16) + 1 segments; FAR, the share of normal videos' frames above 0.5;
expected calibration error; category accuracy over anomalous videos; AUC inside and between videos (see `within`);
recall at a share of false frames. They differ in mAP@IoU alone: `legacy` is VadCLIP's published figure, `strict` counts
anomalous videos and real categories (see `localisation`). What frames count is told by seconds as well, in which a
video of 30 frames a second does not weigh twice one of 15.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

import numpy as np
from jaxtyping import Float

from refinevad.judging.localisation import (
    LocalisationResult,
    LocalisationVideo,
    map_legacy,
    map_strict,
)
from refinevad.judging.metrics import (
    FALSE_POSITIVE_RATES,
    Runs,
    ap_trapezoid,
    average_precision,
    calibration_error,
    category_accuracy,
    false_alarm_rate,
    recall_at,
    roc_auc,
    video_auc,
)
from refinevad.judging.predictions import AlignedVideo, Expansion, Predictions, align
from refinevad.judging.truth import Truth
from refinevad.judging.within import video_means, within_cross

Protocol = Literal["strict", "legacy"]


def evaluate_predictions(
    predictions: Predictions,
    truth: Truth,
    protocol: Protocol,
    expansion: Expansion = "auto",
    allow_missing: bool = False,
) -> dict[str, object]:
    """Judge predictions; the result's values are what JSON can hold.

    Fixed names: auc, ap, ap_trapezoid, ano_auc, video_auc, far (shares of 1), map (percent by IoU), map_average,
    frames, anomalous_frames, adjusted (videos whose prediction did not fit). Further: protocol, videos, ece,
    category_accuracy, confusion (rows: true category, columns: named), map_per_class, within_auc, macro_within_auc,
    cross_auc, within_weight (w), video_mean_auc, recall_at_fpr (by rate), frame_rate_hz (lowest and highest of the
    videos), and with `_time_weighted` behind the name what counts frames, in seconds. A figure that is not defined on
    this set is None (map without category probabilities or without a true interval, AUC without normal frames).

    Raises:
        InputError: as `align`.
    """
    alignment = align(predictions, truth, expansion, allow_missing)
    videos = alignment.videos
    by_video = [video.runs for video in videos]
    everything = Runs.join(by_video)
    bags = video_auc([v.prediction.scores for v in videos], [not v.truth.normal for v in videos])
    return {
        "protocol": protocol,
        "videos": len(videos),
        "frames": everything.frames,
        "anomalous_frames": int(everything.positives.sum()),
        **_frame_figures(by_video, videos),
        "video_auc": _number(bags),
        **_category_figures(videos, truth),
        **_map_figures(videos, truth, protocol),
        **_timed_figures(by_video, videos),
        "adjusted": [asdict(adjustment) for adjustment in alignment.adjusted],
    }


def frame_figures(predictions: Predictions, truth: Truth) -> dict[str, float | None]:
    """`auc`, `ap` and `ano_auc` of `evaluate_predictions` without the rest."""
    videos = align(predictions, truth).videos
    everything = Runs.join([video.runs for video in videos])
    anomalous = Runs.join([video.runs for video in videos if not video.truth.normal])
    found = {"auc": roc_auc(everything), "ap": average_precision(everything), "ano_auc": roc_auc(anomalous)}
    return {name: _number(value) for name, value in found.items()}


def map_figures(predictions: Predictions, truth: Truth, protocol: Protocol) -> dict[str, object]:
    """`map`, `map_average` and `map_per_class` of `evaluate_predictions` without the rest."""
    return _map_figures(align(predictions, truth).videos, truth, protocol)


def _frame_figures(by_video: Sequence[Runs], videos: Sequence[AlignedVideo]) -> dict[str, object]:
    """What frames (or seconds) are counted for; `by_video` has the runs of each video."""
    everything = Runs.join(by_video)
    anomalous, normal = (
        Runs.join([runs for runs, video in zip(by_video, videos, strict=True) if video.truth.normal == wanted])
        for wanted in (False, True)
    )
    split = within_cross(by_video)
    return {
        "auc": _number(roc_auc(everything)),
        "ap": _number(average_precision(everything)),
        "ap_trapezoid": _number(ap_trapezoid(everything)),
        "ano_auc": _number(roc_auc(anomalous)),
        "within_auc": _number(split.within),
        "macro_within_auc": _number(split.macro),
        "cross_auc": _number(split.cross),
        "within_weight": _number(split.weight),
        "video_mean_auc": _number(roc_auc(Runs.join(video_means(by_video)))),
        "recall_at_fpr": {str(rate): _number(recall_at(everything, rate)) for rate in FALSE_POSITIVE_RATES},
        "far": _number(false_alarm_rate(normal)),
        "ece": _number(calibration_error(everything)),
    }


def _timed_figures(by_video: Sequence[Runs], videos: Sequence[AlignedVideo]) -> dict[str, object]:
    """`_frame_figures` in seconds, `_time_weighted` behind each name, and the videos' lowest and highest frame rate."""
    seconds = [np.diff(video.time_bounds) for video in videos]
    timed = [runs.timed(lasting) for runs, lasting in zip(by_video, seconds, strict=True)]
    lengths = [(runs.frames, float(lasting.sum())) for runs, lasting in zip(by_video, seconds, strict=True)]
    rates = [frames / lasting for frames, lasting in lengths if lasting > 0]
    found = {f"{name}_time_weighted": value for name, value in _frame_figures(timed, videos).items()}
    return {"frame_rate_hz": [min(rates), max(rates)] if rates else None, **found}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _probabilities(video: AlignedVideo, truth: Truth) -> Float[np.ndarray, "segment column"] | None:
    """Class probabilities; with a single category its score says them."""
    scores = video.prediction.scores
    if video.prediction.probabilities is None and len(truth.categories) == 1:
        return np.stack([1 - scores, scores], axis=1)
    return video.prediction.probabilities


def _map_figures(videos: Sequence[AlignedVideo], truth: Truth, protocol: Protocol) -> dict[str, object]:
    result = _localise(videos, truth, protocol)
    if result is None:
        return {"map": None, "map_average": None, "map_per_class": None}
    return {"map": dict(result.map), "map_average": result.average, "map_per_class": result.per_class}


def _localise(videos: Sequence[AlignedVideo], truth: Truth, protocol: Protocol) -> LocalisationResult | None:
    inputs = localisation_videos(videos, truth)
    return None if inputs is None else (map_legacy if protocol == "legacy" else map_strict)(inputs, truth.columns)


def localisation_videos(videos: Sequence[AlignedVideo], truth: Truth) -> list[LocalisationVideo] | None:
    """The videos as localisation takes them; None without category probabilities or without a true interval."""
    inputs = []
    for video in videos:
        probabilities = _probabilities(video, truth)
        if probabilities is None:
            return None
        inputs.append(LocalisationVideo(probabilities, video.frame_bounds, video.truth.spans, video.truth.normal))
    if not any(span.category in truth.categories for video in inputs if not video.normal for span in video.spans):
        return None
    return inputs


def _category_figures(videos: Sequence[AlignedVideo], truth: Truth) -> dict[str, object]:
    chosen, labels = [], []
    for video in videos:
        if video.truth.normal:
            continue
        if video.prediction.probabilities is None:
            return {"category_accuracy": None, "confusion": None}
        chosen.append(video.prediction.probabilities[:, 1:])
        labels.append([truth.categories.index(label) for label in video.truth.labels])
    result = category_accuracy(chosen, labels, len(truth.categories))
    return {"category_accuracy": _number(result.accuracy), "confusion": result.confusion.tolist()}
