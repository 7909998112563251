"""The cameras' processes: started, heard, commanded, and started again when they die or fall silent.

One thread hears them all. A process that is killed is noticed at once, by the end of its pipe; one that says nothing
for `silence_s` is hung, and is killed. Either is started again after a pause that grows from 1 s to 30 s. Nothing here
waits for a process: one that is stopped in the middle of a message, or takes no commands, holds no other camera up.

A process that starts says little: modules are loaded and a source is looked at, which takes minutes where a machine is
short of cores. One that is killed while it starts gives the next one twice the time, so that all come up in the end.
"""

import multiprocessing
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

from refinevad.apps.live.backoff import backoff_s
from refinevad.apps.live.capture.messages import (
    MOST_BYTES,
    Command,
    Message,
    MessageError,
    Pulse,
    Stop,
    decode,
    encode,
)
from refinevad.apps.live.capture.worker import LONGEST_PAUSE_S, STEADY_S, WorkerJob, work
from refinevad.apps.live.engine.inlet import Inlet

LEAVE_S = 3.0  # what a process is given to end by itself
_LOOK_S = 0.2
_MOST_PATIENCE = 16  # times `silence_s`: a process that can never start is not waited for without end
_ALREADY_GONE = threading.Event()
_ALREADY_GONE.set()


@dataclass(frozen=True)
class Died:
    """A camera's process is gone; another is started after `retry_s`."""

    reason: str
    retry_s: float


News = Message | Died


@dataclass
class _Seat:
    """One camera's process, or the wait for the next one."""

    camera: str
    job: WorkerJob
    process: "multiprocessing.process.BaseProcess | None" = None
    connection: "Connection | None" = None
    inlet: Inlet | None = None  # of `connection`
    started: float = 0.0
    heard: float = 0.0
    failures: int = 0
    start_at: float = 0.0
    up: bool = False  # its process has begun to watch, or said why it cannot
    slow_starts: int = 0  # processes in a row that were killed before they were up
    leave_until: float | None = None  # it was told to end; what it says is no longer told
    gone: threading.Event = field(default_factory=threading.Event)
    sending: threading.Lock = field(default_factory=threading.Lock)


