"""What work costs: seconds waited, seconds of CPU, and how idle the machine was meanwhile."""

import os
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter, process_time


@dataclass(frozen=True)
class Cost:
    """Seconds waited, seconds of CPU of all threads and children, and the share of the machine's cores left idle."""

    wall: float
    cpu: float
    idle: float


def cost(work: Callable[[], object]) -> Cost:
    """What it takes, child processes included."""
    wall, cpu, idle = perf_counter(), _cpu(), _idle()
    work()
    lasted = perf_counter() - wall
    return Cost(lasted, _cpu() - cpu, (_idle() - idle) / lasted / (os.cpu_count() or 1))


def _cpu() -> float:
    """Of this process, its children that have ended, and those that have not."""
    ended = getrusage(RUSAGE_CHILDREN)
    return process_time() + ended.ru_utime + ended.ru_stime + sum(_cpu_of(child.pid) for child in active_children())


def _cpu_of(pid: int | None) -> float:
    """Seconds of another process; 0 where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()  # behind the name, which may hold spaces
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _idle() -> float:
    """Seconds that cores of this machine were idle since it started; 0 where there is no /proc."""
    stat = Path("/proc/stat")
    return int(stat.read_text().split("\n", 1)[0].split()[4]) / os.sysconf("SC_CLK_TCK") if stat.exists() else 0.0


def in_turn(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Cost]:
    """The median of each way's costs; every round runs all of them."""
    found: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            found[name].append(cost(work))
    return {
        name: Cost(*(statistics.median(getattr(one, field) for one in costs) for field in ("wall", "cpu", "idle")))
        for name, costs in found.items()
    }
