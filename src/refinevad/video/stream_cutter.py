"""Frames of a stream, as they come -> its segments' pixels, and where pictures are missing between them.

The one way for cameras (apps/live/capture/segment_maker.py) and for programs (streaming.py). Seconds are by a clock
(video/stamps.py): frames whose second does not rise are dropped; where the stamps jump, the segment ends one nominal
frame after its last one, and a fresh clock goes on with the frame that jumped. Holds one segment's pixels at most.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from refinevad.timeline import SegmentRule
from refinevad.video.clips import ClipCutter
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.stamps import TimeBrokenError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


@runtime_checkable
class Clock(Protocol):
    """Places a stream's frames in seconds."""

    def place(self, stamp_s: float | None, arrived: float) -> float | None:
        """Second of the next frame; None for one that does not advance.

        Raises:
            TimeBrokenError: the stamps jumped.
        """
        ...


@dataclass(frozen=True)
class CutSegment:
    """A segment's pixels, and how many frames it had."""

    clip: Clip
    frames: int


@dataclass(frozen=True)
class Break:
    """Pictures are missing, or the source began anew: what came before is over.

    Attributes:
        error: the jump, as the clock told it.
        last: the segment that was being gathered.
    """

    error: TimeBrokenError
    last: CutSegment | None


@dataclass(frozen=True)
class Taken:
    """What became of a frame.

    Attributes:
        time_s: its second; None: it did not advance and was dropped.
        broken: the jump that came before it.
        segment: the one that it ended.
    """

    time_s: float | None
    broken: Break | None
    segment: CutSegment | None


class StreamCutter:
    """See the module's text.

    Args:
        rate_hz: the source's nominal frames a second (see `ClipCutter`).
        clock: makes one that begins with the next frame.
    """

    def __init__(self, needs: FrameNeeds, rule: SegmentRule, rate_hz: float, clock: Callable[[], Clock]) -> None:
        self._needs, self._rule, self._rate_hz, self._new_clock = needs, rule, rate_hz, clock
        self._begin()

    def _begin(self) -> None:
        self._clock = self._new_clock()
        self._cutter = ClipCutter(self._needs, self._rule, self._rate_hz)
        self._opened = 0  # first frame of the segment that is being gathered

    def push(self, frame: "VideoFrame", stamp_s: float | None, arrived: float = 0.0) -> Taken:
        """Take a frame with its stamp; `arrived`: when it came, for a clock that knows no better."""
        broken = None
        try:
            time_s = self._clock.place(stamp_s, arrived)
        except TimeBrokenError as error:
            broken = Break(error, self.close())
            time_s = self._clock.place(stamp_s, arrived)
        if time_s is None:
            return Taken(None, broken, None)
        clip = self._cutter.push(frame, time_s)
        if clip is None:
            return Taken(time_s, broken, None)
        segment = CutSegment(clip, self._cutter.opened - self._opened)
        self._opened = self._cutter.opened
        return Taken(time_s, broken, segment)

    def close(self) -> CutSegment | None:
        """The segment that is being gathered, as it stands; what comes next begins anew."""
        clip = self._cutter.close()
        segment = None if clip is None else CutSegment(clip, self._cutter.frames - self._opened)
        self._begin()
        return segment
