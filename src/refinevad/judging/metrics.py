"""Figures of merit over frames and videos: AUC, AP, false-alarm rate, category accuracy, calibration.

A segment's score is repeated over its frames, so a test set of a million frames holds far fewer different
scores. Everything here works on *runs* (a score, and how many anomalous and normal frames carry it): exact,
ties included, and independent of the number of frames. NumPy alone; scikit-learn is the oracle of the tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from refinevad.errors import InputError
from refinevad.top_k import top_mean

FAR_THRESHOLD = 0.5  # where the field's papers take the false-alarm rate
CALIBRATION_BINS = 15  # Guo et al., On Calibration of Modern Neural Networks, 2017
FALSE_POSITIVE_RATES = (0.01, 0.02, 0.03, 0.05)  # shares of the normal frames at which recall is told


@dataclass(frozen=True)
class Runs:
    """Frames grouped by score: `positives[r]` anomalous and `negatives[r]` normal frames carry `scores[r]`.

    Counts are whole where frames are counted, and seconds where time is (`timed`).
    """

    scores: Float[np.ndarray, "run"]
    positives: Integer[np.ndarray, "run"] | Float[np.ndarray, "run"]
    negatives: Integer[np.ndarray, "run"] | Float[np.ndarray, "run"]

    def __post_init__(self) -> None:
        if not len(self.scores) == len(self.positives) == len(self.negatives):
            raise InputError("scores, positives and negatives must have one entry a run each")
        if not np.isfinite(self.scores).all():
            raise InputError("a score is NaN or infinite; repair the predictions before measuring them")

    @classmethod
    def from_frames(cls, scores: Float[np.ndarray, "frame"], truth: Bool[np.ndarray, "frame"]) -> "Runs":
        """One run a frame."""
        return cls(scores, truth.astype(np.int64), (~truth).astype(np.int64))

    @classmethod
    def from_segments(
        cls,
        scores: Float[np.ndarray, "segment"],
        frame_bounds: Integer[np.ndarray, "bound"],
        anomalous: Sequence[tuple[int, int]],
    ) -> "Runs":
        """One run a segment; `anomalous` are disjoint half-open frame ranges."""
        positives = overlap(frame_bounds, anomalous)
        return cls(scores, positives, np.diff(frame_bounds) - positives)

    def timed(self, seconds: Float[np.ndarray, "run"]) -> "Runs":
        """The same with the seconds each run lasts in place of its frames, which last equally long inside a run."""
        share = seconds / np.maximum(self.positives + self.negatives, 1)
        return Runs(self.scores, self.positives * share, self.negatives * share)

    @classmethod
    def join(cls, parts: Sequence["Runs"]) -> "Runs":
        """All frames of several videos together, as micro-averaged figures need them."""
        if not parts:
            return cls(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
        return cls(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.positives for part in parts]),
            np.concatenate([part.negatives for part in parts]),
        )

    @property
    def frames(self) -> int:
        return int(self.positives.sum() + self.negatives.sum())


def overlap(
    frame_bounds: Integer[np.ndarray, "bound"], ranges: Sequence[tuple[int, int]]
) -> Int[np.ndarray, "segment"]:
    """Frames of each segment that lie in one of the disjoint half-open `ranges`."""
    bounds = frame_bounds.astype(np.int64)
    inside = np.zeros(len(bounds) - 1, dtype=np.int64)
    for start, end in ranges:
        inside += np.maximum(np.minimum(bounds[1:], end) - np.maximum(bounds[:-1], start), 0)
    return inside


Levels = Int[np.ndarray, "level"] | Float[np.ndarray, "level"]


def _descending(runs: Runs) -> tuple[Levels, Levels]:
    """Anomalous and normal frames (or seconds) at or above each distinct score, highest score first."""
    order = np.argsort(-runs.scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(runs.scores[order])), len(order) - 1)
    return _summed(runs.positives[order])[last_of_tie], _summed(runs.negatives[order])[last_of_tie]


def _summed(counts: Integer[np.ndarray, "run"] | Float[np.ndarray, "run"]) -> Levels:
    return np.cumsum(counts, dtype=np.int64 if counts.dtype.kind in "iu" else np.float64)


def roc_auc(runs: Runs) -> float:
    """Area under the ROC curve: P(anomalous frame scores above a normal one), a tie counting half.

    NaN where either kind of frame is missing.
    """
    if not runs.positives.sum() or not runs.negatives.sum():
        return float("nan")
    hits, alarms = _descending(runs)
    area = np.trapezoid(np.append(0, hits), np.append(0, alarms))
    return float(area / hits[-1] / alarms[-1])


def average_precision(runs: Runs) -> float:
    """Step-wise average precision, sum of (R_n - R_{n-1}) P_n (VadCLIP and DSANet report it). NaN without anomalies."""
    if not runs.positives.sum():
        return float("nan")
    hits, alarms = _descending(runs)
    present = hits + alarms > 0
    hits, alarms = hits[present], alarms[present]
    return float(np.sum(np.diff(hits, prepend=0) * (hits / (hits + alarms))) / hits[-1])


def ap_trapezoid(runs: Runs) -> float:
    """Trapezoid under the PR curve from (0, 1) (RTFM, UR-DMU, BN-WVAD, PEL4VAD call it AP). NaN without anomalies."""
    if not runs.positives.sum():
        return float("nan")
    hits, alarms = _descending(runs)
    present = hits + alarms > 0
    hits, alarms = hits[present], alarms[present]
    precision = np.append(1.0, hits / (hits + alarms))
    return float(np.trapezoid(precision, np.append(0, hits) / hits[-1]))


def recall_at(runs: Runs, false_positive_rate: float) -> float:
    """Recall of the lowest threshold that lets through at most this share of the normal frames; none is made up
    between two thresholds, so that tied scores can leave it at 0. NaN where either kind of frame is missing.
    """
    if not runs.positives.sum() or not runs.negatives.sum():
        return float("nan")
    hits, alarms = _descending(runs)
    reached = int(np.searchsorted(alarms, false_positive_rate * alarms[-1] * (1 + 1e-9), side="right"))
    return float(hits[reached - 1] / hits[-1]) if reached else 0.0


def false_alarm_rate(normal: Runs, threshold: float = FAR_THRESHOLD) -> float:
    """Share of the normal videos' frames that score strictly above `threshold`. NaN without frames."""
    counts = normal.positives + normal.negatives
    if not counts.sum():
        return float("nan")
    return float(counts[normal.scores > threshold].sum() / counts.sum())


