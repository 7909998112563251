"""Worker processes that take shares of a long recording: every core decodes and encodes, and none waits for another.

In one process the decoder and the encoder are threads that both call Python for every frame, and wait for its lock and
for each other: a fifth of two cores lay idle (docs/results/pixels.md).
"""

import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from refinevad.encoders.base import Encoder
from refinevad.errors import RefineVADError
from refinevad.machine.interrupts import interrupts_wait
from refinevad.timeline import SegmentRule, Timeline
from refinevad.video.presentation import PlanError
from refinevad.video.shares import Share, SharePlan, clips_of

CLIPS_AT_ONCE = 16  # bounds memory, and gives the encoder batches that pay
_SHARE_S = (6.0, 120.0)  # shorter ones decode too much twice, longer ones come too late to be shared out evenly
_UNKNOWN_S = 60.0  # of a file that does not say how long it is
_AHEAD = 2  # shares that wait for each worker
_Item = TypeVar("_Item")


class Encoded(NamedTuple):
    """A file's vectors, where its segments lie, and what a person should know of it."""

    vectors: Float[np.ndarray, "segment channel"]
    timeline: Timeline
    notes: tuple[str, ...] = ()


class Workers:
    """So many processes, started at once and ready a second later; to be closed, by `with`.

    A program that opens them must guard its own start by `if __name__ == "__main__"`: they import its main module.
    """

    def __init__(self, count: int) -> None:
        context = get_context("spawn")  # not forked: this process may run threads of torch and ONNX Runtime
        self.count, self._left = count, context.Event()
        self._pool = ProcessPoolExecutor(count, context, _begin, (self._left,))
        with interrupts_wait():
            for _ in range(count):
                self._pool.submit(os.getpid)  # each call starts one

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._pool.shutdown(cancel_futures=True)

    def encode(
        self, path: Path, encoder: Encoder, rule: SegmentRule, progress: Callable[[int], None] | None = None
    ) -> "Encoded | None":
        """The vectors of a file's segments; None where it must be read in one go.

        So it must when it is short, has too few key frames or is damaged, and with an encoder that is not portable.

        Raises:
            InputError: as `Encoder.encode` and opening the file do.
            RefineVADError: a worker was killed.
        """
        if not encoder.portable:
            return None
        plan = SharePlan(path, encoder.needs, rule, self._length_s)
        running: deque[tuple[Share, Future[np.ndarray]]] = deque()
        chunks, seen = [], 0
        try:
            for share, future in self._submitted(plan, pickle.dumps(encoder), running):
                chunks.append(future.result())
                seen += share.frames
                if progress is not None:
                    progress(share.frames)
        except PlanError:
            if progress is not None:
                progress(-seen)
            return None
        except BrokenProcessPool as error:
            raise RefineVADError(
                f"a process that reads {path} was killed, perhaps for want of memory; run again with --workers 1"
            ) from error
        finally:
            for _, future in running:
                future.cancel()
        if not chunks:
            return None
        return Encoded(np.concatenate(chunks), plan.timeline, plan.tell())

    def _submitted(
        self, plan: SharePlan, encoder: bytes, running: "deque[tuple[Share, Future[np.ndarray]]]"
    ) -> Iterator[tuple[Share, "Future[np.ndarray]"]]:
        """Shares in their order, as they are to be waited for; none of a file that is one share."""
        shares = iter(plan)
        begun = list(islice(shares, 2))
        if len(begun) < 2:
            return
        for share in chain(begun, shares):
            running.append((share, self._pool.submit(_encode, plan.path, share, encoder)))
            if len(running) > _AHEAD * self.count:
                yield running.popleft()
        while running:
            yield running.popleft()

    def _length_s(self, start_s: float, stated_s: float) -> float:
        """Seconds that a share should last: the fewer are left, the shorter, so that all workers end together."""
        left_s = stated_s - start_s if stated_s else _UNKNOWN_S * 2 * self.count
        shortest, longest = _SHARE_S
        return min(max(left_s / (2 * self.count), shortest), longest)


def in_chunks(items: Iterable[_Item]) -> Iterator[Sequence[_Item]]:
    """`CLIPS_AT_ONCE` items at a time; the last ones may be fewer."""
    rest = iter(items)
    while chunk := list(islice(rest, CLIPS_AT_ONCE)):
        yield chunk


# --- in a worker ------------------------------------------------------------------------------------------------

_left: Event | None = None  # set: nobody waits for what is being made


def _begin(left: Event) -> None:
    """One thread; Ctrl-C is the parent's to handle, and without a parent there is nothing to do."""
    global _left
    _left = left
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(ImportError):
        import_module("refinevad.encoders.lite")  # while there is nothing else to do


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@lru_cache(maxsize=1)
def _opened(encoder: bytes) -> Encoder:
    """The encoder, kept from share to share."""
    made: Encoder = pickle.loads(encoder)
    return made


def _encode(path: Path, share: Share, encoder: bytes) -> Float[np.ndarray, "segment channel"]:
    """Vectors of a share's segments."""
    chunks = []
    for clips in in_chunks(clips_of(path, share)):
        if _left is not None and _left.is_set():
            raise InterruptedError
        chunks.append(_opened(encoder).encode(clips))
    return np.concatenate(chunks)
