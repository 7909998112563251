"""One camera's process: address -> packets -> frames -> segments, previews and clips, sent to the engine.

It reads, decodes, scales and writes clips, so that what comes from outside is touched here alone, and killing it
harms no other camera. It holds no model and imports none. It ends when the engine says so, or is gone.

A live source that was not open in time gets twice as long the next time (`open_limit_s`): where a machine is short of
cores the same time would never do. While it is waited for, pulses tell that this process is not hung.

Frames that come too late: when the packet at hand is more than `LATE_S` behind the promptest one (the machine was
too slow, or the network held pictures back), packets are dropped undecoded, oldest first, up to the next keyframe
that is in time again. They are counted. Whoever is too slow catches up in this way within moments; what stays late for
`LATE_FOR_S` although nothing is decoded comes so late from now on, and is watched as it comes.
"""

import math
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refinevad.apps.live.backoff import backoff_s
from refinevad.apps.live.capture.kept_stream import KeptStream
from refinevad.apps.live.capture.main_stream import MainStream
from refinevad.apps.live.capture.messages import (
    Ended,
    Finish,
    Gap,
    Message,
    Opened,
    Pulse,
    Record,
    Stop,
    View,
    decode,
    encode,
)
from refinevad.apps.live.capture.preview import PreviewMaker
from refinevad.apps.live.capture.recorder import MOST_CLIP_S, ClipRecorder, KeptPacket
from refinevad.apps.live.capture.segment_maker import SegmentMaker
from refinevad.apps.live.capture.source import OPEN_S, Source, SourceLateError, SourceLostError
from refinevad.apps.live.capture.stream_recorder import StreamRecorder, adopt
from refinevad.apps.live.disk import RESERVE_MB
from refinevad.apps.live.settings.addresses import Address
from refinevad.errors import InputError
from refinevad.timeline import SegmentRule
from refinevad.video.frames import FrameNeeds
from refinevad.video.vectors import References

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

LATE_S = 2.0
LATE_FOR_S = 5.0
PULSE_S = 1.0
LONGEST_PAUSE_S = 30.0  # between two attempts to open a source
LONGEST_OPEN_S = 160.0  # that opening one may take
_LOOK_UP_S = 60.0  # that asking for a host's addresses may take, which nothing bounds, twice
STEADY_S = 10.0  # a source that held so long is tried again at once when it breaks off


@dataclass(frozen=True)
class WorkerJob:
    """What one process does; `ring_s` seconds of packets are kept for clips, 0: none are made.

    `reserve_mb`: no clip is written where less is free; `most_clip_s`: no clip is longer; `main`: the stream in full
    size, of which clips are made; `recordings`: folder in which the stream is kept all the time, None: it is not.
    """

    address: Address
    needs: FrameNeeds
    rule: SegmentRule
    fast: bool
    stall_s: float
    preview_hz: float
    preview_long_side: int
    ring_s: float
    reserve_mb: float = RESERVE_MB
    most_clip_s: float = MOST_CLIP_S
    main: Address | None = None
    recordings: Path | None = None


def work(job: WorkerJob, connection: Connection) -> None:
    """The process's whole life."""
    for ignored in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # a terminal and a service manager tell them to all; the engine ends us
        signal.signal(ignored, signal.SIG_IGN)
    Worker(job, connection).run()


def open_limit_s(late: int) -> float:
    """Seconds in which a live source has to be open, after so many attempts that were too short for it."""
    return min(OPEN_S * 2.0 ** min(late, 30), LONGEST_OPEN_S)


class _Counts:
    """Since the last pulse."""

    def __init__(self) -> None:
        self.frames = self.dropped = self.damaged = self.reconnects = 0


