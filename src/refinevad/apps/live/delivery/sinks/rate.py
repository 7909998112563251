"""A token bucket: so many at once, so many a second in the long run."""

from refinevad.apps.live.clock import Clock


class TokenBucket:
    """Starts full; measured on the monotonic clock."""

    def __init__(self, per_second: float, burst: int, clock: Clock) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._tokens, self._at = float(burst), clock.monotonic()

    def take(self) -> float:
        """Take a token and return 0; where there is none, seconds until there is."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1.0 - 1e-9:
            return (1.0 - self._tokens) / self._per_second
        self._tokens -= 1.0
        return 0.0
