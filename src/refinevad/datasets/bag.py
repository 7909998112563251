"""A bag: one video as training is given it, its segments and which categories occur somewhere in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refinevad.errors import InputError

Shortening = Literal["pool", "sample"]


@dataclass(frozen=True)
class Bag:
    """One video for training: its segments, and which categories occur somewhere in it (0/1)."""

    values: Float[np.ndarray, "segment channel"]
    labels: Float[np.ndarray, "category"]

    @property
    def anomalous(self) -> bool:
        return bool(self.labels.any())

    @property
    def segments(self) -> int:
        """How many there are."""
        return len(self.values)

    def shortened(self, limit: int, how: Shortening) -> Float[np.ndarray, "kept channel"]:
        """At most `limit` segments (see `shorten`), of any float type."""
        return shorten(self.values, limit, how)

    def identity(self) -> bytes:
        """Tells this bag from another: its shape, its labels, its first and last segment."""
        return identity(self.values, self.labels)


def identity(values: Float[np.ndarray, "segment channel"], labels: Float[np.ndarray, "category"]) -> bytes:
    """What tells a video's values from another's: shape, labels, the first and the last segment as float32."""
    ends = np.ascontiguousarray(values[[0, -1]], dtype=np.float32).tobytes()
    return str((values.shape, labels.tolist())).encode() + ends


def label_vector(labels: Sequence[str], categories: Sequence[str]) -> Float[np.ndarray, "category"]:
    """0/1 for each category. Raises InputError for a label the model does not know."""
    unknown = sorted(set(labels) - set(categories))
    if unknown:
        raise InputError(f"unknown category {', '.join(unknown)}; the model knows {', '.join(categories)}")
    return np.array([float(category in labels) for category in categories], dtype=np.float32)


def shorten(
    values: Float[np.ndarray, "segment channel"], limit: int, how: Shortening
) -> Float[np.ndarray, "kept channel"]:
    """At most `limit` segments: means over equal stretches (`pool`: nothing is lost) or evenly spaced ones.

    Of values that are mapped from a file what is needed is read, in blocks: no copy of the whole is made.
    """
    segments = len(values)
    if segments <= limit:
        return values
    bounds = np.linspace(0, segments, limit + 1).astype(np.int64)
    first, lengths = bounds[:-1], np.diff(bounds)
    if how == "sample":
        return values[first]
    # np.add.reduceat's sums to the bit, without its float64 copy of everything and in a fifth of its time
    source = as_tensor(values)
    sums = source.index_select(0, torch.from_numpy(first)).double()
    for place in range(1, int(lengths.max())):
        lasting = np.flatnonzero(lengths > place)  # lengths differ by one at most
        sums.index_add_(
            0, torch.from_numpy(lasting), source.index_select(0, torch.from_numpy(first[lasting] + place)).double()
        )
    return (sums / torch.from_numpy(lengths)[:, None]).float().numpy()


def as_tensor(values: Float[np.ndarray, "*axes"]) -> Float[Tensor, "*axes"]:
    """The array as a tensor; a copy where torch does not know its byte order or could not write to it."""
    shared = values.flags.writeable and values.dtype.isnative and values.dtype.itemsize <= 8
    return torch.from_numpy(values if shared else np.array(values, dtype=np.float32))
