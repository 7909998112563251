"""Many files through one pool of processes: short ones whole, long ones in shares, whatever order they are done in.

A file is in one of these states, and goes on in this order alone:

- waiting: its turn to be looked at has not come;
- planned: its packets are read through, and each share is handed to the pool as it is found;
- begun anew: its packets are not as its frames are (`PlanError`): what was made of its shares is thrown away, and it is
  read whole;
- whole: it is read by one process in one go;
- done: its outcome was given.
"""

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

import numpy as np

from refinevad.errors import InputError
from refinevad.features.encoding import Encoded
from refinevad.timeline import SegmentRule
from refinevad.video.frames import FrameNeeds
from refinevad.video.reading import DamagedVideoWarning, probe
from refinevad.video.recording import PlanError, Recording, Share
from refinevad.video.shares import SharePlan

_SHARE_S = (6.0, 120.0)  # shorter ones decode too much twice, longer ones come too late to be shared out evenly
_UNKNOWN_S = 60.0  # of a file that does not say how long it is
_AHEAD = 2  # calls that wait for each worker
_Found = TypeVar("_Found")


@dataclass(eq=False)
class FileWork(Generic[_Found]):
    """A file and the ways to have it done by a pool.

    Attributes:
        share: hands one of its shares to the pool, which gives the share's vectors; None: it is not to be shared.
        whole: hands all of it; None: whoever asked does that, and is given None.
        wanted: asked before it is shared; where nothing is to be done for it, `whole` is to find that out.
    """

    path: Path
    share: Callable[[Share], "Future[np.ndarray]"] | None = None
    whole: Callable[[], "Future[_Found]"] | None = None
    wanted: Callable[[], bool] = lambda: True
    shares: list[Share] = field(default_factory=list)
    vectors: dict[int, np.ndarray] = field(default_factory=dict)
    plan: SharePlan | None = None
    planned: bool = False  # all its shares are handed over
    left: bool = False  # what comes of its shares is no longer wanted

    def encoded(self) -> Encoded | None:
        """Its shares' vectors, in order, once all are there."""
        if self.plan is None or not self.planned or len(self.vectors) < len(self.shares):
            return None
        return Encoded(np.concatenate([self.vectors[n] for n in range(len(self.shares))]), self.plan.timeline)


