"""Training at UCF-Crime's size: reading the set and learning from it, against a plain PyTorch loop over the same files.

    python benchmarks/training.py                                  # 1,610 videos as long as UCF-Crime's: 5 GB of disk
    python benchmarks/training.py --crops 10 --steps 3             # 16,100 x 256 x 1,024 numbers: 17 GB of disk
    python benchmarks/training.py --crops 10 --videos 161          # a tenth of it

Values are noise, which changes no time. The plain loop is the field's usual one: a Dataset that loads an item whole
(`np.load`), interpolates it to 256 segments and stacks; a loader of normal and one of anomalous videos, each with half
of the batch; the same head, losses and optimiser. Ours is the product's Trainer as recipes/ucf_crime.toml sets it up:
on published `.npy` in place, and on its own store (safetensors, float16). Ways run in turn, each in a fresh process.

A row: batches a second with the head off, seconds a step with it on and the epoch they make, CPU seconds a step (of the
loaders' processes too), the largest resident set above the imports (of the training process, mapped pages counted), and
the bytes on disk. Files come from the page cache as far as they fit there; `--cold` drops them from it before each row.
"""

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LIMIT = 256  # segments of a training video in the field, and in recipes/ucf_crime.toml
# UCF-Crime's 1,610 training videos, by published_features.py: per cent of them that are at most so many segments long
SHARES = (0, 10, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.9, 100)
LENGTHS = (7, 44, 75, 134, 276, 662, 1393, 3941, 6678, 10_458, 32_145, 61_032)
NPY, STORE, PLAIN = "refinevad, .npy in place", "refinevad, its store", "plain loop"
HEAD = ("", "batches/s", "x plain", "s a step", "x plain", "epoch s", "CPU s a step", "resident MB", "set MB")
# a function that begins reading an epoch's batches, and one that learns from a batch
Loop = tuple[Callable[[], Iterator[Any]], Callable[[Any], object]]


@dataclass(frozen=True)
class Cost:
    """Seconds a batch (read alone, then with its step), CPU seconds a step, resident bytes above the imports."""

    load: float
    step: float
    cpu: float
    resident: float


