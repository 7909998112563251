"""One connection's frames -> segments and small pictures: timed, cut and scaled as of a file (video/reading.py)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from refinevad.apps.live.capture.looks import LookMaker
from refinevad.apps.live.capture.messages import Gap, Message, Picture, Segment
from refinevad.apps.live.capture.preview import PreviewMaker
from refinevad.apps.live.capture.source import Source
from refinevad.apps.live.capture.stream_time import StreamTime
from refinevad.timeline import SegmentRule
from refinevad.video.frames import FrameNeeds
from refinevad.video.stamps import StampCounts, StampSieve, longest_step_s, wrap_s
from refinevad.video.stream_cutter import CutSegment, StreamCutter

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame


class SegmentMaker:
    """Begins anew, after a gap, where a live source's times jump. Frames wait while it is undecided whether they do.

    Args:
        hole_s: a live source whose times go on by more has pictures missing.
        send: takes the messages.
        preview_hz: small pictures a stream second; 0: none.
    """

    def __init__(
        self,
        source: Source,
        needs: FrameNeeds,
        rule: SegmentRule,
        *,
        hole_s: float,
        preview: PreviewMaker,
        preview_hz: float,
        send: Callable[[Message], None],
    ) -> None:
        self.source, self._hole_s = source, hole_s
        self._preview, self._preview_hz, self._send = preview, preview_hz, send
        self._slips = self._waits = 0
        self.jumps = 0  # how often stream seconds began anew
        self.counts = StampCounts()
        self._sieve: StampSieve[tuple[VideoFrame, float]] | None = None
        if source.stamped:
            self._sieve = StampSieve(source.rate_hz, self.counts)
        self._time = self._made_time()
        self._cutter = StreamCutter(needs, rule, source.rate_hz, self._new_time)
        self._ended = False
        self._arrived = 0.0
        self._picture_due = 0.0
        self._looks = LookMaker()

    def _new_time(self) -> StreamTime:
        if self._time.stands:
            self.source.stamped, self._sieve = False, None  # until it is opened again
        self._time = self._made_time()
        return self._time

    def _made_time(self) -> StreamTime:
        source = self.source
        return StreamTime(
            1.0 / source.rate_hz,
            stamped=source.stamped,
            recording=source.recording,
            hole_s=max(self._hole_s, longest_step_s(source.rate_hz)),
            wrap_s=wrap_s(source.container.format.name),
            counts=self.counts,
        )

    @property
    def origin(self) -> float:
        """Monotonic second of stream second 0; infinite before the first frame."""
        return self._time.origin

    def packet_s(self, packet: "Packet[Any]", arrived: float) -> float:
        """Stream second of a packet, as near as can be told before it is decoded."""
        if not self.source.stamped or packet.pts is None or packet.time_base is None:
            return self._time.last_s
        return self._time.of(float(packet.pts * packet.time_base))

    def lag_s(self, packet: "Packet[Any]", arrived: float) -> float:
        """How far a packet that came at `arrived` is behind the promptest one since the network last was.

        Since the source last slipped, or had to be waited for: this machine was not what was slow.
        """
        if self.source.slips > self._slips:
            self._slips = self.source.slips
            self.forget()
        if self.source.waits > self._waits:
            self._waits = self.source.waits
            self._time.excuse()
        return self._time.lag_s(self.packet_s(packet, arrived), arrived)

    def forget(self) -> None:
        """What comes now is in time, however much sooner pictures came before."""
        self._time.forget()

    def push(self, frame: "VideoFrame", arrived: float) -> bool:
        """Take a frame whose packet came at `arrived`; False where the time of one does not advance: it is dropped."""
        stamp = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
        if self._sieve is None:
            return self._show(stamp, frame, arrived)
        advanced = True
        for known, item in self._sieve.push(stamp, (frame, arrived)):
            advanced &= self._show(known, *item)
        return advanced

    def _show(self, stamp: float | None, frame: "VideoFrame", arrived: float) -> bool:
        if self._ended:
            return False
        time, taken = self._time, self._cutter.push(frame, stamp, arrived)
        if taken.broken is not None:
            self._tell(taken.broken.last, time.origin)
            error = taken.broken.error
            self._send(Gap(f"{self.source.address}: {error}", 0.0, lasting=not error.step_s))
            self.jumps += 1
            self._arrived = self._picture_due = 0.0
        if taken.time_s is None:
            return False
        self._time.saw(taken.time_s, arrived)
        self._tell(taken.segment, self._time.origin)
        self._arrived = arrived
        if self._preview_hz and taken.time_s >= self._picture_due:
            self._picture_due = taken.time_s + 1.0 / self._preview_hz
            self._send(Picture(self._preview.jpeg(frame), taken.time_s, self._time.origin))
            self._send(self._looks.look(frame, taken.time_s))
        return True

    def end(self) -> None:
        """What was held, and the segment that was being gathered, as it stands; nothing is taken afterwards."""
        if self._sieve is not None:
            for known, item in self._sieve.flush():
                self._show(known, *item)
        origin = self._time.origin
        self._tell(self._cutter.close(), origin)
        self._ended = True

    def _tell(self, segment: CutSegment | None, origin: float) -> None:
        if segment is not None:
            self._send(Segment(segment.clip, segment.frames, self._arrived, origin))
