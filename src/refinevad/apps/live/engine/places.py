"""Where a camera's events came from (locating.py), looked for a piece at a time so that no camera's scores wait for it.

The newest segments are kept, as the peak of an event is known only once scores are final. Belongs to the scoring
thread.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from refinevad.apps.live.engine.live_model import LiveModel
from refinevad.errors import InputError
from refinevad.locating import CONTEXT, Peak, steps
from refinevad.scoring.where import Located
from refinevad.video.frames import Clip
from refinevad.video.stamps import HOLE_S

_KEPT_S = 4.0  # of clips, beyond the rule's delay
_MOST_BYTES = 4 << 20  # of a clip: an encoder of large pictures would fill the memory
_MOST_WAITING = 4  # events of a camera; of more the oldest go without


@dataclass(frozen=True)
class _Kept:
    clip: Clip | None
    vector: Float[np.ndarray, "channel"]
    start_s: float
    end_s: float
    stretch: int


class Places:
    """The kept segments of one camera, and the peaks that are being looked at."""

    def __init__(self, model: LiveModel) -> None:
        self._model, self._encoder = model.checkpoint.model, model.encoder
        self._kept_s = model.rule.delay_s + _KEPT_S
        self._kept: deque[_Kept] = deque()
        self._stretch = 0
        self._work: OrderedDict[str, Generator[None, None, Located | None]] = OrderedDict()

    def keep(self, clip: Clip, vector: Float[np.ndarray, "channel"]) -> None:
        """Take a segment; one that does not advance is none (segment_stream.py)."""
        last_s = self._kept[-1].end_s if self._kept else -math.inf
        if clip.end_s <= last_s:
            return
        self._stretch += clip.start_s - last_s > HOLE_S
        fits = clip.rgb.nbytes + clip.gray.nbytes <= _MOST_BYTES
        self._kept.append(_Kept(clip if fits else None, vector, clip.start_s, clip.end_s, self._stretch))
        while len(self._kept) > CONTEXT + 1 and self._kept[CONTEXT].end_s < clip.end_s - self._kept_s:
            self._kept.popleft()

    def forget(self) -> None:
        """Pictures are missing: what was before is no context of what comes."""
        self._kept.clear()

    def peak_at(self, time_s: float) -> Peak | None:
        """The segment at a stream second, with its context; None where it is not kept any more."""
        for place in range(len(self._kept) - 1, -1, -1):
            one = self._kept[place]
            if one.clip is not None and one.start_s <= time_s < one.end_s:
                before = (self._kept[at] for at in range(max(0, place - CONTEXT), place + 1))
                vectors = np.stack([kept.vector for kept in before if kept.stretch == one.stretch])
                return Peak(one.clip, vectors)
        return None

    def ask(self, event: str, peak: Peak) -> None:
        """Look at an event's peak, in place of the one that may be looked at."""
        self._work.pop(event, None)
        self._work[event] = steps(self._model, self._encoder, peak)
        while len(self._work) > _MOST_WAITING:
            self._work.popitem(last=False)

    def drop(self, event: str) -> None:
        """It is no longer asked for."""
        self._work.pop(event, None)

    def waits_for(self, event: str) -> bool:
        """Whether an event's place may yet be found."""
        return event in self._work

    @property
    def busy(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._work)

    def step(self) -> tuple[str, Located | None] | None:
        """Do the next piece of the oldest event's; what came of it, once it is done."""
        if not self._work:
            return None
        event, work = next(iter(self._work.items()))
        try:
            next(work)
        except StopIteration as end:
            del self._work[event]
            return event, end.value
        except InputError:  # an encoder that fails says so when the next segment comes
            del self._work[event]
            return event, None
        return None
