"""What is kept of a camera's packets as they came: clips of events. One stream at a time is kept.

That is the camera's stream in full size where it has one and it is there, else the one that is scored. Whoever reads
a stream claims it; packets of another than the one that is kept are let go.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.apps.live.capture.messages import Finish, Message, Record, Recorded
from refinevad.apps.live.capture.recorder import ClipRecorder, KeptPacket

if TYPE_CHECKING:
    from refinevad.apps.live.capture.source import Source


class KeptStream:
    """Safe to share between threads. `send` takes the messages.

    A packet's `time_s` counts from the owner's stream second 0, and `Record` and `Finish` from that of what is scored;
    `shift_s`, given with a claim, is what is to be added to the latter to make it the former.
    """

    def __init__(self, clips: ClipRecorder, send: Callable[[Message], None]) -> None:
        self._clips, self._send = clips, send
        self._lock = threading.RLock()
        self._owner: Source | None = None
        self._shift_s: Callable[[], float] = float

    def belongs_to(self, source: "Source") -> bool:
        return self._owner is source

    def claim(self, source: "Source", shift_s: Callable[[], float] = float) -> None:
        """Keep this source's packets from here on; clips of what was kept before end."""
        with self._lock:
            self._owner, self._shift_s = source, shift_s
            self._clips.begin_stream(source.stream)
        self.tell()

    def push(self, source: "Source", packet: KeptPacket) -> None:
        """Keep a packet, where it is of the stream that is kept."""
        with self._lock:
            if self._owner is source:
                self._clips.push(packet)
        self.tell()

    def record(self, command: Record) -> None:
        """Begin a clip."""
        with self._lock:
            self._clips.begin(command.event, Path(command.path), command.start_s + self._shift_s())
        self.tell()

    def finish(self, command: Finish) -> None:
        """End a clip, when it has come so far."""
        with self._lock:
            self._clips.finish(command.event, command.end_s + self._shift_s(), command.now)
        self.tell()

    def end_all(self) -> None:
        """Close what is open, as far as it has come."""
        self.close()
        self.tell()

    def close(self) -> None:
        """The same, and say nothing of it: nobody listens any more."""
        with self._lock:
            self._clips.end_all()

    def tell(self) -> None:
        """Say which clips are done."""
        with self._lock:
            done, self._clips.done = self._clips.done, []
        for event, reason in done:
            self._send(Recorded(event, reason))
