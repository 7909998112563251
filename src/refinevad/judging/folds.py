"""Figures of several models, each on test videos of its own: every model is judged alone, then the mean is taken.

Scores of two models share no scale. An AUC over the videos of both ranks a score of the one against a score of the
other, and says more of their scales than of either (Forman and Scholz, "Apples-to-Apples in Cross-Validation Studies",
SIGKDD Explorations 12(1), 2010). So each fold has its own figures, and counts by its number of test videos. A fold in
which a figure is not defined has no say in it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.judging.predictions import Predictions
from refinevad.judging.truth import Truth

_COUNTS = frozenset(("videos", "frames", "anomalous_frames"))
_LISTS = frozenset(("adjusted",))
_RANGES = frozenset(("frame_rate_hz",))


def parts_of(truth: Truth, folds: Sequence[Sequence[str]] | None) -> tuple[Truth, ...]:
    """The truth of each fold, given by its videos' names; without folds the whole."""
    if folds is None:
        return (truth,)
    by_name = {video.name: video for video in truth.videos}
    return tuple(Truth(truth.columns, tuple(by_name[name] for name in fold), truth.notes) for fold in folds)


def mean_rows(rows: Sequence[Float[np.ndarray, "row"]], weights: Sequence[float]) -> Float[np.ndarray, "row"]:
    """The weighted mean of several arrays, entry by entry, of those that are defined there; NaN where none is."""
    stacked = np.stack(rows)
    known = np.isfinite(stacked) * np.asarray(weights, dtype=np.float64)[:, None]
    total = known.sum(0)
    summed = (np.nan_to_num(stacked) * known).sum(0)
    return np.asarray(np.divide(summed, total, out=np.full(len(total), np.nan), where=total > 0))


def mean_figures(parts: Sequence[Mapping[str, Any]], weights: Sequence[float]) -> dict[str, Any]:
    """Figures of folds as JSON holds them -> their weighted mean; counts are added up, lists joined."""
    if len(parts) == 1:
        return dict(parts[0])
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: _together(name, [part.get(name) for part in parts], weights) for name in names}


def by_fold(
    predictions: Predictions, parts: Sequence[Truth], figures: Callable[[Predictions, Truth], Mapping[str, Any]]
) -> dict[str, Any]:
    """The figures of each fold's predictions by its truth, and their mean; of a single part as they are."""
    if len(parts) == 1:
        return dict(figures(predictions, parts[0]))
    said = [{v.name: predictions[v.name] for v in part.videos if v.name in predictions} for part in parts]
    found = [figures(of, part) for of, part in zip(said, parts, strict=True)]
    return mean_figures(found, [float(len(part.videos)) for part in parts])


def _together(name: str, values: Sequence[Any], weights: Sequence[float]) -> Any:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    if not known:
        return None
    given, of = [value for value, _ in known], [weight for _, weight in known]
    if name in _COUNTS:
        return sum(given)
    if name in _LISTS:
        return [entry for value in given for entry in value]
    if name in _RANGES:
        return [min(low for low, _ in given), max(high for _, high in given)]
    if isinstance(given[0], Mapping):
        return mean_figures(given, of)
    if isinstance(given[0], str):
        return given[0]
    if isinstance(given[0], list):  # confusion: counts by true and named category
        return np.sum(given, axis=0).tolist() if len(given) == len(values) else None
    return float(np.average(given, weights=of))
