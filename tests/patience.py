"""How long tests wait: so many seconds of an idle machine, times how slow this one is just now.

Nothing here asserts speed. A limit only tells a test that waits for nothing from one that waits for its turn.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

_JOB_S = 0.002  # processor time of `_job` on the machine where the limits were found (a core of 2.6 GHz of 2023)
_SCHEDULE = Path("/proc/self/schedstat")  # Linux: nanoseconds run, and nanoseconds ready to run and not let


def patience(seconds: float) -> float:
    """So many seconds of an idle machine, on this one as it is now."""
    return seconds * slowness()


def slowness() -> float:
    """How many times longer than on an idle machine things take, at least 1."""
    return max(1.0, _PROCESSOR) * max(1.0, _crowd(), _queue())


def wait_until(condition: Callable[[], bool], what: str = "the condition", seconds: float = 30.0) -> None:
    """Look again and again until it holds. Raises AssertionError when patience ends."""
    began = time.monotonic()
    while not condition():
        # asked anew each time: the machine may have become slower meanwhile
        assert time.monotonic() - began < patience(seconds), f"{what} did not come"
        time.sleep(0.02)


def _crowd() -> float:
    """Programs that want a core, for each core this process may use."""
    return os.getloadavg()[0] / len(os.sched_getaffinity(0))


def _queue() -> float:
    """How many times longer this process has taken than it ran; more than the crowd tells when it is niced."""
    try:
        ran, waited, _ = (int(word) for word in _SCHEDULE.read_text().split())
    except (OSError, ValueError):
        return 1.0
    return 1.0 + waited / ran if ran else 1.0


def _job() -> float:
    began = time.thread_time()
    sum(number * number for number in range(50_000))
    return time.thread_time() - began


_PROCESSOR = min(_job() for _ in range(3)) / _JOB_S
