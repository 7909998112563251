"""The index of an archive at 1,000 to 100,000 videos: seconds to open, look up, go on with and list, and memory.

    python benchmarks/archive.py --counts 1000 10000 100000 --csv docs/results/data/archive/index.csv

Entries are simulated: one short video and its features, hard-linked under every name.
Each figure is of a fresh process.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.datasets.ledger import Ledger, line_of
from refinevad.features.store import Features, Provenance, save_features
from refinevad.files.cells import write_cells
from refinevad.timeline import SegmentRule, Timeline

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
        for source, target in ((video, videos / item.path), (kept, features.path(item))):
            if (number % _FAILED and target.suffix == ".safetensors") or target.suffix == ".mp4":
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(source)
    usable = [item for number, item in enumerate(items) if number % _FAILED]
    FeatureIndex(folder / "features", usable, "lite", str(videos)).save()
    line = line_of({**made.source, "sampled_sha256": "0" * 64}, str(kept))
    assert line is not None
    Ledger(folder / "features", made.signature).save(((item.path, line) for item in usable), count)


def measure(folder: Path, step: str) -> tuple[float, float]:
    """Seconds of one step, and MB at most that this process took."""
    from refinevad.datasets.dataset import survey
    from refinevad.features.extraction import same_as_stored

    began = time.perf_counter()
    index = FeatureIndex.open(folder / "features")
    if step == "look_up":
        name = index.items[-1].path
        began = time.perf_counter()
        next(item for item in index.items if item.path == name)
    elif step == "resume":
        signature = Provenance({"name": "lite"}, SegmentRule.default().as_dict()).signature
        began = time.perf_counter()
        ledger = Ledger(folder / "features", signature)
        where = str(folder / "videos")
        fresh = sum(ledger.line(i.path, str(index.path(i)), f"{where}/{i.path}") is not None for i in index.items)
        assert fresh == len(index.items), fresh
    elif step == "headers":
        signature = Provenance({"name": "lite"}, SegmentRule.default().as_dict()).signature
        began = time.perf_counter()
        fresh = sum(same_as_stored(index.path(i), folder / "videos" / i.path, signature) for i in index.items)
        assert fresh == len(index.items), fresh
    elif step == "failed":
        began = time.perf_counter()
        usable = {item.path for item in index.items}
        failed = [item for item in survey(folder / "videos").items if item.path not in usable]
        assert failed
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Build each archive and measure each step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--times", type=int, default=3, help="the least of so many is kept")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(Path(args.one[0]), args.one[1])))
        return
    rows: list[tuple[str, ...]] = [("videos", *STEPS.values(), "memory at most")]
    for count in args.counts:
        with tempfile.TemporaryDirectory(prefix="refinevad-archive-") as folder:
            build(Path(folder), count)
            cells, most = [], 0.0
            for step in STEPS:
                command = [sys.executable, __file__, "--one", folder, step]
                runs = [json.loads(subprocess.check_output(command, text=True)) for _ in range(args.times)]
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
