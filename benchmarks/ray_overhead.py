"""What a pool of processes and Ray cost beside the work: tasks that only wait and give a megabyte of vectors.

    python benchmarks/ray_overhead.py --seconds 1 10 60 --csv docs/results/data/archive/overhead.csv

A task that waits needs no core, so what is beyond the waiting is overhead: of starting, handing over and taking back.
The pools take turns. `--videos FOLDER` times real work instead: features of a folder's videos, whole program, in turns.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from refinevad.features.workers import open_workers
from refinevad.files.cells import write_cells
from refinevad.machine.ray_pool import OnRay

_POOLS: dict[str, int | OnRay] = {
    "processes, 2": 2,
    "Ray, 1": OnRay("local", 1),
    "Ray, 2": OnRay("local", 2),
    "Ray, 4": OnRay("local", 4),
}


def work(seconds: float) -> np.ndarray:
    """Wait, then give as much as two minutes of video do."""
    time.sleep(seconds)
    return np.zeros((187, 1570), np.float32)


def measure(pool: int | OnRay, lengths: list[float]) -> list[float]:
    """Seconds to start; then of overhead a task, for each length."""
    began = time.perf_counter()
    with open_workers(pool) as workers:
        for future in [workers.submit(work, 0.5) for _ in range(workers.count)]:
            future.result()
        found = [time.perf_counter() - began - 0.5]
        for seconds in lengths:
            rounds = max(round(10 / seconds), 1)
            began = time.perf_counter()
            for future in [workers.submit(work, seconds) for _ in range(rounds * workers.count)]:
                future.result()
            found.append((time.perf_counter() - began - rounds * seconds) / rounds)
        return found


def extraction(videos: Path, options: list[str]) -> float:
    """Seconds of the whole program."""
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "refinevad", "extract", videos, "--out", out, *options], check=True)
        return time.perf_counter() - began


def main() -> None:
    """Measure every pool in turns, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 10.0, 60.0])
    parser.add_argument("--times", type=int, default=2, help="rounds, of which the median is kept")
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--csv", type=Path)
    args = parser.parse_args()
    if args.videos:
        rows = real_work(args.videos, args.times)
    else:
        runs: dict[str, list[list[float]]] = {name: [] for name in _POOLS}
        for _ in range(args.times):
            for name, pool in _POOLS.items():
                runs[name].append(measure(pool, args.seconds))
                print(name, *(f"{value:.3f}" for value in runs[name][-1]), flush=True)
        rows = [("pool", "start", *(f"a task of {seconds:g} s" for seconds in args.seconds))]
        for name, found in runs.items():
            start, *each = (statistics.median(values) for values in zip(*found, strict=True))
            shares = [f"{1000 * s:.0f} ms ({100 * s / d:.1f} %)" for s, d in zip(each, args.seconds, strict=True)]
            rows.append((name, f"{start:.1f} s", *shares))
    if args.csv:
        args.csv.parent.mkdir(parents=True, exist_ok=True)
        write_cells(args.csv, rows)
    print(*rows, f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", sep="\n")


def real_work(videos: Path, times: int) -> list[tuple[str, ...]]:
    """Features of a folder, by processes and by Ray, in turns."""
    ways = {"processes, 2": ["--workers", "2"], "Ray, 2": ["--ray", "local", "--workers", "2"]}
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(times):
        for name, options in ways.items():
            took[name].append(extraction(videos, options))
            print(name, f"{took[name][-1]:.1f}", flush=True)
    rows = [("whole program", "median", *(f"round {n + 1}" for n in range(times)))]
    return rows + [
        (name, f"{statistics.median(seconds):.1f} s", *(f"{each:.1f} s" for each in seconds))
        for name, seconds in took.items()
    ]


if __name__ == "__main__":
    main()