def main() -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=1610)
    parser.add_argument("--crops", type=int, default=1, help="above 1: each crop a file of 256 segments, no store")
    parser.add_argument("--channels", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4, help="with the head, in each round of each way")
    parser.add_argument("--batches", type=int, default=26, help="read with the head off")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[0, 2], help="of the plain loop: a way for each number"
    )
    parser.add_argument("--cold", action="store_true", help="drop the files from the page cache before each row")
    parser.add_argument("--scratch", type=Path, help="folder for the files, which are deleted at the end")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there, too (docs/results/data)")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "WORKERS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(vars(measure(args.one[0], int(args.one[1]), args.scratch, args))))
        return 0
    from refinevad.apps.terminal import table
    from refinevad.files.cells import write_cells

    with tempfile.TemporaryDirectory(prefix="training-", dir=args.scratch) as scratch:
        began = time.monotonic()
        sizes = write_set(Path(scratch), args.videos, args.crops, args.channels, store=args.crops == 1)
        made = time.monotonic() - began
        print(f"{args.videos * args.crops:,} files of {args.channels:,} channels, written in {made:.0f} s; ", end="")
        print(f"batches of {args.batch}, {args.rounds} rounds; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
        found = rows(Path(scratch), sizes, args)
        print(table(found), f"load {os.getloadavg()[0]:.1f}", sep="\n")
        if args.csv is not None:
            write_cells(args.csv, found)
    return 0


def rows(folder: Path, sizes: dict[str, int], args: argparse.Namespace) -> list[tuple[str, ...]]:
    """Every way, in turn, `rounds` times; medians."""
    ways = [(way, 0) for way in sizes if way != PLAIN] + [(PLAIN, workers) for workers in args.workers]
    found: dict[tuple[str, int], list[Cost]] = {way: [] for way in ways}
    for _, (way, workers) in itertools.product(range(args.rounds), ways):
        if args.cold:
            drop_cached(folder)
        found[way, workers].append(fresh(way, workers, folder, args))
    costs = {way: Cost(*map(statistics.median, zip(*map(astuple, many), strict=True))) for way, many in found.items()}
    base = costs[PLAIN, args.workers[0]]
    steps = -(-max(half_of(args.videos * args.crops)) // (args.batch // 2))
    lines: list[tuple[str, ...]] = [HEAD]
    for (way, workers), cost in costs.items():
        name = f"{way}, {workers} workers" if way == PLAIN else way
        numbers = (1 / cost.load, base.load / cost.load, cost.step, base.step / cost.step, cost.step * steps, cost.cpu)
        megabytes = (f"{cost.resident / 1e6:,.0f}", f"{sizes[way] / 1e6:,.0f}")
        lines.append((name, *(f"{number:,.2f}" for number in numbers), *megabytes))
    return lines


def fresh(way: str, workers: int, folder: Path, args: argparse.Namespace) -> Cost:
    """`measure` in a process of its own."""
    names = ("videos", "crops", "channels", "batch", "steps", "batches")
    options = [f"--{name}={getattr(args, name)}" for name in names]
    command = [sys.executable, __file__, *options, "--scratch", str(folder), "--one", way, str(workers)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} stopped: {done.stderr[-800:]}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def measure(way: str, workers: int, folder: Path, args: argparse.Namespace) -> Cost:
    """Read `batches` with the head off, then take `steps`."""
    from refinevad.datasets.benchmarks import UCF_CRIME
    from refinevad.training.experiment import train_run  # what training imports is no memory of the set
    from refinevad.training.recipe import read_recipe

    assert callable(train_run)
    recipe = read_recipe(ROOT / "recipes" / "ucf_crime.toml")
    config = recipe.config(args.channels, UCF_CRIME.categories)
    options = replace(recipe.train, batch=args.batch, limit=LIMIT)
    files = labels(args.videos * args.crops, len(UCF_CRIME.categories))
    base = peak_bytes()
    read, step = (
        open_plain(folder, files, workers, config, options)
        if way == PLAIN
        else open_ours(folder, files, way == STORE, config, options)
    )
    began = time.perf_counter()
    count = sum(1 for _ in itertools.islice(read(), args.batches))
    load = (time.perf_counter() - began) / count
    began, used, taken = time.perf_counter(), cpu_seconds(), 0
    for batch in itertools.islice(read(), args.steps):
        step(batch)
        taken += 1
    return Cost(load, (time.perf_counter() - began) / taken, (cpu_seconds() - used) / taken, peak_bytes() - base)


def cpu_seconds() -> float:
    """Of this process and of those it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_bytes() -> float:
    """The largest resident set of this process so far. Linux; `ru_maxrss` would begin at the parent's."""
    status = Path("/proc/self/status").read_text()
    return next(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


# --- the set ----------------------------------------------------------------------------------------------------


def half_of(files: int) -> tuple[int, int]:
    """How many are normal and anomalous: 800 and 810 of 1,610, as in UCF-Crime."""
    anomalous = -(-files * 810 // 1610)
    return files - anomalous, anomalous


def lengths(videos: int) -> list[int]:
    """Segments of each video, spread as UCF-Crime's are, mixed."""
    import numpy as np

    shares = (np.arange(videos) + 0.5) / videos * 100
    drawn = np.exp(np.interp(shares, SHARES, np.log(LENGTHS))).round().astype(int)
    return [int(length) for length in np.random.default_rng(0).permutation(drawn)]


def write_set(folder: Path, videos: int, crops: int, channels: int, store: bool) -> dict[str, int]:
    """The same values as `.npy` (float32) and, if wanted, in our store (float16); bytes on disk of each way."""
    import numpy as np

    from refinevad.features.store import Features, Provenance, save_features
    from refinevad.timeline import SegmentRule, Timeline

    counts = lengths(videos) if crops == 1 else [LIMIT] * (videos * crops)
    generator, rule = np.random.default_rng(0), SegmentRule(frames=16)
    pool = generator.standard_normal((max(counts) + 4096, channels), dtype=np.float32).astype(np.float16)
    for number, count in enumerate(counts):
        first = int(generator.integers(4096))
        values = pool[first : first + count].astype(np.float32)  # numbers that the store holds too
        np.save(folder / f"{number}.npy", values)
        if store:
            timeline = Timeline.uniform(16 * count, 30.0, rule)
            features = Features(values, timeline, Provenance({"name": "noise"}, rule.as_dict()))
            save_features(folder / f"{number}.safetensors", features)
    sizes = {way: sum(path.stat().st_size for path in folder.glob("*.npy")) for way in (NPY, PLAIN)}
    if store:
        sizes[STORE] = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return sizes


def drop_cached(folder: Path) -> None:
    """Have the next reading come from the disk."""
    os.sync()
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def labels(files: int, categories: int) -> list[Any]:
    """0/1 vectors: normal files first, then the anomalous ones, a category each."""
    import numpy as np

    normal, anomalous = half_of(files)
    found = np.zeros((files, categories), dtype=np.float32)
    found[np.arange(normal, files), np.arange(anomalous) % categories] = 1.0
    return list(found)


# --- ways -------------------------------------------------------------------------------------------------------


def open_ours(folder: Path, files: list[Any], store: bool, config: Any, options: Any) -> Loop:
    """The product's trainer on bags that stay in their files."""
    import torch

    from refinevad.datasets.bag import Bag
    from refinevad.datasets.npy import open_npy
    from refinevad.datasets.published import Crop, CropBag
    from refinevad.training.loading import StoredBag
    from refinevad.training.loop import Trainer

    def bag(number: int, label: Any) -> Bag:
        if store:
            return StoredBag(folder / f"{number}.safetensors", label)
        path = folder / f"{number}.npy"
        return CropBag(Crop(path, None, len(open_npy(path)), None), label)

    bags = [bag(number, label) for number, label in enumerate(files)]
    trainer = Trainer(config, options, bags, [], folder / "run", torch.device("cpu"))
    trainer.model.train()
    return (lambda: trainer.batches(0, trainer.order(0))), trainer._step


class PlainVideos:
    """The field's Dataset: an item is loaded whole and interpolated to 256 segments."""

    def __init__(self, folder: Path, files: list[Any], numbers: range) -> None:
        self.folder, self.files, self.numbers = folder, files, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        import numpy as np
        import torch

        number = self.numbers[place]
        values = torch.from_numpy(np.load(self.folder / f"{number}.npy"))
        if len(values) != LIMIT:
            values = torch.nn.functional.interpolate(values.T[None], size=LIMIT, mode="linear")[0].T
        return values, torch.from_numpy(self.files[number])


def open_plain(folder: Path, files: list[Any], workers: int, config: Any, options: Any) -> Loop:
    """Two shuffling loaders and the textbook's step, with the head and losses of ours."""
    import torch
    from torch.utils.data import DataLoader

    from refinevad.model_choice import open_model
    from refinevad.training.bags import Batch
    from refinevad.training.loop import losses_of

    torch.manual_seed(options.seed)
    model = open_model(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), options.learning_rate, weight_decay=options.weight_decay)
    normal, _ = half_of(len(files))
    sides: list[Any] = [PlainVideos(folder, files, side) for side in (range(normal), range(normal, len(files)))]

    def read() -> Iterator[Batch]:
        loaders = [
            DataLoader(side, options.batch // 2, shuffle=True, drop_last=True, num_workers=workers) for side in sides
        ]
        for (quiet, none), (loud, some) in zip(*loaders, strict=False):
            values = torch.cat([quiet, loud])
            yield Batch(values, torch.ones(values.shape[:2], dtype=torch.bool), torch.cat([none, some]))

    def step(batch: Batch) -> None:
        output = model(batch.values, batch.mask, batch.labels)
        loss = torch.stack(list(losses_of(model, output, batch, options).values())).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        optimizer.step()

    return read, step


if __name__ == "__main__":
    sys.exit(main())
