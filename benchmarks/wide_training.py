"""Training on wide features on a CPU: where its seconds go, beside another version's, with the losses of both.

    python benchmarks/wide_training.py --against OTHER/src      # 244 videos of 32 x 4,096, as ucf-c3d has them

Values are noise. Each run is a fresh process; versions run in turn. `user` and `system` are CPU seconds of the training
alone, without imports; `pages` how many blank ones the kernel had to give; `weights` the first digits of SHA-256 over
the trained weights: equal digits, equal losses to the bit. On a machine with other work waited seconds say little.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

ROOT = Path(__file__).parents[1]
NUMBERS = ("wall", "user", "system", "pages", "peak_mb")


def main() -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, metavar="SRC", help="the sources of another version")
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "ucf_c3d.toml")
    parser.add_argument("--videos", type=int, default=244)
    parser.add_argument("--segments", type=int, default=32)
    parser.add_argument("--channels", type=int, default=4096)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there, too (docs/results/data)")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args)))
        return 0
    from refinevad.apps.terminal import table
    from refinevad.files.cells import write_cells

    versions = {"before": args.against, "now": ROOT / "src"} if args.against else {"now": ROOT / "src"}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in versions}
    for _ in range(args.rounds):
        for name, source in versions.items():
            found[name].append(fresh(source, args))
    rows = as_rows(found)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n\n{table(rows)}")
    if args.csv is not None:
        write_cells(args.csv, rows)
    return 0


def as_rows(found: dict[str, list[dict[str, Any]]]) -> list[tuple[str, ...]]:
    """Medians of each version, and its CPU seconds and waited ones against the first's."""
    rows: list[tuple[str, ...]] = [
        ("", "user s", "system s", "CPU, ratio", "wall s", "wall, ratio", "blank pages", "peak MB", "weights")
    ]
    middle = {
        name: {key: statistics.median(one[key] for one in runs) for key in NUMBERS} for name, runs in found.items()
    }
    first = next(iter(middle.values()))
    for name, one in middle.items():
        cpu = (one["user"] + one["system"]) / (first["user"] + first["system"])
        shown = (f"{one['user']:.2f}", f"{one['system']:.2f}", f"{cpu:.2f}", f"{one['wall']:.1f}")
        waited = f"{one['wall'] / first['wall']:.2f}"
        digests = "/".join(sorted({run["weights"] for run in found[name]}))
        rows.append((name, *shown, waited, f"{one['pages']:,.0f}", f"{one['peak_mb']:,.0f}", digests))
    return rows


def fresh(source: Path, args: argparse.Namespace) -> dict[str, Any]:
    """`measure` in a process of its own, on these sources."""
    numbers = [f"--{name}={getattr(args, name)}" for name in ("videos", "segments", "channels", "epochs")]
    command = [sys.executable, __file__, "--one", *numbers, "--recipe", str(args.recipe)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(source)})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} stopped: {done.stderr[-800:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Train once."""
    import numpy as np
    import torch

    from refinevad.datasets.bag import Bag
    from refinevad.training.experiment import train_run  # what training imports is none of its cost
    from refinevad.training.loop import Trainer
    from refinevad.training.recipe import read_recipe

    assert callable(train_run)
    draw, categories = np.random.default_rng(0), tuple(f"c{number}" for number in range(13))
    labels = np.eye(13, dtype=np.float32)
    bags = [
        Bag(draw.standard_normal((args.segments, args.channels), np.float32), labels[n % 13] * np.float32(n % 2))
        for n in range(args.videos)
    ]
    recipe = read_recipe(args.recipe)
    options = replace(recipe.train, epochs=args.epochs, steps=0)
    before, began = getrusage(RUSAGE_SELF), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, kept():
        run = Path(folder, "run")
        trainer = Trainer(recipe.config(args.channels, categories), options, bags, [], run, torch.device("cpu"))
        model = trainer.run().model
    wall, after = time.perf_counter() - began, getrusage(RUSAGE_SELF)
    weights = b"".join(value.numpy().tobytes() for _, value in sorted(model.state_dict().items()))
    return {
        "wall": wall,
        "user": after.ru_utime - before.ru_utime,
        "system": after.ru_stime - before.ru_stime,
        "pages": after.ru_minflt - before.ru_minflt,
        "peak_mb": after.ru_maxrss / 1e3,
        "weights": hashlib.sha256(weights).hexdigest()[:12],
    }


def kept() -> Any:
    """As `train_run` does where the version has it."""
    try:
        from refinevad.machine.memory import large_blocks_kept
    except ImportError:
        return nullcontext()
    return large_blocks_kept()


if __name__ == "__main__":
    sys.exit(main())
