"""H.264 packets -> the frames that clips need, and the times of all frames; what can be spared is not decoded.

Which frames a clip takes depends on their times alone, and packets carry those. So packets are read some places ahead,
and one that holds no wanted frame, and to which no other refers (nal_ref_idc 0), is left out by the decoder: the frames
that come are the same to the bit. Where a file is not as its packets say (damage, no or equal time stamps, frames
that do not come, interlaced pictures), `PlanError` tells the caller to decode every frame instead. One thing differs
from doing so: damage inside a frame that is left out goes unnoticed.

Only H.264: other codecs' disposable frames may still be referred to, as in HEVC's temporal layers.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from refinevad.clips import FramePicker

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

CODECS = frozenset({"h264"})
_REORDER = 32  # H.264 shows a frame at most 16 places from where it is decoded; in fields twice that


class PlanError(Exception):
    """The file is not as its packets say: every frame must be decoded."""


class _Planned(NamedTuple):
    """A frame by its packet: presentation stamp and second, and whether it is wanted."""

    stamp: int
    time_s: float
    wanted: bool


class NeededFrames:
    """Iterates over (frame or None, presentation second) of one stream as `FrameReader` does; None: not needed.

    Args:
        picker: a fresh one, with the rule of the clips that are made of the frames.

    Raises:
        PlanError: while iterating; what was given by then holds.
    """

    def __init__(self, container: "InputContainer", stream: "VideoStream", picker: FramePicker) -> None:
        self._container, self._stream, self._picker = container, stream, picker
        base = stream.time_base  # asked for once: the stream makes a new fraction each time
        self._base = None if base is None else (base.numerator, base.denominator)
        self._stamps: list[int] = []  # a heap: packets read whose place among the others is still open
        self._waiting: deque[Packet[Any]] = deque()  # for the decoder, in its order
        self._plan: deque[_Planned] = deque()  # in the order of presentation, not given yet
        self._wanted: dict[int, bool] = {}  # of frames planned and not sent
        self._held: _Planned | None = None  # planned last: it may have to stand in for its segment
        self._newest: int | None = None
        self._first_s = 0.0
        self._given = 0

    def __iter__(self) -> Iterator[tuple["VideoFrame | None", float]]:
        import av

        try:
            for packet in self._container.demux(self._stream):
                if packet.size == 0:  # the end: what the decoder still holds
                    break
                self._read(packet)
                while len(self._stamps) > _REORDER:
                    self._place(heapq.heappop(self._stamps))
                yield from self._send()
            while self._stamps:
                self._place(heapq.heappop(self._stamps))
            self._settle(self._picker.rgb_taken == 0)
            yield from self._send()
            for frame in self._stream.codec_context.decode(None):
                yield from self._give(frame)
        except av.error.FFmpegError as error:
            raise PlanError from error
        while self._plan:
            yield self._skipped()

    def _read(self, packet: "Packet[Any]") -> None:
        """Take a packet that the container gives."""
        stamp = packet.pts
        if stamp is None or packet.is_corrupt or packet.is_discard or self._is_late(stamp):
            raise PlanError
        heapq.heappush(self._stamps, stamp)
        self._waiting.append(packet)

    def _is_late(self, stamp: int) -> bool:
        """Whether a frame is not behind all that are placed."""
        return self._newest is not None and stamp <= self._newest

    def _place(self, stamp: int) -> None:
        """The next frame in the order of presentation: decide about the one before it."""
        if self._base is None or self._is_late(stamp):
            raise PlanError
        stamp_s = stamp * self._base[0] / self._base[1]  # as float(stamp * time base), rounded correctly too
        if self._newest is None:
            self._first_s = stamp_s
        self._newest = stamp
        alone = self._picker.rgb_taken == 0
        pick = self._picker.push(stamp_s - self._first_s)
        self._settle(pick.opens and alone)
        self._held = _Planned(stamp, stamp_s - self._first_s, pick.rgb or pick.gray)

    def _settle(self, stands_in: bool) -> None:
        """The frame that was held goes into the plan; `stands_in`: its segment has no other colour frame."""
        held, self._held = self._held, None
        if held is None:
            return
        if stands_in and self._picker.needs.rgb_frames > 0:
            held = held._replace(wanted=True)
        self._plan.append(held)
        self._wanted[held.stamp] = held.wanted

    def _send(self) -> Iterator[tuple["VideoFrame | None", float]]:
        """Decode the packets whose frames are decided about."""
        context = self._stream.codec_context
        while self._waiting and self._waiting[0].pts in self._wanted:
            packet = self._waiting.popleft()
            assert packet.pts is not None
            context.skip_frame = "DEFAULT" if self._wanted.pop(packet.pts) else "NONREF"
            for frame in context.decode(packet):
                yield from self._give(frame)

    def _give(self, frame: "VideoFrame") -> Iterator[tuple["VideoFrame | None", float]]:
        """A decoded frame, after those before it that were left out."""
        stamp = frame.pts
        if stamp is None or frame.is_corrupt or frame.interlaced_frame:
            raise PlanError  # what is concealed is taken from whichever frames are there
        while self._plan and self._plan[0].stamp < stamp and self._given:
            yield self._skipped()
        if not self._plan or self._plan[0].stamp != stamp:
            raise PlanError
        self._given += 1
        yield frame, self._plan.popleft().time_s

    def _skipped(self) -> tuple["VideoFrame | None", float]:
        """The next frame of the plan, which does not come."""
        planned = self._plan.popleft()
        if planned.wanted:
            raise PlanError
        return None, planned.time_s