def calibration_error(runs: Runs, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error: mean gap between score and share of anomalous frames over equal-width bins.

    Weighted by frames (Guo et al. 2017). NaN where a score lies outside [0, 1], or without frames.
    """
    counts = runs.positives + runs.negatives
    if not counts.sum() or runs.scores.min() < 0 or runs.scores.max() > 1:
        return float("nan")
    place = np.minimum((runs.scores * bins).astype(np.int64), bins - 1)
    confidence = np.bincount(place, runs.scores.astype(np.float64) * counts, bins)
    anomalous = np.bincount(place, runs.positives, bins)
    return float(np.abs(confidence - anomalous).sum() / counts.sum())


def video_auc(scores: Sequence[Float[np.ndarray, "_"]], anomalous: Sequence[bool]) -> float:
    """AUC over videos, each scored by `top_mean`. NaN where either kind of video is missing."""
    bags = np.array([float(top_mean(score)) for score in scores], dtype=np.float64)
    return roc_auc(Runs.from_frames(bags, np.array(anomalous, dtype=bool)))


@dataclass(frozen=True)
class CategoryResult:
    """`confusion[t, p]`: anomalous videos of category t named p; a video of several labels counts once in each."""

    accuracy: float
    confusion: Int[np.ndarray, "category category"]


def category_accuracy(
    probabilities: Sequence[Float[np.ndarray, "_ category"]],
    labels: Sequence[Sequence[int]],
    categories: int,
) -> CategoryResult:
    """Share of the anomalous videos whose likeliest category (by `top_mean`) is one of their labels.

    `labels` holds category indices, one sequence a video; normal videos do not take part. NaN without videos.
    """
    confusion = np.zeros((categories, categories), dtype=np.int64)
    right = 0
    for probability, truth in zip(probabilities, labels, strict=True):
        named = int(np.argmax(top_mean(probability)))
        right += named in truth
        confusion[list(truth), named] += 1
    return CategoryResult(right / len(labels) if labels else float("nan"), confusion)
