"""Wrong tokens, by the address they come from: counted, told of, and soon answered with a wait that doubles.

A token cannot be guessed (access_token.py); this keeps those who try from costing much, and lets them be seen.
While an address waits no token of its is looked at, so that a right one cannot be told from a wrong one meanwhile.
Logins that hold already are not touched.
"""

import threading
from collections.abc import Callable

from refinevad.apps.live.clock import Clock
from refinevad.apps.service.connections import network_of
from refinevad.files.shown import shown

FREE = 5  # wrong ones, before there is a wait
LONGEST_S = 60.0
_FORGOTTEN_S = 3600.0
_MOST = 10_000  # addresses; the one that was wrong longest ago goes
_TOLD_EVERY_S = 10.0


class Guesses:
    """Who guessed wrong lately. Safe to share between threads; lengths are monotonic."""

    def __init__(self, clock: Clock, tell: Callable[[str], None]) -> None:
        self._clock, self._tell = clock, tell
        self._wrong: dict[str, tuple[int, float, float]] = {}  # how many, when the last, from when on it may again
        self._lock = threading.Lock()
        self._told_at, self._untold = float("-inf"), 0
        self.wrong, self.limited = 0, 0

    def wait_s(self, host: str) -> float:
        """How long an address must wait before it may present a token; 0: it may now."""
        with self._lock:
            _, _, until = self._wrong.get(network_of(host), (0, 0.0, 0.0))
            left = max(0.0, until - self._clock.monotonic())
            self.limited += left > 0
        return left

    def was_wrong(self, host: str) -> None:
        address, now = network_of(host), self._clock.monotonic()
        with self._lock:
            before, last, _ = self._wrong.pop(address, (0, now, 0.0))
            count = before + 1 if now - last < _FORGOTTEN_S else 1
            wait = 0.0 if count < FREE else min(LONGEST_S, 2.0 ** min(count - FREE, 10))
            self._wrong[address] = (count, now, now + wait)  # the newest lie at the end
            if len(self._wrong) > _MOST:
                del self._wrong[next(iter(self._wrong))]
            self.wrong += 1
            self._untold += 1
            if now - self._told_at < _TOLD_EVERY_S:
                return
            more, self._untold, self._told_at = self._untold - 1, 0, now
        said = f"wrong token from {shown(host[:64])}, {count} in a row"
        self._tell(said + (f"; next try in {wait:.0f} s" if wait else "") + (f" ({more} more since)" if more else ""))

    def was_right(self, host: str) -> None:
        with self._lock:
            self._wrong.pop(network_of(host), None)