class Fleet:
    """See the module's text. `hear(camera, news)` and `has_room(camera)` are called on the fleet's thread.

    A camera without room is not listened to, so that its process waits.
    """

    def __init__(
        self, hear: Callable[[str, News], None], has_room: Callable[[str], bool], silence_s: float = 60.0
    ) -> None:
        self._hear, self._has_room, self._silence_s = hear, has_room, silence_s
        self._context = multiprocessing.get_context("spawn")
        self._seats: dict[str, _Seat] = {}
        self._leaving: list[_Seat] = []
        self._lock = threading.Lock()
        self._ear, self._bell = self._context.Pipe(duplex=False)
        self._ringing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, camera: str, job: WorkerJob) -> None:
        """Start a process for a camera, in place of the one it may have."""
        self.remove(camera)
        with self._lock:
            self._seats[camera] = _Seat(camera, job)
        self.wake()

    def remove(self, camera: str) -> threading.Event:
        """End a camera's process; nothing more is heard of it. The event tells when it is gone."""
        with self._lock:
            seat = self._seats.pop(camera, None)
            if seat is None or seat.process is None:
                return _ALREADY_GONE
            seat.leave_until = time.monotonic() + LEAVE_S
            self._leaving.append(seat)
        _say(seat, Stop())
        self.wake()
        return seat.gone

    def command(self, camera: str, command: Command) -> None:
        """Tell a camera's process; nothing happens where it has none at the moment."""
        with self._lock:
            seat = self._seats.get(camera)
        if seat is not None:
            _say(seat, command)

    def pid(self, camera: str) -> int | None:
        """Number of a camera's process."""
        with self._lock:
            seat = self._seats.get(camera)
        return seat.process.pid if seat is not None and seat.process is not None else None

    def wake(self) -> None:
        """Look again who has room."""
        with self._ringing:
            if not self._ear.closed and not self._ear.poll():
                self._bell.send_bytes(b".")

    def stop(self) -> None:
        """End all processes, at the same time."""
        with self._lock:
            cameras = list(self._seats)
        for gone in [self.remove(camera) for camera in cameras]:
            gone.wait(2 * LEAVE_S)
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()
        with self._ringing:
            self._ear.close()
            self._bell.close()

    # -- the fleet's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                seats, leaving = list(self._seats.values()), list(self._leaving)
            self._look_after(seats)
            for seat in leaving:
                self._see_off(seat)
            heard = {
                seat.connection: seat
                for seat in (*seats, *leaving)
                if seat.connection and (seat.leave_until is not None or self._has_room(seat.camera))
            }
            for ready in wait([*heard, self._ear], timeout=_LOOK_S):
                if ready is self._ear:
                    self._ear.recv_bytes()
                elif isinstance(ready, Connection):
                    self._listen(heard[ready])

    def _listen(self, seat: _Seat) -> None:
        assert seat.inlet is not None
        seat.heard = time.monotonic()
        try:
            said = seat.inlet.read()
            if said is None:
                return
            message = decode(said)
        except (EOFError, OSError):
            self._lost(seat)
            return
        except MessageError as error:
            self._lost(seat, f"its process sent {error}")
            return
        if not isinstance(message, Pulse):
            seat.up, seat.slow_starts = True, 0
        if seat.leave_until is None and not isinstance(message, Command):
            self._hear(seat.camera, message)

    def _look_after(self, seats: list[_Seat]) -> None:
        """Start what is due, end what is hung."""
        now = time.monotonic()
        for seat in seats:
            if seat.process is None and now >= seat.start_at:
                self._start(seat)
            elif seat.process is not None and not self._has_room(seat.camera):
                seat.heard = now  # it is not listened to
            elif seat.process is not None:
                self._end_if_hung(seat, now)

    def _end_if_hung(self, seat: _Seat, now: float) -> None:
        limit_s = self._silence_s if seat.up else start_limit_s(self._silence_s, seat.slow_starts)
        if now - seat.heard <= limit_s or seat.connection is None or seat.connection.poll():
            return  # what it said meanwhile will be heard
        if seat.up:
            self._lost(seat, f"its process said nothing for {limit_s:.0f} s")
        else:
            seat.slow_starts += 1
            self._lost(seat, f"its process was still starting after {limit_s:.0f} s")

    def _start(self, seat: _Seat) -> None:
        with self._lock:
            if self._seats.get(seat.camera) is not seat:  # removed meanwhile
                return
            ours, theirs = self._context.Pipe()
            name = f"camera {seat.camera}"
            process = self._context.Process(target=work, args=(seat.job, theirs), name=name, daemon=True)
            process.start()
            theirs.close()  # so that its end is heard
            seat.process, seat.connection, seat.up = process, ours, False
            seat.inlet = Inlet(ours, MOST_BYTES)
            seat.started = seat.heard = time.monotonic()

    def _lost(self, seat: _Seat, reason: str = "") -> None:
        """Its process is gone, or has to go."""
        if seat.leave_until is not None:
            seat.leave_until = 0.0
            self._see_off(seat)
            return
        code = _bury(seat, kill=bool(reason))
        now = time.monotonic()
        seat.failures = 1 if now - seat.started > STEADY_S else seat.failures + 1
        pause = backoff_s(seat.failures, random.random(), LONGEST_PAUSE_S)
        seat.start_at = now + pause
        if seat.leave_until is None:
            self._hear(seat.camera, Died(reason or f"its process ended ({_how(code)})", pause))

    def _see_off(self, seat: _Seat) -> None:
        """Let go of a process that was told to end: once it has, or when its time is over."""
        assert seat.leave_until is not None
        over = time.monotonic() > seat.leave_until
        if seat.process is None or over or not seat.process.is_alive():
            _bury(seat, kill=over)
            with self._lock:
                if seat in self._leaving:
                    self._leaving.remove(seat)
            seat.gone.set()


def start_limit_s(silence_s: float, slow_starts: int) -> float:
    """Seconds for which a process that starts may be silent, after so many in a row that were killed while they did."""
    return min(silence_s * 2.0**slow_starts, silence_s * _MOST_PATIENCE)


def _bury(seat: _Seat, kill: bool) -> int | None:
    """Wait for a process's end, hastened where need be; its exit code."""
    process, connection = seat.process, seat.connection
    seat.process = seat.connection = seat.inlet = None
    if connection is not None:
        connection.close()
    if process is None:
        return None
    if kill:
        process.kill()
    process.join(LEAVE_S)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode


def _say(seat: _Seat, command: Command) -> None:
    connection = seat.connection
    if connection is None:
        return
    try:
        with seat.sending:
            connection.send_bytes(encode(command))
    except OSError:  # it has just died, or takes no commands any more (one so small goes whole or not at all)
        return


def _how(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
