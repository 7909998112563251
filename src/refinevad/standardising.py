"""Channels to mean 0 and spread 1 over the training segments, clipped: one rule for every model and for the ridge.

Which segments the mean and the spread are of is each model's own: the refined path's and a published head's are of the
training bags as they are shown (`channel_statistics`), a ridge's of all segments it is fitted to (training/ridge.py).
"""

from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

LEAST_SCALE = 1e-4  # of a channel that hardly varies
_CHANNELS_AT_ONCE = 64  # bounds what statistics over hundreds of videos copy
_Array = TypeVar("_Array", Tensor, np.ndarray)


def standardised(values: _Array, mean: _Array, scale: _Array, clip: float = 0.0) -> _Array:
    """Values, whose last axis is the channels', taken to mean 0 and spread 1 and held to +-clip; 0: not held."""
    standard: _Array = values - mean
    standard /= scale  # in place: blank memory for each step of it costs more than the arithmetic
    if not clip:
        return standard
    if isinstance(standard, Tensor):
        return standard.clip_(-clip, clip)
    return np.clip(standard, -clip, clip, out=standard)


def standardise_in_place(
    values: Float[np.ndarray, "segment channel"],
    mean: Float[np.ndarray, "channel"],
    scale: Float[np.ndarray, "channel"],
    clip: float,
) -> None:
    """`standardised`, to the same bits, for values so many that there is no room for them twice."""
    values -= mean
    values /= scale
    np.clip(values, -clip, clip, out=values)


def channel_statistics(
    x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"], selected: Int[Tensor, "selected"]
) -> tuple[Float[Tensor, "selected"], Float[Tensor, "selected"]]:
    """Mean and spread (at least LEAST_SCALE) over real segments of each selected channel; few are copied at once."""
    blocks = (x[..., some][mask] for some in torch.split(selected, _CHANNELS_AT_ONCE))
    found = [(real.mean(0), real.std(0, unbiased=False)) for real in blocks]
    return torch.cat([mean for mean, _ in found]), torch.cat([spread for _, spread in found]).clamp_min(LEAST_SCALE)
