"""A clock that tests set."""

from dataclasses import dataclass


@dataclass
class ManualClock:
    """A clock that stands still until it is told to go on."""

    wall_s: float = 1_700_000_000.0
    monotonic_s: float = 0.0

    def now(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return self.monotonic_s

    def advance(self, seconds: float) -> None:
        """Time passes on both clocks."""
        self.wall_s += seconds
        self.monotonic_s += seconds

    def jump(self, seconds: float) -> None:
        """Someone sets the wall clock."""
        self.wall_s += seconds
