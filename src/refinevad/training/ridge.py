"""Fits the ridge control: the logistic regression whose every segment inherits its video's label (refinevad.ridge)."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from refinevad.datasets.bag import Bag
from refinevad.errors import InputError
from refinevad.model_choice import open_model
from refinevad.ridge import CLIP, Ridge
from refinevad.segment_model import ModelConfig, SegmentModel
from refinevad.standardising import LEAST_SCALE, standardise_in_place
from refinevad.training.linear_mil import linear_mil
from refinevad.training.plain_controls import logistic_regression

MOST_NUMBERS = 2**25  # of the training segments together: 256 MB as the solver holds them, and as much again
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
    x, mean, scale, inherited = _standardised(videos, labels)
    c = inverse_penalty(x.shape[1]) if penalty is None else penalty
    weight, bias = logistic_regression(x, np.asarray(inherited.any(axis=1)).tolist(), c)
    share_weight, share_bias = _shares(x, inherited, c)
    return Ridge(mean, scale, weight, bias, share_weight, share_bias, c)


def _standardised(
    videos: Sequence[Float[np.ndarray, "_segment channel"]], labels: Sequence[Float[np.ndarray, "category"]]
) -> tuple[
    Float[np.ndarray, "all_segments channel"],
    Float[np.ndarray, "channel"],
    Float[np.ndarray, "channel"],
    Bool[np.ndarray, "all_segments category"],
]:
    """(standardised and clipped segments of all videos, mean, scale, inherited labels). Raises as `fit_ridge`."""
    lengths = [len(video) for video in videos]
    inherited = np.repeat(np.asarray(labels, dtype=bool), lengths, axis=0)
    anomalous = np.asarray(inherited.any(axis=1))
    if not len(anomalous) or anomalous.all() or not anomalous.any():
        raise InputError("the ridge control needs segments of normal and of anomalous training videos")
    x = np.concatenate(videos).astype(np.float64)
    mean, scale = x.mean(0), np.maximum(x.std(0), LEAST_SCALE)
    standardise_in_place(x, mean, scale, CLIP)
    return x, mean, scale, inherited


def fit_linear(config: ModelConfig, bags: Sequence[Bag]) -> SegmentModel:
    """The ridge control as a model, fitted to training bags; `config` is from `ridge_config`.

    Of a set with more than `MOST_NUMBERS` each video gives the same share of its segments, evenly spaced.

    Raises:
        InputError: as `fit_ridge`, an option that the head does not have, or a bag's values cannot be read.
    """
    model = open_model(config)  # a wrong option fails here, before anything is read
    model.take(fit_ridge(_selected(config, bags), [bag.labels for bag in bags], model.inverse_penalty or None))
    return model.eval()


def fit_teacher(config: ModelConfig, bags: Sequence[Bag], rate: float, inheritance: float) -> Ridge:
    """The linear model that is a model's direct path and its teacher: shares among categories as the ridge control's.

    C is `rate` times the control's; `inheritance` is the share of inherited labels in the objective, MIL has the rest
    (linear_mil.py). A looser fit, and one that listens to MIL, names the surest segments better (docs/log.md).

    Raises:
        InputError: as `fit_ridge`, or a bag's values cannot be read.
    """
    penalty = rate * inverse_penalty(len(config.selected))
    videos, labels = _selected(config, bags), [bag.labels for bag in bags]
    x, mean, scale, inherited = _standardised(videos, labels)
    each = np.split(x, np.cumsum([len(video) for video in videos])[:-1])
    weight, bias = linear_mil(each, [bool(of.any()) for of in labels], penalty, inheritance)
    return Ridge(mean, scale, weight, bias, *_shares(x, inherited, penalty), penalty)


def _selected(config: ModelConfig, bags: Sequence[Bag]) -> list[Float[np.ndarray, "_segment selected"]]:
    """The channels a model looks at of each bag; of more than `MOST_NUMBERS` a share, evenly spaced."""
    counts = [bag.segments for bag in bags]
    share = min(1.0, MOST_NUMBERS / max(1, sum(counts) * len(config.selected)))
    limits = [max(1, math.floor(share * count)) for count in counts]
    return [
        bag.shortened(limit, "sample")[:, config.selected].astype(np.float32)
        for bag, limit in zip(bags, limits, strict=True)
    ]


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
