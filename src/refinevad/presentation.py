"""Packets in the decoder's order -> their stamps in the order of presentation, with the second each is shown at."""

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

_REORDER = 32  # H.264 and HEVC show a frame at most 16 places from where it is decoded; in fields twice that


class PlanError(Exception):
    """The file is not as its packets say: every frame must be decoded."""


class Presentation:
    """Holds stamps back until no earlier one can come.

    Args:
        origin: stamp that is shown at second 0; None: the first.

    Raises:
        PlanError: from any method, where stamps are missing, equal or further out of order than codecs allow, or a
            packet is damaged or not to be shown.
    """

    def __init__(self, stream: "VideoStream", origin: int | None = None) -> None:
        base = stream.time_base  # asked for once: the stream makes a new fraction each time
        if base is None:
            raise PlanError
        self._numerator, self._denominator = base.numerator, base.denominator
        self.origin = origin
        self._origin_s = 0.0 if origin is None else self._stamp_s(origin)
        self._held: list[int] = []  # a heap
        self._newest: int | None = None

    def push(self, packet: "Packet[Any]") -> None:
        """Take a packet that the container gives."""
        stamp = packet.pts
        if stamp is None or packet.is_corrupt or packet.is_discard or self._is_late(stamp):
            raise PlanError
        heapq.heappush(self._held, stamp)

    def settled(self, end: bool = False) -> Iterator[tuple[int, float]]:
        """(stamp, second) of the next packets that are shown; `end`: there are no more, give all."""
        while len(self._held) > (0 if end else _REORDER):
            stamp = heapq.heappop(self._held)
            if self._is_late(stamp):
                raise PlanError
            if self.origin is None:
                self.origin, self._origin_s = stamp, self._stamp_s(stamp)
            self._newest = stamp
            yield stamp, self._stamp_s(stamp) - self._origin_s

    def _stamp_s(self, stamp: int) -> float:
        # as float(stamp * time base), but a tenth of its time: both divisions are rounded correctly
        return stamp * self._numerator / self._denominator

    def _is_late(self, stamp: int) -> bool:
        return self._newest is not None and stamp <= self._newest
