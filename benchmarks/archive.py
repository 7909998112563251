"""The index of an archive at 1,000 to 100,000 videos: seconds to open, look up, go on with and list, and memory.

    python benchmarks/archive.py --counts 1000 10000 100000 --csv docs/results/data/archive/index.csv

Entries are simulated: one short video and its features, hard-linked under every name.
Each figure is of a fresh process, in seconds of the processor: the files are in the system's cache, and other programs
do not count.
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from refinevad.datasets.dataset import FeatureIndex, Item, survey
from refinevad.datasets.ledger import Ledger, line_of
from refinevad.features.extraction import same_as_stored
from refinevad.features.store import Features, Provenance, save_features
from refinevad.files.cells import write_cells
from refinevad.timeline import SegmentRule, Timeline

_LINKS = 20_000
_FAILED = 100  # every so-manieth video is in the set and not in the index
STEPS = {
    "open": "open the index",
    "look_up": "look one up by its name",
    "resume": "see that all are up to date",
    "headers": "the same by the headers",
    "failed": "list what failed",
}


def build(folder: Path, count: int) -> None:
    """A set of `count` videos, of which each hundredth failed."""
    videos, features = folder / "videos", FeatureIndex(folder / "features", [], "lite", str(folder / "videos"))
    items = [Item(f"train/normal/{n // 1000:03}/{n:06}.mp4", (), "train") for n in range(count)]
    video, kept = folder / "video", folder / "kept.safetensors"
    video.write_bytes(np.random.default_rng(1).bytes(100_000))
    status = video.stat()
    made = Provenance(
        {"name": "lite"},
        SegmentRule.default().as_dict(),
        source={"bytes": status.st_size, "mtime_ns": status.st_mtime_ns},
    )
    bounds = np.arange(47)
    save_features(kept, Features(np.ones((46, 1570), np.float32), Timeline(bounds * 16, bounds * 0.64), made))
    for number, item in enumerate(items):
        film, target = videos / item.path, features.path(item)
        if number % 1000 == 0:
            film.parent.mkdir(parents=True)
            target.parent.mkdir(parents=True)
        if number % _LINKS == 0:  # of which a file system takes so many to one file
            video, kept = (Path(shutil.copy2(source, f"{source}{number}")) for source in (video, kept))
        os.link(video, film)
        if number % _FAILED:
            os.link(kept, target)
    usable = [item for number, item in enumerate(items) if number % _FAILED]
    FeatureIndex(folder / "features", usable, "lite", str(videos)).save()
    line = line_of({**made.source, "sampled_sha256": "0" * 64}, str(kept))
    assert line is not None
    Ledger(folder / "features", made.signature).save(((item.path, line) for item in usable), count)


def measure(folder: Path, step: str) -> tuple[float, float]:
    """Processor seconds of one step, and MB at most that this process took."""

    began = time.process_time()
    index = FeatureIndex.open(folder / "features")
    if step == "look_up":
        name = index.items[-1].path
        began = time.process_time()
        next(item for item in index.items if item.path == name)
    elif step == "resume":
        signature = Provenance({"name": "lite"}, SegmentRule.default().as_dict()).signature
        began = time.process_time()
        ledger = Ledger(folder / "features", signature)
        where = str(folder / "videos")
        fresh = sum(ledger.line(i.path, index.place(i), f"{where}/{i.path}") is not None for i in index.items)
        assert fresh == len(index.items), fresh
    elif step == "headers":
        signature = Provenance({"name": "lite"}, SegmentRule.default().as_dict()).signature
        began = time.process_time()
        fresh = sum(same_as_stored(index.path(i), folder / "videos" / i.path, signature) for i in index.items)
        assert fresh == len(index.items), fresh
    elif step == "failed":
        began = time.process_time()
        usable = {item.path for item in index.items}
        failed = [item for item in survey(folder / "videos").items if item.path not in usable]
        assert failed
    return time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forked(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call gives in a process of its own, which has everything imported already."""
    with get_context("fork").Pool(1) as pool:
        return pool.apply(call, arguments)


def main() -> None:
    """Build each archive and measure each step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--times", type=int, default=3, help="the least of so many is kept")
    args = parser.parse_args()
    rows: list[tuple[str, ...]] = [("videos", *STEPS.values(), "memory at most")]
    for count in args.counts:
        with tempfile.TemporaryDirectory(prefix="refinevad-archive-") as folder:
            forked(build, Path(folder), count)
            cells, most = [], 0.0
            for step in STEPS:
                runs = [forked(measure, Path(folder), step) for _ in range(args.times)]
                cells.append(f"{min(seconds for seconds, _ in runs):.3f} s")
                most = max(most, min(memory for _, memory in runs))
            rows.append((f"{count:,}", *cells, f"{most:.0f} MB"))
            print(*rows[-1], sep="  ", flush=True)
    if args.csv:
        args.csv.parent.mkdir(parents=True, exist_ok=True)
        write_cells(args.csv, rows)
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", file=sys.stderr)


if __name__ == "__main__":
    main()
