"""How many cores this process may use, and calls that share them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

_Result = TypeVar("_Result")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of all cores together, and in how many


def usable_cores() -> int:
    """OMP_NUM_THREADS where it is set; else the cores this process may run on, within its container's quota."""
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    if chosen.isdigit() and int(chosen) > 0:
        return int(chosen)
    return max(1, min(len(os.sched_getaffinity(0)), _quota()))


def call_all(calls: Sequence[Callable[[], _Result]], threads: int) -> list[_Result]:
    """Make every call, shared among so many threads, and return what they return, in the order of `calls`.

    With one thread they are made in the caller's. No thread outlives this function. Where calls raise, the error of
    the first of them in `calls` is raised, and calls that have not begun by then are not made.
    """
    if threads == 1 or len(calls) < 2:
        return [call() for call in calls]
    with ThreadPoolExecutor(min(threads, len(calls)), "cores") as pool:
        return list(pool.map(lambda call: call(), calls))


def _quota() -> int:
    """Whole cores that the container's quota allows; without a quota, more than any machine has."""
    unlimited = 1 << 20
    if not _QUOTA.is_file():
        return unlimited
    allowed, _, period = _QUOTA.read_text().partition(" ")
    return int(allowed) // int(period) if allowed.isdigit() else unlimited
