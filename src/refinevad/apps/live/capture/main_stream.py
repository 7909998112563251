"""A camera's stream in full size, read beside the one that is scored: kept as it comes, never decoded.

Both are put on this machine's clock by the packet that came soonest, so that a clip of one fits the event that was
found in the other. While it is away what is scored is kept in its place.
"""

import math
import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from refinevad.apps.live.backoff import backoff_s
from refinevad.apps.live.capture.kept_stream import KeptStream
from refinevad.apps.live.capture.messages import Aside, Message
from refinevad.apps.live.capture.recorder import KeptPacket
from refinevad.apps.live.capture.source import Source, SourceLostError
from refinevad.apps.live.capture.stream_time import StreamTime
from refinevad.apps.live.settings.addresses import Address
from refinevad.errors import InputError
from refinevad.video.stamps import RESTART_S, wrap_s

if TYPE_CHECKING:
    from av.packet import Packet

LONGEST_PAUSE_S = 30.0
STEADY_S = 10.0  # one that held so long is tried again at once when it breaks off


class MainStream:
    """Reads until `stop` is set. Seconds of its packets are the machine's monotonic ones.

    Args:
        scored_origin: monotonic second of second 0 of the stream that is scored.
    """

    def __init__(
        self,
        address: Address,
        kept: KeptStream,
        *,
        stall_s: float,
        scored_origin: Callable[[], float],
        send: Callable[[Message], None],
        stop: threading.Event,
    ) -> None:
        self._address, self._kept, self._stall_s, self._send, self._stop = address, kept, stall_s, send, stop
        self._scored_origin = scored_origin
        self.up = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="main stream", daemon=True).start()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            opened = time.monotonic()
            try:
                source = Source(self._address, stall_s=self._stall_s, nap=self._nap)
                try:
                    self._watch(source)
                finally:
                    self.up = False
                    source.close()
            except (SourceLostError, InputError) as error:
                failures = 1 if time.monotonic() - opened > STEADY_S else failures + 1
                self._send(Aside(f"its stream in full size is away: {error}"))
                self._stop.wait(backoff_s(failures, random.random(), LONGEST_PAUSE_S))

    def _nap(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _watch(self, source: Source) -> None:
        self._send(Aside(""))
        self.up = True
        clock, last_s = self._clock(source), math.nan
        for packet, arrived in source:
            if self._stop.is_set():
                return
            stamp_s = _stamp(packet) if source.stamped else None
            if stamp_s is not None and abs(stamp_s - last_s) > RESTART_S:  # its times begin anew
                clock = self._clock(source)
                self._kept.claim(source, self._scored_origin)
            if not self._kept.belongs_to(source):
                self._kept.claim(source, self._scored_origin)
            shown = arrived
            if stamp_s is not None:
                clock.saw(stamp_s, arrived)
                last_s, shown = stamp_s, clock.origin + stamp_s
            if (kept := KeptPacket.of(packet, shown)) is not None:
                self._kept.push(source, kept, shown)

    def _clock(self, source: Source) -> StreamTime:
        step_s, wraps = 1.0 / source.rate_hz, wrap_s(source.container.format.name)
        return StreamTime(step_s, stamped=source.stamped, recording=False, hole_s=RESTART_S, wrap_s=wraps)


def _stamp(packet: "Packet[Any]") -> float | None:
    if packet.pts is None or packet.time_base is None:
        return None
    return float(packet.pts * packet.time_base)
