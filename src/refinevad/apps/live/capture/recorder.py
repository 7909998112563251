"""Packets -> clips of events: MP4 from the packets as they came, nothing encoded anew.

A ring holds the newest packets, so that a clip can begin before its event: at the last keyframe that lies at least
the pre-roll ahead of it. The ring is bounded in seconds and bytes; a clip in length.
"""

from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refinevad.apps.live.disk import too_full
from refinevad.errors import InputError
from refinevad.files.whole import atomic_write

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

RING_BYTES = 64 << 20  # a minute at 8 Mbit/s
LOOK_S = 1.0  # of the stream, between two looks at the disk
MOST_CLIP_S = 300.0  # where nothing else is said


@dataclass(frozen=True)
class KeptPacket:
    """A packet's bytes; times in ticks of `time_base`, `time_s` its stream second."""

    payload: bytes
    pts: int
    dts: int
    duration: int
    time_base: Fraction
    keyframe: bool
    time_s: float

    @classmethod
    def of(cls, packet: "Packet[Any]", time_s: float) -> "KeptPacket | None":
        """None for one that cannot be put into a file: no time stamp, or nothing in it."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or packet.time_base is None or not packet.size:
            return None
        pts = packet.pts if packet.pts is not None else stamp
        length = int(packet.duration or 0)
        return cls(bytes(packet), pts, stamp, length, packet.time_base, packet.is_keyframe, time_s)

    @property
    def decoded_s(self) -> float:
        """Stream second before which no picture follows it any more."""
        return self.time_s + float((self.dts - self.pts) * self.time_base)


class PacketRing:
    """The newest packets: at least `seconds` of them and back to a keyframe, at most `RING_BYTES`."""

    def __init__(self, seconds: float, most_bytes: int = RING_BYTES) -> None:
        self._seconds, self._most_bytes = seconds, most_bytes
        self._packets: deque[KeptPacket] = deque()
        self._keyframes: deque[KeptPacket] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def newest_s(self) -> float | None:
        """Stream second up to which all pictures are there."""
        return self._packets[-1].decoded_s if self._packets else None

    def push(self, packet: KeptPacket) -> None:
        if packet.keyframe:
            self._keyframes.append(packet)
        elif not self._keyframes:
            return  # nothing can be decoded before the first keyframe
        self._packets.append(packet)
        self.bytes += len(packet.payload)
        while len(self._keyframes) > 1 and (
            self._keyframes[1].time_s <= packet.time_s - self._seconds or self.bytes > self._most_bytes
        ):
            self._drop_group()
        if self.bytes > self._most_bytes:  # one group of pictures that is too large: nothing is kept of it
            self.clear()

    def _drop_group(self) -> None:
        self._keyframes.popleft()
        while self._packets[0] is not self._keyframes[0]:
            self.bytes -= len(self._packets.popleft().payload)

    def clear(self) -> None:
        self._packets.clear()
        self._keyframes.clear()
        self.bytes = 0

    def newest_group(self) -> list[KeptPacket]:
        """Packets from the newest keyframe on."""
        return self.since(self._keyframes[-1].time_s) if self._keyframes else []

    def since(self, start_s: float) -> list[KeptPacket]:
        """Packets from the last keyframe at or before `start_s`, or else from the oldest one."""
        begin = None
        for keyframe in self._keyframes:
            if begin is None or keyframe.time_s <= start_s:
                begin = keyframe
        packets = list(self._packets)
        return packets[next(i for i, packet in enumerate(packets) if packet is begin) :] if begin else []


@dataclass
class _Clip:
    """A clip that is being written."""

    path: Path
    files: ExitStack
    container: "OutputContainer"
    first: KeptPacket
    last_dts: int
    end_s: float = field(default=float("inf"))


class ClipRecorder:
    """Writes clips of one stream. Every packet goes to `push`; `done` collects (event, reason it came to nothing)."""

    def __init__(self, ring_s: float, reserve_mb: float = 0.0, most_s: float | None = None) -> None:
        """`reserve_mb`: with less free no clip begins, and those that are being written end; `most_s`: of a clip."""
        self._most_s = MOST_CLIP_S if most_s is None else most_s
        self._reserve_mb, self._look_s = reserve_mb, -float("inf")
        self.ring = PacketRing(ring_s)
        self.done: list[tuple[str, str]] = []
        self._open: dict[str, _Clip] = {}
        self.header: OutputContainer | None = None  # of a file that is never written: it describes the stream
        self._trouble = "no pictures are held"

    def begin_stream(self, stream: "VideoStream") -> None:
        """Other pictures come from here on: clips end, and the ring begins anew."""
        import av

        self.end_all()
        self.ring.clear()
        # a file that is never written keeps the stream's description when its source is closed
        header = av.open(BytesIO(), "w", format="mp4")
        try:
            header.add_stream_from_template(stream, opaque=True)
            header.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            self.header, self._trouble = None, f"{stream.codec_context.name} does not go into MP4 ({_sentence(error)})"
        else:
            self.header, self._trouble = header, "no pictures are held"

    def push(self, packet: KeptPacket) -> None:
        self.ring.push(packet)
        self._mind_the_disk(packet.time_s)
        for event, clip in list(self._open.items()):
            if packet.decoded_s > clip.end_s or packet.time_s - clip.first.time_s > self._most_s:
                self._close(event)
            else:
                self._mux(event, packet)

    def _mind_the_disk(self, time_s: float) -> None:
        """End what is being written while there is room to end it."""
        if not self._open or abs(time_s - self._look_s) < LOOK_S:
            return
        self._look_s = time_s
        for event, clip in list(self._open.items()):
            if too_full(clip.path.parent, self._reserve_mb):
                self._close(event)

    def begin(self, event: str, path: Path, start_s: float) -> None:
        """Begin an event's clip with what the ring holds from `start_s` on."""
        packets = self.ring.since(start_s)
        if self.header is None or not packets:
            self.done.append((event, self._trouble))
            return
        if full := too_full(path.parent, self._reserve_mb):
            self.done.append((event, full))
            return
        self._start(event, path, packets[0])
        for packet in packets:
            if event in self._open:
                self._mux(event, packet)

    def finish(self, event: str, end_s: float, now: bool) -> None:
        """The clip reaches to `end_s`: it is closed with the first packet after it, or now."""
        clip = self._open.get(event)
        if clip is None:
            return
        clip.end_s = end_s
        newest = self.ring.newest_s
        if now or (newest is not None and newest > end_s):
            self._close(event)

    def end_all(self) -> None:
        """Close what is open, as far as it has come."""
        for event in list(self._open):
            self._close(event)

    def _start(self, event: str, path: Path, first: KeptPacket) -> None:
        import av

        assert self.header is not None
        files = ExitStack()
        try:
            partial = files.enter_context(atomic_write(path))
            container = files.enter_context(
                av.open(str(partial), "w", format="mp4", container_options={"movflags": "+faststart"})
            )
            stream = container.add_stream_from_template(self.header.streams.video[0], opaque=True)
            stream.time_base = first.time_base
        except (av.error.FFmpegError, InputError, ValueError, OSError) as error:
            self._fail(event, files, error)
            return
        self._open[event] = _Clip(path, files, container, first, first.dts - 1)

    def _mux(self, event: str, kept: KeptPacket) -> None:
        import av

        clip = self._open[event]
        if kept.dts <= clip.last_dts:  # a file's decoding times must rise
            return
        clip.last_dts = kept.dts
        packet = av.Packet(kept.payload)
        packet.stream, packet.time_base = clip.container.streams.video[0], kept.time_base
        packet.pts, packet.dts = max(kept.pts - clip.first.dts, kept.dts - clip.first.dts), kept.dts - clip.first.dts
        packet.duration, packet.is_keyframe = kept.duration, kept.keyframe
        try:
            clip.container.mux_one(packet)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            del self._open[event]
            self._fail(event, clip.files, error)

    def _close(self, event: str) -> None:
        import av

        clip = self._open.pop(event)
        try:
            clip.files.close()
        except (av.error.FFmpegError, InputError, OSError, ValueError) as error:
            self.done.append((event, _sentence(error)))
        else:
            self.done.append((event, ""))

    def _fail(self, event: str, files: ExitStack, error: Exception) -> None:
        """Give a clip up; its half-written file goes with it."""
        import av

        self.done.append((event, _sentence(error)))
        try:
            files.__exit__(type(error), error, error.__traceback__)
        except (av.error.FFmpegError, InputError, OSError, ValueError):
            return  # the same error again


def _sentence(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).split("\n")[0]
