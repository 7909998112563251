"""Logins of browsers: a random cookie each, forgotten at logout, after a week, and when the service stops."""

import secrets
import threading

from refinevad.apps.live.clock import Clock

COOKIE = "refinevad_session"
_MOST = 1000  # logins at a time; the oldest goes


class Sessions:
    """The logins that count. Lengths are monotonic: setting the wall clock ends or lengthens none."""

    def __init__(self, clock: Clock, lasts_s: float) -> None:
        self._clock, self._lasts_s = clock, lasts_s
        self._ends: dict[str, float] = {}
        self._lock = threading.Lock()

    def open(self) -> str:
        """A new login's secret."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._ends[secret] = self._clock.monotonic() + self._lasts_s
            while len(self._ends) > _MOST:
                del self._ends[next(iter(self._ends))]
        return secret

    def valid(self, secret: str) -> bool:
        """Whether a login holds. Looking up 256 random bits in a table tells a guesser nothing by its time."""
        with self._lock:
            end = self._ends.get(secret)
            if end is not None and end <= self._clock.monotonic():
                del self._ends[secret]
                end = None
        return end is not None

    def close(self, secret: str) -> None:
        with self._lock:
            self._ends.pop(secret, None)
