"""From disk to the device: a set's bags stay in their files, and batches are made while the step before is computed.

In memory are at most `AHEAD` batches beside the one in use, and of the set what has room in `KEPT_BYTES`: a small one
is read once.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from jaxtyping import Float

from refinevad.datasets.bag import Bag, Shortening, identity, shorten
from refinevad.features.store import load_features, map_values
from refinevad.training.bags import Batch
from refinevad.training.windowed import WindowedBag, make_batch

AHEAD = {"cpu": 1, "cuda": 4}  # a GPU's step is shorter than the reading of its batch
KEPT_BYTES = 2**28  # of a set's bags, as they are stored: beside torch itself, little


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


class Room:
    """Bytes of memory that bags share."""

    def __init__(self, size: int) -> None:
        self._left, self._lock = size, Lock()

    def take(self, size: int) -> bool:
        """Whether so many were left; they are taken then."""
        with self._lock:
            fits = size <= self._left
            self._left -= size if fits else 0
        return fits


class KeptBag(Bag):
    """A bag whose shortened values stay in memory after the first reading, where its set's room allows."""

    def __init__(self, bag: Bag, limit: int, how: Shortening, room: Room) -> None:
        for name, value in {"bag": bag, "labels": bag.labels, "way": (limit, how), "room": room}.items():
            object.__setattr__(self, name, value)

    bag: Bag
    way: tuple[int, Shortening]
    room: Room

    @property
    def values(self) -> Float[np.ndarray, "segment channel"]:
        """As the bag's own, which reads them."""
        return self.bag.values

    @cached_property
    def segments(self) -> int:
        """How many there are."""
        return self.bag.segments

    def shortened(self, limit: int, how: Shortening) -> Float[np.ndarray, "kept channel"]:
        """`shorten` of the bag's values; read once for the way they are kept. Raises InputError as the bag's own."""
        whole = self.segments <= min(limit, self.way[0])  # then every way gives the same
        if not whole and (limit, how) != self.way:
            return self.bag.shortened(limit, how)
        kept: Float[np.ndarray, "kept channel"] | None = vars(self).get("kept")
        if kept is None:
            kept = self.bag.shortened(limit, how)
            if self.room.take(kept.nbytes):
                kept = np.array(kept)  # no longer a view of the file
                object.__setattr__(self, "kept", kept)
        return kept

    def identity(self) -> bytes:
        """As of the bag."""
        return self.bag.identity()


def kept_in_memory(bags: Sequence[Bag], limit: int, how: Shortening, room: int = KEPT_BYTES) -> list[Bag]:
    """The bags; what is made of them when they are first shortened so is kept in memory, up to `room` bytes."""
    shared = Room(room)
    at_hand = [isinstance(bag, WindowedBag) or (type(bag) is Bag and bag.segments <= limit) for bag in bags]
    return [bag if there else KeptBag(bag, limit, how, shared) for bag, there in zip(bags, at_hand, strict=True)]


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
    torch.get_num_threads()  # fixes this thread's number of threads before each reader sets its own to 1
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