class PooledFiles(Generic[_Found]):
    """Iterates over (place, outcome) of files as they are done; to be closed, by `with`.

    The outcome is what the file's vectors are, or what its `whole` call gave; None: it is to be read elsewhere; an
    InputError where that is what came of it. What is made does not depend on the count of workers nor on their order.

    Args:
        count: how many workers there are.
        progress: takes the frames of each share and of each file that was read whole; a negative number where a file is
            begun anew.
        long_s: seconds from which on a file is shared however many wait behind it; None: two minutes.

    Raises:
        BrokenProcessPool: from iterating: a worker was killed.
    """

    def __init__(
        self,
        count: int,
        files: "Sequence[FileWork[_Found]]",
        needs: FrameNeeds,
        rule: SegmentRule,
        progress: Callable[[int], None] | None = None,
        long_s: float | None = None,
    ) -> None:
        self._long_s = _SHARE_S[1] if long_s is None else long_s
        self._count, self._files, self._needs, self._rule = count, files, needs, rule
        self._progress = progress or (lambda frames: None)
        self._begun = self._begin()
        self._again: deque[int] = deque()  # places of files to be read whole after all
        self._ready: deque[tuple[int, Encoded | _Found | InputError | None]] = deque()
        self._running: dict[Future[Any], tuple[int, int | None]] = {}  # of a file's place, the share's number

    def __enter__(self) -> "PooledFiles[_Found]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """What is not begun is not done."""
        for future in self._running:
            future.cancel()

    def __iter__(self) -> Iterator[tuple[int, Encoded | _Found | InputError | None]]:
        return self

    def __next__(self) -> tuple[int, Encoded | _Found | InputError | None]:
        while not self._ready:
            self.fill()
            if self._ready:
                break
            if not self._running:
                raise StopIteration
            for future in wait(self._running, return_when=FIRST_COMPLETED).done:
                self._take(future)
        self.fill()  # the workers go on while the caller works with what is given
        return self._ready.popleft()

    @property
    def running(self) -> bool:
        """Whether the pool has anything left to do."""
        return bool(self._running)

    def fill(self) -> None:
        """Hand work over until enough waits for every worker."""
        while len(self._running) < (1 + _AHEAD) * self._count:
            if self._again:
                self._whole(self._again.popleft())
            elif next(self._begun, None) is None and not self._again:
                return

    def _begin(self) -> Iterator[bool]:
        """Hands over one call each time."""
        for place, work in enumerate(self._files):
            if work.share is not None and self._pays(work.path, len(self._files) - place - 1) and work.wanted():
                try:
                    yield from self._in_shares(place)
                except PlanError:
                    if not work.left:
                        self._begin_anew(place)
                except InputError as error:
                    if not work.left:
                        self._over(place, error)
                if work.plan is not None or work.left:
                    continue
            self._whole(place)
            yield True

    def _pays(self, path: Path, behind: int) -> bool:
        """Whether a file is to be shared: the longest always, shorter ones where few wait behind them."""
        least_s = 2 * _SHARE_S[0] if behind < self._count else self._long_s
        if math.isinf(least_s):
            return False
        try:
            lasts_s = probe(path).duration_s
        except InputError:
            return False  # told when it is read
        return not lasts_s or lasts_s >= least_s

    def _in_shares(self, place: int) -> Iterator[bool]:
        """None where the file is but one share."""
        work = self._files[place]
        plan = Recording(work.path, self._needs, self._rule).shares(self._length_s)
        shares = iter(plan)
        begun = list(islice(shares, 2))
        if len(begun) < 2:
            return
        work.plan = plan
        for share in chain(begun, shares):
            if work.left or work.share is None:
                return
            number = len(work.shares)
            work.shares.append(share)
            self._running[work.share(share)] = place, number
            yield True
        work.planned = True
        self._finish(place)

    def _length_s(self, start_s: float, stated_s: float) -> float:
        """Seconds that a share should last: the fewer are left, the shorter, so that all workers end together."""
        left_s = stated_s - start_s if stated_s else _UNKNOWN_S * 2 * self._count
        shortest, longest = _SHARE_S
        return min(max(left_s / (2 * self._count), shortest), longest)

    def _whole(self, place: int) -> None:
        work = self._files[place]
        if work.whole is None:
            self._ready.append((place, None))
        else:
            self._running[work.whole()] = place, None

    def _take(self, future: "Future[Any]") -> None:
        """What came of a call."""
        place, number = self._running.pop(future)
        work = self._files[place]
        if number is not None and work.left:
            return
        try:
            found = future.result()
        except PlanError:
            self._begin_anew(place)
        except InputError as error:
            self._over(place, error)
        else:
            if number is None:
                if isinstance(found, Encoded):
                    for sentence in found.notes:
                        warnings.warn(sentence, DamagedVideoWarning, stacklevel=3)
                    self._progress(found.timeline.frames)
                self._ready.append((place, found))
            else:
                work.vectors[number] = found
                self._progress(work.shares[number].frames)
                self._finish(place)

    def _finish(self, place: int) -> None:
        """Give a file that is whole."""
        work = self._files[place]
        encoded = work.encoded()
        if encoded is not None and work.plan is not None:
            self._ready.append((place, encoded._replace(notes=work.plan.tell())))
            work.vectors.clear()
            work.left = True

    def _begin_anew(self, place: int) -> None:
        self._leave(place)
        work = self._files[place]
        self._progress(-sum(work.shares[number].frames for number in work.vectors))
        work.vectors.clear()
        self._again.append(place)

    def _over(self, place: int, error: InputError) -> None:
        self._leave(place)
        self._ready.append((place, error))

    def _leave(self, place: int) -> None:
        """Nothing more of its shares."""
        self._files[place].left = True
        for future, (whose, number) in self._running.items():
            if whose == place and number is not None:
                future.cancel()
