"""H.264 packets -> the frames that clips need, and the times of all frames; what can be spared is not decoded.

Which frames a clip takes depends on their times alone, and packets carry those. So packets are read some places ahead,
and one that holds no wanted frame, and to which no other refers (nal_ref_idc 0), is left out by the decoder: the frames
that come are the same to the bit. Where a file is not as its packets say (damage, no or equal time stamps, frames
that do not come, interlaced pictures), `PlanError` tells the caller to decode every frame instead. One thing differs
from doing so: damage inside a frame that is left out goes unnoticed.

Only H.264's frames are left out: other codecs' disposable ones may still be referred to, as in HEVC's temporal layers.
"""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from refinevad.video.clips import FramePicker
from refinevad.video.presentation import PlanError, Presentation
from refinevad.video.stamps import StampCounts
from refinevad.video.vectors import References

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

SPARING_CODECS = frozenset({"h264"})  # whose packets say that no other frame refers to theirs


class _Planned(NamedTuple):
    """A frame by its packet: presentation stamp and second, and whether it is wanted."""

    stamp: int
    time_s: float
    wanted: bool


class NeededFrames:
    """Iterates over (frame or None, presentation second) of one stream as `FrameReader` does; None: not needed.

    Args:
        picker: with the rule of the clips that are made of the frames; as it is before the first of them.
        first: stamp of the first frame to give; None: of the file. Packets may begin before it, with a key frame.
        origin: stamp of the file's first frame, which is shown at second 0; None: the first there is.

    Raises:
        PlanError: while iterating; what was given by then holds.
    """

    def __init__(
        self,
        container: "InputContainer",
        stream: "VideoStream",
        picker: FramePicker,
        first: int | None = None,
        origin: int | None = None,
    ) -> None:
        self._container, self._stream, self._picker = container, stream, picker
        self._first = first
        self._spares = stream.codec_context.name in SPARING_CODECS
        self._order = Presentation(stream, picker.rate_hz, origin)
        wants_vectors = picker.needs.vector_cells is not None
        self._references = References(stream, picker.rate_hz) if wants_vectors else None
        self._waiting: deque[Packet[Any]] = deque()  # for the decoder, in its order
        self._plan: deque[_Planned] = deque()  # in the order of presentation, not given yet
        self._wanted: dict[int, bool] = {}  # of frames that are decided about and not sent
        self._held: _Planned | None = None  # planned last: it may have to stand in for its segment
        self._begun = origin is not None  # else the first frame decoded must be the first planned: second 0 is there

    @property
    def counts(self) -> StampCounts:
        """What was found in the stamps so far."""
        return self._order.counts

    def __iter__(self) -> Iterator[tuple["VideoFrame | None", float]]:
        import av

        try:
            for packet in self._container.demux(self._stream):
                if packet.size == 0:  # the end: what the decoder still holds
                    break
                self._read(packet)
                for stamp, time_s in self._order.settled():
                    self._place(stamp, time_s)
                yield from self._send()
            for stamp, time_s in self._order.settled(end=True):
                self._place(stamp, time_s)
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
        if self._references is not None:
            self._references.note(packet)
        if self._first is not None and packet.pts is not None and packet.pts < self._first:
            self._wanted[packet.pts] = False  # decoded only where others refer to it, and not given
        else:
            self._order.push(packet)
        self._waiting.append(packet)

    def _place(self, stamp: int, time_s: float) -> None:
        """The next frame in the order of presentation: decide about the one before it."""
        alone = self._picker.rgb_taken == 0
        pick = self._picker.push(time_s)
        self._settle(pick.opens and alone)
        self._held = _Planned(stamp, time_s, pick.rgb or pick.gray)

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
            wanted = self._wanted.pop(packet.pts)
            if self._spares:
                context.skip_frame = "DEFAULT" if wanted else "NONREF"
            for frame in context.decode(packet):
                yield from self._give(frame)

    def _give(self, frame: "VideoFrame") -> Iterator[tuple["VideoFrame | None", float]]:
        """A decoded frame, after those before it that were left out."""
        stamp = frame.pts
        if stamp is not None and self._first is not None and stamp < self._first:
            return
        if stamp is None or frame.is_corrupt or frame.interlaced_frame:
            raise PlanError  # what is concealed is taken from whichever frames are there
        while self._begun and self._plan and self._plan[0].stamp < stamp:
            yield self._skipped()
        if not self._plan or self._plan[0].stamp != stamp:
            raise PlanError
        self._begun = True
        yield frame, self._plan.popleft().time_s

    def _skipped(self) -> tuple["VideoFrame | None", float]:
        """The next frame of the plan, which does not come."""
        planned = self._plan.popleft()
        if planned.wanted:
            raise PlanError
        return None, planned.time_s