class Worker:
    """See the module's text."""

    def __init__(self, job: WorkerJob, connection: Connection) -> None:
        self.job, self._connection = job, connection
        self._sending, self._stop = threading.Lock(), threading.Event()
        recording = None if job.recordings is None else StreamRecorder(job.recordings, job.reserve_mb)
        clips = ClipRecorder(job.ring_s, job.reserve_mb, job.most_clip_s)
        self._kept = KeptStream(clips, self._send, recording)
        self._origin = time.monotonic()  # of stream second 0 of what is scored
        self._main: MainStream | None = None
        self._preview = PreviewMaker(job.preview_long_side)
        self._counts, self._pulse_due = _Counts(), 0.0
        self._size = (0, 0)
        self._late, self._late_since = False, math.inf
        self._references: References | None = None

    def run(self) -> None:
        """Until the engine ends it."""
        threading.Thread(target=self._obey, name="commands", daemon=True).start()
        self._pulse(now=True)
        if self.job.recordings is not None:
            adopt(self.job.recordings)
        self._read_main()
        failures = late = 0
        while not self._stop.is_set():
            opened = time.monotonic()
            try:
                source = self._open(open_limit_s(late))
                try:
                    notes = self._watch(source)
                finally:
                    source.close()
            except InputError as error:
                self._send(Ended(str(error)))
                break
            except SourceLostError as error:
                late += isinstance(error, SourceLateError)
                failures = 1 if time.monotonic() - opened > STEADY_S else failures + 1
                pause = backoff_s(failures, random.random(), LONGEST_PAUSE_S)
                self._send(Gap(str(error), pause))
                self._rest(pause)
                self._counts.reconnects += 1
            else:
                self._pulse(now=True)
                self._send(Ended("", notes))
                break
        while not self._stop.is_set():  # clips may yet be asked for
            self._nap(PULSE_S)

    def _open(self, open_s: float) -> Source:
        job = self.job
        with self._pulsing(open_s + _LOOK_UP_S if job.address.live else 0.0):
            return Source(job.address, stall_s=job.stall_s, open_s=open_s, fast=job.fast, nap=self._nap)

    @contextmanager
    def _pulsing(self, most_s: float) -> Iterator[None]:
        """Pulses from a thread of their own, for so long at most: whatever takes longer is hung."""
        over, until = threading.Event(), time.monotonic() + most_s

        def pulse() -> None:
            while time.monotonic() < until and not over.wait(PULSE_S):
                self._pulse()

        beside = threading.Thread(target=pulse, name="pulses", daemon=True)
        beside.start()
        try:
            yield
        finally:
            over.set()
            beside.join()

    def _watch(self, source: Source) -> str:
        """Everything one connection brings; what was found amiss in it, in sentences."""
        maker = self._segment_maker(source)
        try:
            for packet, arrived in source:
                self._pulse()
                self._take(maker, packet, arrived)
        finally:
            maker.end()
            self._counts.damaged += source.damaged
        return "; ".join(maker.counts.sentences("it"))

    def _segment_maker(self, source: Source) -> SegmentMaker:
        context = source.stream.codec_context
        self._begin_clips(source)
        self._size = (context.width, context.height)
        self._send(Opened(*self._size, source.rate_hz, context.name, source.recording))
        job = self.job
        wants_vectors = job.needs.vector_cells is not None
        self._references = References(source.stream, source.rate_hz) if wants_vectors else None
        return SegmentMaker(
            source,
            job.needs,
            job.rule,
            hole_s=job.stall_s,
            preview=self._preview,
            preview_hz=job.preview_hz,
            send=self._send,
        )

    def _read_main(self) -> None:
        """Read the stream in full size beside the other, where clips are made at all."""
        job = self.job
        if job.main is not None and job.ring_s:
            origin = lambda: self._origin  # noqa: E731
            self._main = MainStream(
                job.main, self._kept, stall_s=job.stall_s, scored_origin=origin, send=self._send, stop=self._stop
            )
            self._main.start()

    def _begin_clips(self, source: Source) -> None:
        if self.job.ring_s and not (self._main is not None and self._main.up):
            self._kept.claim(source)

    def _keep(self, maker: SegmentMaker, packet: "Packet[Any]", arrived: float) -> None:
        """Keep a packet of what is scored, unless the stream in full size is kept."""
        if not self.job.ring_s:
            return
        self._origin = maker.origin if math.isfinite(maker.origin) else arrived
        if self._main is not None and self._main.up:
            return
        if not self._kept.belongs_to(maker.source):
            self._kept.claim(maker.source)
        if (kept := KeptPacket.of(packet, maker.packet_s(packet, arrived))) is not None:
            self._kept.push(maker.source, kept, min(self._origin + kept.time_s, arrived))

    def _take(self, maker: SegmentMaker, packet: "Packet[Any]", arrived: float) -> None:
        self._keep(maker, packet, arrived)
        if self._is_late(maker, packet, arrived):
            self._counts.dropped += 1
            return
        if self._references is not None:
            self._references.note(packet)
        for frame in self._frames(packet):
            self._counts.frames += 1
            self._frame(maker, frame, arrived)

    def _frame(self, maker: SegmentMaker, frame: "VideoFrame", arrived: float) -> None:
        if (frame.width, frame.height) != self._size:  # a file holds pictures of one size
            self._size = (frame.width, frame.height)
            self._begin_clips(maker.source)
        jumps = maker.jumps
        self._counts.dropped += not maker.push(frame, arrived)
        if maker.jumps > jumps:
            self._begin_clips(maker.source)

    def _is_late(self, maker: SegmentMaker, packet: "Packet[Any]", arrived: float) -> bool:
        if (self.job.fast and maker.source.recording) or not packet.size:
            return False
        late = maker.lag_s(packet, arrived) > LATE_S
        self._late_since = min(self._late_since, arrived) if late else math.inf
        if arrived - self._late_since > LATE_FOR_S:
            maker.forget()
            late, self._late_since = False, math.inf
        if late:
            self._late = True
        elif self._late and packet.is_keyframe:
            self._late = False
            maker.source.stream.codec_context.flush_buffers()
        return self._late

    def _frames(self, packet: "Packet[Any]") -> Iterator["VideoFrame"]:
        import av

        try:
            yield from (frame for frame in packet.decode() if isinstance(frame, av.VideoFrame))
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            self._counts.damaged += 1

    # -- to the engine ------------------------------------------------------------------------------------------------

    def _send(self, message: Message) -> None:
        try:
            with self._sending:
                self._connection.send_bytes(encode(message))
        except OSError:  # the engine is gone
            self._leave()

    def _pulse(self, now: bool = False) -> None:
        if not now and time.monotonic() < self._pulse_due:
            return
        self._pulse_due = time.monotonic() + PULSE_S
        counts, self._counts = self._counts, _Counts()
        self._send(Pulse(counts.frames, counts.dropped, counts.damaged, counts.reconnects, *self._size))

    def _nap(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self._pulse()

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            self._nap(min(left, PULSE_S))

    # -- from the engine ----------------------------------------------------------------------------------------------

    def _obey(self) -> None:
        """Commands, on a thread of their own: a source that stalls holds nothing up."""
        while True:
            try:
                command = decode(self._connection.recv_bytes())
            except (EOFError, OSError):
                self._leave()
                return
            if isinstance(command, Record):
                self._kept.record(command)
            elif isinstance(command, Finish):
                self._kept.finish(command)
            elif isinstance(command, View):
                self._kept.view(command.on)
            elif isinstance(command, Stop):
                self._kept.end_all()
                self._leave()

    def _leave(self) -> None:
        """End the process wherever its other thread is, clips closed."""
        self._stop.set()
        self._kept.close()
        os._exit(0)
