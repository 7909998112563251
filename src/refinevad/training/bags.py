"""Bags as padded batches: balanced, seeded by epoch, and of a set length without dropping information."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refinevad.datasets.bag import Bag, Shortening, as_tensor
from refinevad.errors import InputError
from refinevad.machine.devices import pinned, sent


@dataclass(frozen=True)
class Batch:
    """Videos padded to the longest; `mask` is true on real segments."""

    values: Float[Tensor, "video segment channel"]
    mask: Bool[Tensor, "video segment"]
    labels: Float[Tensor, "video category"]

    def pinned(self, device: torch.device) -> "Batch":
        """Where `to` does not hold up the processor."""
        return Batch(pinned(self.values, device), pinned(self.mask, device), pinned(self.labels, device))

    def to(self, device: torch.device) -> "Batch":
        return Batch(sent(self.values, device), sent(self.mask, device), sent(self.labels, device))


def collate(bags: Sequence[Bag], limit: int, how: Shortening = "pool") -> Batch:
    """Pad bags into a batch of at most `limit` segments."""
    kept = [bag.shortened(limit, how) for bag in bags]
    length = max(len(values) for values in kept)
    values = torch.empty(len(bags), length, kept[0].shape[1])
    mask = torch.zeros(len(bags), length, dtype=torch.bool)
    for row, bag in enumerate(kept):
        values[row, : len(bag)], values[row, len(bag) :] = as_tensor(bag), 0.0
        mask[row, : len(bag)] = True
    return Batch(values, mask, torch.from_numpy(np.stack([bag.labels for bag in bags])))


def balanced_batches(bags: Sequence[Bag], size: int, seed: int, epoch: int) -> Iterator[list[int]]:
    """Indices of one epoch: half of each batch normal, half anomalous; the smaller side is gone through again.

    A function of (seed, epoch) alone, so that a resumed run sees what an uninterrupted one would.

    Raises:
        InputError: no normal or no anomalous bags to choose from.
    """
    generator = np.random.default_rng([seed, epoch])
    sides = [
        np.array([i for i, bag in enumerate(bags) if bag.anomalous == anomalous], dtype=np.int64)
        for anomalous in (False, True)
    ]
    if not all(len(side) for side in sides):
        raise InputError(
            f"training needs normal and anomalous videos: got {len(sides[0])} normal, {len(sides[1])} anomalous"
        )
    half = max(1, min(size // 2, max(len(side) for side in sides)))
    steps = -(-max(len(side) for side in sides) // half)
    orders = []
    for side in sides:
        rounds = -(-steps * half // len(side))
        orders.append(np.concatenate([generator.permutation(side) for _ in range(rounds)]))
    for step in range(steps):
        chosen = [order[step * half : (step + 1) * half] for order in orders]
        yield np.concatenate(chosen).tolist()
