"""Several processes, one result: each takes its share of every batch, and gradients add up to the whole batch's.

torchrun starts the processes. All hold the same weights and the same data set; the first alone extracts features,
validates, writes and reports. Gloo between CPUs, NCCL between GPUs.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from refinevad.errors import InputError, RefineVADError
from refinevad.machine.devices import open_device
from refinevad.training.bags import Batch

T = TypeVar("T")

# The others wait while the first extracts features. One that dies is noticed at once, whatever this is.
PATIENCE = timedelta(days=2)
OVER_ANOMALOUS_SEGMENTS = frozenset({"gmm"})  # terms that average over these; all others average over videos


@dataclass(frozen=True)
class Processes:
    """The processes of a run; by itself, a single one, for which every method does nothing.

    Attributes:
        rank: which one this is, from 0.
        count: how many there are.
        local_rank: which one on this machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and reports."""
        return self.rank == 0

    def device(self, name: str | None) -> torch.device:
        """The device of that name, or the best there is; on GPUs, one of its own for each process.

        Raises:
            InputError: no such device, or fewer GPUs than processes on this machine.
        """
        device = open_device(name)
        if self.count == 1 or device.type != "cuda":
            return device
        if self.local_rank >= torch.cuda.device_count():
            raise InputError(
                f"{torch.cuda.device_count()} GPUs for process {self.local_rank + 1} of this machine; "
                "lower --nproc-per-node, or train with --device cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def share(self, batch: Batch) -> Batch:
        """This process's videos: every count-th one, so that the balance is kept.

        Padded as in the whole batch: among equal scores, top-k then picks the same segments.

        Raises:
            InputError: fewer videos than processes.
        """
        if self.count == 1:
            return batch
        if len(batch.labels) < self.count:
            raise InputError(
                f"a batch of {len(batch.labels)} videos cannot be shared among {self.count} processes; "
                "raise batch, or lower --nproc-per-node"
            )
        mine = slice(self.rank, None, self.count)
        return Batch(batch.values[mine], batch.mask[mine], batch.labels[mine])

    def of_whole_batch(self, terms: Mapping[str, Tensor], share: Batch, batch: Batch) -> dict[str, Tensor]:
        """Means over this share -> its parts of the means over the whole batch, which sum to them over processes.

        A mean is weighed by this share's part of what it averages over: videos, or anomalous videos' segments.
        """
        if self.count == 1:
            return dict(terms)
        videos = len(share.labels) / len(batch.labels)
        anomalous = _anomalous_segments(share) / max(1, _anomalous_segments(batch))
        return {name: mean * (anomalous if name in OVER_ANOMALOUS_SEGMENTS else videos) for name, mean in terms.items()}

    def sum(self, values: Tensor) -> Tensor:
        """Sum over processes; bit for bit the same in each."""
        if self.count == 1:
            return values
        total = values.clone()
        with _together():
            dist.all_reduce(total)
        return total

    def sum_gradients(self, model: nn.Module) -> None:
        """Replace each gradient by its sum over processes."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        total = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(
            gradients, torch.split(total, [gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by the first process's."""
        if self.count == 1:
            return
        with _together():
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives in the first process, which alone calls it; the others wait for it."""
        if self.count == 1:
            return make()
        made = [make() if self.first else None]
        with _together():
            dist.broadcast_object_list(made, 0, device=torch.device("cpu"))
        return made[0]  # type: ignore[return-value]


ALONE = Processes()


def _anomalous_segments(batch: Batch) -> int:
    return int(batch.mask[batch.labels.sum(-1) > 0].sum())


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes that torchrun started; without it, this one alone.

    When one fails, the others end too. The error goes on in the first to fail and is its to report; the others exit
    without a word.
    """
    if not (dist.is_available() and dist.is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1):
        yield ALONE
        return
    from torch.distributed.rendezvous import rendezvous  # absent where torch is built without it

    store, rank, count = next(rendezvous("env://", timeout=PATIENCE))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=PATIENCE)
    try:
        yield Processes(rank, count, int(os.environ["LOCAL_RANK"]))
        with _together():
            dist.barrier()
    except (Exception, KeyboardInterrupt) as error:
        if store.add("failed", 1) > 1:
            raise SystemExit(1) from error
        raise
    dist.destroy_process_group()


@contextmanager
def _together() -> Iterator[None]:
    """Around what all processes do at once: the failure of another becomes a sentence."""
    try:
        yield
    except RuntimeError as error:
        raise RefineVADError(
            "another process of this run was stopped; the same command goes on after the last whole epoch"
        ) from error
