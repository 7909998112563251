"""The two clocks of live work, and the rule that joins them.

The wall clock says *when*: what people and the database read, in Unix seconds (UTC). It may jump: time servers, summer
time of a badly set machine, a suspended laptop. The monotonic clock says *how long*: it never jumps.

The rule: durations, timeouts, backoff and rates are measured on the monotonic clock alone. A stream's wall times are
its anchor plus monotonic time, so that within one stream they never run back or overlap (`Anchor`). The anchor is
taken when the stream connects, and again only where no event is open, once the wall clock has gone astray by more
than `ASTRAY_S`: an event's start and end are always by one anchor.
"""

import time
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

DAY_S = 86_400.0
ASTRAY_S = 2.0  # time servers slew smaller differences away


@runtime_checkable
class Clock(Protocol):
    """Injected wherever time is read."""

    def now(self) -> float:
        """Wall clock: Unix seconds, UTC. May jump."""

    def monotonic(self) -> float:
        """Seconds since some moment. Never jumps."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class Anchor:
    """Wall time of a stream by monotonic time from one reading of the wall clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._take()

    def _take(self) -> None:
        self._wall_s, self._monotonic_s = self._clock.now(), self._clock.monotonic()

    def wall(self, monotonic_s: float) -> float:
        """Unix seconds of a monotonic reading."""
        return self._wall_s + (monotonic_s - self._monotonic_s)

    def renew(self) -> float:
        """Take the anchor again if the wall clock has gone astray; return by how many seconds it moved, else 0.

        To be called only where no event is open.
        """
        astray = self._clock.now() - self.wall(self._clock.monotonic())
        if abs(astray) <= ASTRAY_S:
            return 0.0
        self._take()
        return astray


def iso(unix_s: float) -> str:
    """Unix seconds as UTC ISO 8601 to the millisecond, such as 2026-11-23T05:43:52.120Z."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(text: str) -> float:
    """ISO 8601 as Unix seconds; without a zone it is taken as UTC. Raises ValueError where it is none."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
