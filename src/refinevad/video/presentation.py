"""Packets in the decoder's order -> their stamps in the order of presentation, with the second each is shown at."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from refinevad.video.stamps import FilmTimes, StampCounts, longest_step_s, wrap_s

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

_REORDER = 32  # H.264 and HEVC show a frame at most 16 places from where it is decoded; in fields twice that
_HELD = 2 * _REORDER  # a stamp that lies further off than that is found before a later one is given


class PlanError(Exception):
    """The file is not as its packets say: every frame must be decoded."""


class Presentation:
    """Holds stamps back until no earlier one can come.

    Args:
        rate_hz: the stream's nominal frames a second.
        origin: stamp that is shown at second 0; None: the first.

    Raises:
        PlanError: from any method, where stamps are missing, equal, bad, begin anew (stamps.py) or are further out of
            order than codecs allow, or a packet is damaged or not to be shown.
    """

    def __init__(self, stream: "VideoStream", rate_hz: float, origin: int | None = None) -> None:
        base = stream.time_base  # asked for once: the stream makes a new fraction each time
        if base is None:
            raise PlanError
        self._numerator, self._denominator = base.numerator, base.denominator
        wraps = wrap_s(stream.container.format.name)
        self._times: FilmTimes[int] = FilmTimes(rate_hz, wraps, None if origin is None else self._stamp_s(origin))
        most_s = max(2 * longest_step_s(rate_hz), _REORDER / rate_hz)
        self._most_apart = most_s * base.denominator / base.numerator  # ticks between decoding and showing a frame
        self._held: list[int] = []  # rising
        self._newest: int | None = None
        self._decoded: int | None = None  # the decoder's own stamps never go back
        self._highest, self._since_highest = 0, 0  # of all, and how many came after it

    @property
    def counts(self) -> StampCounts:
        """What was found in the stamps so far."""
        return self._times.counts

    def push(self, packet: "Packet[Any]") -> None:
        """Take a packet that the container gives."""
        stamp, decoded = packet.pts, packet.dts
        if stamp is None or packet.is_corrupt or packet.is_discard:
            raise PlanError
        if decoded is not None:
            if (self._decoded is not None and decoded < self._decoded) or abs(stamp - decoded) > self._most_apart:
                raise PlanError
            self._decoded = decoded
        held = self._held
        if not held or stamp > self._highest:
            self._highest, self._since_highest = stamp, 0
            held.append(stamp)
            return
        self._since_highest += 1
        place = bisect_left(held, stamp)
        late = self._newest is not None and stamp <= self._newest
        if late or held[place] == stamp or max(self._since_highest, len(held) - place) > _REORDER:
            raise PlanError
        held.insert(place, stamp)

    def settled(self, end: bool = False) -> Iterator[tuple[int, float]]:
        """(stamp, second) of the next packets that are shown; `end`: there are no more, give all."""
        while not end and len(self._held) > _HELD:
            yield from self._shown(self._held.pop(0))
        if end:  # one that is far off stands last: it is found before any is given
            rest = [one for stamp in self._held for one in self._shown(stamp)] + list(self._times.flush())
            self._held = []
            self._check()
            yield from rest

    def _shown(self, stamp: int) -> Iterator[tuple[int, float]]:
        """What is known with the next stamp in order."""
        self._newest = stamp
        for one in self._times.push(self._stamp_s(stamp), stamp):
            self._check()
            yield one

    def _check(self) -> None:
        if not self.counts.in_order:
            raise PlanError

    def _stamp_s(self, stamp: int) -> float:
        # as float(stamp * time base), but a tenth of its time: both divisions are rounded correctly
        return stamp * self._numerator / self._denominator
