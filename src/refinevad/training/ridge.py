"""Fits the ridge control: the logistic regression whose every segment inherits its video's label (refinevad.ridge)."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from refinevad.errors import InputError
from refinevad.ridge import CLIP, Ridge
from refinevad.training.plain_controls import logistic_regression

LEAST_SCALE = 1e-4
_LOGIT_VARIANCE = 0.177  # C times channels: what the penalty expects of the variance of a standardised segment's logit


def inverse_penalty(channels: int) -> float:
    """C for so many channels: 0.177 / channels, rounded to a power of ten.

    More channels of spread 1 are to add up to no larger logit; finer than by tens nobody has measured it. 1e-3 for
    lite's 177 channels of motion, 1e-4 for 4,096 of C3D.
    """
    return float(10.0 ** round(math.log10(_LOGIT_VARIANCE / channels)))


def fit_ridge(
    videos: Sequence[Float[np.ndarray, "_segment channel"]],
    labels: Sequence[Float[np.ndarray, "category"]],
    penalty: float | None = None,
) -> Ridge:
    """Fit the ridge control to training videos with at least one segment each; deterministic.

    `labels` are 0/1 for each category that occurs in a video, all 0 for a normal one; `penalty` is C in place of the
    one for this many channels.

    Raises:
        InputError: no normal or no anomalous video.
    """
    lengths = [len(video) for video in videos]
    inherited = np.repeat(np.asarray(labels, dtype=bool), lengths, axis=0)
    anomalous = np.asarray(inherited.any(axis=1))
    if not len(anomalous) or anomalous.all() or not anomalous.any():
        raise InputError("the ridge control needs segments of normal and of anomalous training videos")
    x = np.concatenate(videos).astype(np.float64)
    mean, scale = x.mean(0), np.maximum(x.std(0), LEAST_SCALE)
    x -= mean
    x /= scale
    np.clip(x, -CLIP, CLIP, out=x)
    c = inverse_penalty(x.shape[1]) if penalty is None else penalty
    weight, bias = logistic_regression(x, anomalous.tolist(), c)
    share_weight, share_bias = _shares(x, inherited, c)
    return Ridge(mean, scale, weight, bias, share_weight, share_bias, c)


def _shares(
    x: Float[np.ndarray, "segment channel"], inherited: Bool[np.ndarray, "segment category"], c: float
) -> tuple[Float[np.ndarray, "category channel"], Float[np.ndarray, "category"]]:
    """One regression a category, its videos against all others; zeros where there is nothing to tell apart."""
    categories = inherited.shape[1]
    weight, bias = np.zeros((categories, x.shape[1])), np.zeros(categories)
    if categories > 1:
        for place, column in enumerate(inherited.T):
            if column.any() and not column.all():
                weight[place], bias[place] = logistic_regression(x, column.tolist(), c)
    return weight, bias
