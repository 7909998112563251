"""What is made of a camera's packets as they came: clips, the recording, the page's view. Of one stream at a time.

That is the camera's stream in full size where it has one and it is there, else the one that is scored. Whoever reads
a stream claims it; packets of another than the one that is kept are let go.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.apps.live.capture.live_view import LiveView
from refinevad.apps.live.capture.messages import Finish, Message, Record, Recorded
from refinevad.apps.live.capture.recorder import ClipRecorder, KeptPacket
from refinevad.apps.live.capture.stream_recorder import StreamRecorder

if TYPE_CHECKING:
    from refinevad.apps.live.capture.source import Source


class KeptStream:
    """Safe to share between threads. `send` takes the messages.

    A packet's `time_s` counts from the owner's stream second 0, and `Record` and `Finish` from that of what is scored;
    `shift_s`, given with a claim, is what is to be added to the latter to make it the former.
    """

    def __init__(
        self, clips: ClipRecorder, send: Callable[[Message], None], recording: StreamRecorder | None = None
    ) -> None:
        self._clips, self._send, self._recording = clips, send, recording
        self._lock = threading.RLock()
        self._owner: Source | None = None
        self._shift_s: Callable[[], float] = float
        self._view: LiveView | None = None
        self._begins = False  # the view's next packet is of other pictures than the one before

    def belongs_to(self, source: "Source") -> bool:
        return self._owner is source

    def claim(self, source: "Source", shift_s: Callable[[], float] = float) -> None:
        """Keep this source's packets from here on; clips of what was kept before end."""
        with self._lock:
            self._owner, self._shift_s = source, shift_s
            self._clips.begin_stream(source.stream)
            if self._recording is not None:
                self._recording.begin(None if source.recording else self._clips.header)
            self._begins = True
        self.tell()

    def push(self, source: "Source", packet: KeptPacket, shown: float) -> None:
        """Keep a packet, shown at monotonic second `shown`, where it is of the stream that is kept."""
        with self._lock:
            if self._owner is source:
                self._clips.push(packet)
                if self._recording is not None:
                    self._recording.push(packet, time.time() - time.monotonic() + shown)
                self._show(packet)
        self.tell()

    def view(self, on: bool) -> None:
        """Send what is kept to the page, from the newest keyframe on; or no more."""
        with self._lock:
            if self._view is not None:
                self._view.close()
            self._view = LiveView(self._send) if on else None
            self._begins = on
            if on and self._owner is not None and len(self._clips.ring):
                self._begin_view()

    def _show(self, packet: KeptPacket) -> None:
        if self._view is None:
            return
        if not self._begins:
            self._view.push(packet)
        elif packet.keyframe:
            self._begin_view()

    def _begin_view(self) -> None:
        assert self._view is not None
        assert self._owner is not None
        self._begins = False
        codec = self._owner.stream.codec_context.name
        self._view.begin(self._clips.header, codec, self._clips.ring.newest_group())

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
            if self._recording is not None:
                self._recording.close()

    def tell(self) -> None:
        """Say which clips are done."""
        with self._lock:
            done, self._clips.done = self._clips.done, []
        for event, reason in done:
            self._send(Recorded(event, reason))
