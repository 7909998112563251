"""Worker processes that take shares of a long recording: every core decodes and encodes, and none waits for another.

In one process the decoder and the encoder are threads that both call Python for every frame, and wait for its lock and
for each other: a fifth of two cores lay idle (docs/results/pixels.md).
"""

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from refinevad.encoders.base import Encoder
from refinevad.machine.worker_pool import WorkerPool, deaths_told
from refinevad.timeline import SegmentRule, Timeline
from refinevad.video.frames import FrameNeeds
from refinevad.video.presentation import PlanError
from refinevad.video.shares import Share, SharePlan, clips_of

CLIPS_AT_ONCE = 16  # bounds memory, and gives the encoder batches that pay
_LARGE_PICTURES = 32  # held at once by each side: at 1080p 200 MB
_SHARE_S = (6.0, 120.0)  # shorter ones decode too much twice, longer ones come too late to be shared out evenly
_UNKNOWN_S = 60.0  # of a file that does not say how long it is
_AHEAD = 2  # shares that wait for each worker
_Item = TypeVar("_Item")


class Encoded(NamedTuple):
    """A file's vectors, where its segments lie, and what a person should know of it."""

    vectors: Float[np.ndarray, "segment channel"]
    timeline: Timeline
    notes: tuple[str, ...] = ()


class Workers(WorkerPool):
    """Processes that take shares of long recordings (machine/worker_pool.py)."""

    def __init__(self, count: int) -> None:
        super().__init__(count, _prepare)

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
            with deaths_told(f"reads {path}", "run again with --workers 1"):
                for share, future in self._submitted(plan, pickle.dumps(encoder), running):
                    chunks.append(future.result())
                    seen += share.frames
                    if progress is not None:
                        progress(share.frames)
        except PlanError:
            if progress is not None:
                progress(-seen)
            return None
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
            running.append((share, self.submit(_encode, plan.path, share, encoder)))
            if len(running) > _AHEAD * self.count:
                yield running.popleft()
        while running:
            yield running.popleft()

    def _length_s(self, start_s: float, stated_s: float) -> float:
        """Seconds that a share should last: the fewer are left, the shorter, so that all workers end together."""
        left_s = stated_s - start_s if stated_s else _UNKNOWN_S * 2 * self.count
        shortest, longest = _SHARE_S
        return min(max(left_s / (2 * self.count), shortest), longest)


def clips_at_once(needs: FrameNeeds) -> int:
    """How many clips are held together: fewer where each has many pictures as large as the video's own."""
    if needs.rgb_size is not None:
        return CLIPS_AT_ONCE
    return max(1, min(CLIPS_AT_ONCE, _LARGE_PICTURES // max(needs.rgb_frames, 1)))


def in_chunks(items: Iterable[_Item], size: int = CLIPS_AT_ONCE) -> Iterator[Sequence[_Item]]:
    """So many items at a time; the last ones may be fewer."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


# --- in a worker ------------------------------------------------------------------------------------------------


def _prepare() -> None:
    """While there is nothing else to do."""
    with suppress(ImportError):
        import_module("refinevad.encoders.lite")


@lru_cache(maxsize=1)
def _opened(encoder: bytes) -> Encoder:
    """The encoder, kept from share to share."""
    made: Encoder = pickle.loads(encoder)
    return made


def _encode(path: Path, share: Share, encoder: bytes) -> Float[np.ndarray, "segment channel"]:
    """Vectors of a share's segments."""
    return np.concatenate([_opened(encoder).encode(clips) for clips in in_chunks(clips_of(path, share))])
