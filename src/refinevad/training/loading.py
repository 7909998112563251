"""From disk to the device: a set's bags stay in their files, and batches are made while the step before is computed.

At most `AHEAD` batches beside the one in use are in memory, whatever the size of the set.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from refinevad.features import load_features, map_values
from refinevad.training.bags import Bag, Batch, Shortening, identity, shorten
from refinevad.training.windowed import WindowedBag, make_batch

AHEAD = {"cpu": 1, "cuda": 4}  # a GPU's step is shorter than the reading of its batch


class StoredBag(Bag):
    """A video of the feature store; its values are read each time they are asked for."""

    def __init__(self, path: Path, labels: Float[np.ndarray, "category"]) -> None:
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "labels", labels)

    path: Path

    @property
    def values(self) -> Float[np.ndarray, "segment channel"]:
        """All segments as float32. Raises InputError as `load_features`."""
        return load_features(self.path).values

    @property
    def segments(self) -> int:
        """How many there are, by the file's header."""
        return len(map_values(self.path))

    def shortened(self, limit: int, how: Shortening) -> Float[np.ndarray, "kept channel"]:
        """`shorten` of the file as it lies. Raises InputError as `load_features`."""
        kept = shorten(map_values(self.path), limit, how)
        if not np.isfinite(kept).all():
            load_features(self.path)  # names the first bad segment
        return kept

    def identity(self) -> bytes:
        """As of a bag in memory; two segments are read."""
        return identity(map_values(self.path), self.labels)


def read_batches(
    bags: Sequence[Bag],
    order: Iterable[Sequence[int]],
    limit: int,
    how: Shortening,
    device: torch.device,
    draw: np.random.Generator | None = None,
) -> Iterator[Batch]:
    """The batches of `order` (indices into `bags`) on the device, each made by a thread while others are in use.

    `draw` as in `make_batch`: the batches are then made one after the other, so that the same order draws the same.

    Raises:
        InputError: a bag's values cannot be read.
    """

    def make(indices: Sequence[int]) -> Batch:
        return make_batch([bags[i] for i in indices], limit, how, draw).pinned(device)

    ahead = AHEAD.get(device.type, 1)
    threads = 1 if any(isinstance(bag, WindowedBag) for bag in bags) else ahead
    left = iter(order)
    torch.get_num_threads()  # settles this thread's number before the readers take 1, each for itself
    with ThreadPoolExecutor(threads, "batches", torch.set_num_threads, (1,)) as pool:
        waiting: deque[Future[Batch]] = deque(pool.submit(make, indices) for indices in islice(left, ahead))
        try:
            while waiting:
                batch = waiting.popleft().result()
                waiting.extend(pool.submit(make, indices) for indices in islice(left, 1))
                yield batch.to(device)
        finally:
            for future in waiting:
                future.cancel()
