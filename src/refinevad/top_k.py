"""How many of its segments speak for a video, k = floor(T / 16) + 1 (Wu et al., 2020): in losses, scores, figures."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

if TYPE_CHECKING:
    from torch import Tensor

K_DIVISOR = 16  # the field's; a run trained with another says so in its options


def bag_sizes(mask: "Bool[Tensor, 'video segment']", divisor: int = K_DIVISOR) -> "Int[Tensor, 'video']":
    """k of each padded video: floor(T / divisor) + 1, at most T; 1 of one without segments."""
    lengths = mask.sum(-1)
    return (lengths // divisor + 1).minimum(lengths.clamp_min(1))


def top_mean(
    values: Float[np.ndarray, "segment *column"], divisor: int = K_DIVISOR
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """A video's value: the mean of its top floor(T / divisor) + 1 segments, column by column."""
    picks = len(values) // divisor + 1
    return np.asarray(np.sort(values, axis=0)[::-1][:picks].mean(axis=0, dtype=np.float64))
