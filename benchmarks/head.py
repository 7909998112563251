"""How fast the head is and what memory it takes, from 256 segments to a day: against the loops, the peers, its floor.

    OMP_NUM_THREADS=1 python benchmarks/head.py                    # everything, about ten minutes
    OMP_NUM_THREADS=1 python benchmarks/head.py --segments 256     # the short sizes alone

Features are noise, weights as they start: neither changes the time. One thread; its CPU seconds, which on a free core
are the wall's and on a busy machine are not. What is compared runs in turn. Every size of every head is a fresh process
that passes once and then up to nine times; peak memory is its largest resident set less that after the imports, so that
weights and input count. `windowed` is `scores.score` (one window rule for all heads), `whole` one pass over everything,
as the peers were published. What would take more than 60 s or 8 GB, going by the square of its length, is not run.
"""

import argparse
import json
import os
import resource
import runpy
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SEGMENTS = (256, 4096, 32_768, 135_000)  # the last: a day of 0.64 s segments
CATEGORIES = tuple(f"category {place}" for place in range(13))  # as many as UCF-Crime has
WINDOW = 4096  # what one window holds; from there on the peers are scored through windows too
MOST_SECONDS, MOST_BYTES = 60.0, 8e9
REPEATS, ENOUGH_S = 9, 3.0
# a head, its channels and width: ours by default; the peers' own, the published ones of UR-DMU and VadCLIP
HEADS = (
    ("refinevad", 1024, 128),
    ("ur_dmu", 1024, 512),
    ("transformer_mil", 1024, 256),
    ("refinevad", 512, 128),
    ("vadclip", 512, 512),
)
Row = tuple[str, ...]
HEAD: Row = ("head", "channels", "width", "segments", "way", "CPU ms", "us/segment", "x ours", "peak MB")
Way = tuple[str, int, int, str]  # head, channels, segments, `windowed` or `whole`


@dataclass(frozen=True)
class Cost:
    """What one pass takes: median CPU seconds of the thread, and peak bytes above the imports."""

    seconds: float
    peak: float


def main() -> int:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, nargs="+", default=SEGMENTS)
    parser.add_argument("--rounds", type=int, default=3, help="of all heads in turn, below 4,096 segments")
    parser.add_argument("--heads", nargs="+", choices=sorted({head for head, *_ in HEADS}), help="these tables alone")
    parser.add_argument("--channels", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the heads there, too (docs/results/data)")
    parser.add_argument("--one", nargs=4, metavar=("HEAD", "CHANNELS", "SEGMENTS", "WAY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        head, channels, segments, way = args.one
        cost = measure(head, int(channels), int(segments), way)
        print(json.dumps(vars(cost)))
        return 0
    from refinevad.apps.terminal import table
    from refinevad.files.cells import write_cells

    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    chosen = [head for head in HEADS if head[0] in (args.heads or head) and head[1] in args.channels]
    whole: list[Row] = [HEAD]
    for rows in tables(args.segments, args.rounds, chosen, parts=args.heads is None):
        print(table(list(rows)), end=f"\nload {os.getloadavg()[0]:.1f}\n\n", flush=True)
        if rows[0] == HEAD:
            whole.extend(rows[1:])
            if args.csv is not None:  # each time, should a longer length not come to an end
                write_cells(args.csv, whole)
    return 0


def tables(
    segments: Sequence[int], rounds: int, chosen: Sequence[tuple[str, int, int]], parts: bool
) -> Iterator[Sequence[Row]]:
    """Each table as it is done, its head first; `parts`: start-up, MoTAR and the floor too."""
    if parts:
        yield startup()
        yield against_loops()
    costs: dict[Way, Cost] = {}
    for length in sorted(segments):
        yield heads(length, "whole", rounds if length < WINDOW else 1, costs, chosen)
    if parts:
        yield against_floor(segments, costs)
    for length in sorted(length for length in segments if length > WINDOW):
        yield heads(length, "windowed", 1, costs, chosen)


# --- heads ------------------------------------------------------------------------------------------------------


def heads(
    length: int, peers: str, rounds: int, costs: dict[Way, Cost], chosen: Sequence[tuple[str, int, int]] = HEADS
) -> list[Row]:
    """All heads at one length, in turn, `peers` whole or windowed; what is measured is added to `costs`."""
    ways: list[Way] = [
        (head, channels, length, "windowed" if head == "refinevad" else peers) for head, channels, _ in chosen
    ]
    allowed = [way for way in ways if way not in costs and refusal(way, costs) is None]
    found: dict[Way, list[Cost]] = {way: [] for way in allowed}
    for _ in range(rounds):
        for way in allowed:
            found[way].append(fresh(*way))
    refused = {way: refusal(way, costs) or "" for way in ways}
    costs.update({way: _median(several) for way, several in found.items()})
    return [HEAD] + [_row(way, costs, refused.get(way, "")) for way in ways]


def _median(several: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(c.seconds for c in several), statistics.median(c.peak for c in several))


def _row(way: Way, costs: Mapping[Way, Cost], refused: str) -> Row:
    head, channels, length, how = way
    width = next(width for name, _, width in HEADS if name == head)
    start = (head, f"{channels:,}", f"{width}", f"{length:,}", how)
    if way not in costs:
        return (*start, refused, "", "", "")
    cost, ours = costs[way], costs["refinevad", channels, length, "windowed"]
    each = cost.seconds / length * 1e6
    return (*start, f"{cost.seconds * 1e3:,.1f}", f"{each:.1f}", f"{cost.seconds / ours.seconds:.2f}", _mb(cost))


def _mb(cost: Cost) -> str:
    return f"{cost.peak / 1e6:,.0f}"


def refusal(way: Way, costs: Mapping[Way, Cost]) -> str | None:
    """Why a size is not run, going by the longest shorter one measured; None: it is."""
    head, channels, length, how = way
    shorter = [known for known in costs if known[:2] == (head, channels) and WINDOW <= known[2] < length]
    same = [known for known in shorter if known[3] == how]
    if not shorter or head == "refinevad":
        return None
    base = max(same or shorter, key=lambda known: known[2])
    factor = length / base[2]
    seconds = costs[base].seconds * (factor**2 if how == "whole" else factor)
    if seconds > MOST_SECONDS:
        return f"not run: {seconds:,.0f} s"
    peak = costs[base].peak * factor**2
    return f"not run: {peak / 1e9:,.0f} GB" if how == "whole" and peak > MOST_BYTES else None


def fresh(head: str, channels: int, segments: int, way: str) -> Cost:
    """`measure` in a process of its own, with one thread."""
    command = [sys.executable, __file__, "--one", head, str(channels), str(segments), way]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} stopped: {done.stderr[-500:]}")
    return Cost(**json.loads(done.stdout))


def measure(head: str, channels: int, segments: int, way: str) -> Cost:
    """Pass over noise: the first pass warms up, unless it was long enough to count."""
    import numpy as np

    from refinevad.scoring.scores import score, score_window

    base = peak_bytes()
    model = open_head(head, channels)
    values = np.random.default_rng(0).standard_normal((segments, channels), dtype=np.float32)
    one_pass: Callable[[Any, Any], object] = score if way == "windowed" else score_window
    taken = [cpu_seconds(lambda: one_pass(model, values))]
    if taken[0] < ENOUGH_S:
        taken = []
        while len(taken) < REPEATS and sum(taken) < ENOUGH_S:
            taken.append(cpu_seconds(lambda: one_pass(model, values)))
    return Cost(statistics.median(taken), peak_bytes() - base)


def open_head(head: str, channels: int) -> Any:
    """RefineVAD with the options it has by default, or a peer with its paper's; one thread from here on."""
    import torch

    from refinevad.model_choice import open_model
    from refinevad.model_config import RefineVADConfig
    from refinevad.peers.contender import ContenderConfig

    torch.set_num_threads(1)
    torch.manual_seed(0)
    if head == "refinevad":
        return open_model(RefineVADConfig(channels, CATEGORIES)).eval()
    return open_model(ContenderConfig(channels, CATEGORIES, head)).eval()


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds this process spends on it."""
    before = time.process_time()
    work()
    return time.process_time() - before


def peak_bytes() -> float:
    """The largest resident set of this process so far. Linux; `ru_maxrss` would begin at the parent's."""
    status = Path("/proc/self/status").read_text()
    return next(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


# --- loops ------------------------------------------------------------------------------------------------------


def against_loops(segments: int = 256, channels: int = 1024, repeats: int = 5) -> list[Row]:
    """MoTAR against the oracle's loops on the same standardised segments, in turn; both give the same numbers."""
    import numpy as np
    import torch

    oracle = runpy.run_path(str(ROOT / "tests" / "reference.py"))
    model = open_head("refinevad", channels)
    values = np.random.default_rng(0).standard_normal((segments, channels), dtype=np.float32)
    rows, options = values.astype(np.float64).tolist(), model.config.as_dict()
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
    x, mask = torch.from_numpy(values)[None], torch.ones(1, segments, dtype=torch.bool)

    def loops() -> Any:
        return oracle["shift"](rows, oracle["shift_ratio"](rows, weights, options), options)

    with torch.inference_mode():
        error = float(np.abs(model.motar(x, mask)[0][0].numpy() - np.array(loops())).max())
        slow, fast = [], []
        for _ in range(repeats):
            slow.append(cpu_seconds(loops))
            fast.append(cpu_seconds(lambda: [model.motar(x, mask) for _ in range(20)]) / 20)
    loop, ours = statistics.median(slow), statistics.median(fast)
    return [
        ("MoTAR", "segments", "channels", "loops ms", "ms", "faster", "largest difference"),
        (
            "",
            f"{segments}",
            f"{channels:,}",
            f"{loop * 1e3:,.0f}",
            f"{ours * 1e3:.2f}",
            f"{loop / ours:.0f}x",
            f"{error:.0e}",
        ),
    ]


# --- floor ------------------------------------------------------------------------------------------------------


def against_floor(segments: Sequence[int], costs: Mapping[Way, Cost], channels: int = 1024) -> list[Row]:
    """The head against the time its arithmetic and its memory traffic would take at this machine's peaks."""
    rate, bandwidth = matmul_rate(), copy_bandwidth()
    rows: list[Row] = [
        (
            "floor",
            "GFLOP",
            "at least MB",
            "moved MB",
            "floor ms",
            "CPU ms",
            "times the floor",
            "FLOPs alone",
            "moved alone",
        )
    ]
    for length in (length for length in sorted(segments) if length <= 4096):
        flops, least, moved = count(channels, length)
        taken = costs["refinevad", channels, length, "windowed"].seconds
        floor = max(flops / rate, least / bandwidth)
        numbers = (flops / 1e9, least / 1e6, moved / 1e6, floor * 1e3, taken * 1e3)
        shares = (f"{taken / floor:.1f}x", f"{flops / rate / taken:.0%}", f"{moved / bandwidth / taken:.0%}")
        rows.append((f"{length:,}", *(f"{number:,.2f}" for number in numbers), *shares))
    blank = ("",) * (len(rows[0]) - 3)
    rows.append(("matmul GFLOP/s", f"{rate / 1e9:.0f}", "", *blank))
    rows.append(("copy GB/s, read and written", f"{bandwidth / 1e9:.1f}", "", *blank))
    return rows


def count(channels: int, segments: int) -> tuple[float, float, float]:
    """(FLOPs of all products, bytes that must move at least: input, weights and scores; bytes all operations move)."""
    import torch

    counter: Any = import_module("torch.utils.flop_counter")
    model = open_head("refinevad", channels)
    x, mask = torch.zeros(1, segments, channels), torch.ones(1, segments, dtype=torch.bool)

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return int(counter.sdpa_flop_count(query, key, value))

    on_cpu = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention}
    with torch.no_grad(), counter.FlopCounterMode(display=False, custom_mapping=on_cpu) as flops:
        model(x, mask)
    with torch.no_grad(), traffic() as moved:
        model(x, mask)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    least = x.nbytes + weights + segments * (len(CATEGORIES) + 2) * 4
    return float(flops.get_total_flops()), float(least), float(moved.bytes)


def traffic() -> Any:
    """Counts `bytes`: of what each operation reads and writes, views left out."""
    import torch
    from torch.utils._pytree import tree_leaves

    mode: Any = import_module("torch.utils._python_dispatch").TorchDispatchMode

    class Traffic(mode):
        bytes = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if not func.is_view:
                touched = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
                # a broadcast tensor is read once
                self.bytes += sum(min(t.nbytes, t.untyped_storage().nbytes()) for t in touched)
            return result

    return Traffic()


def matmul_rate(size: int = 1024, repeats: int = 12) -> float:
    """float32 FLOPs a second of a square product, the best of several."""
    import torch

    a, b = torch.randn(size, size), torch.randn(size, size)
    return 2.0 * size**3 / min(cpu_seconds(lambda: a @ b) for _ in range(repeats))


def copy_bandwidth(numbers: int = 32 * 2**20, repeats: int = 12) -> float:
    """Bytes read and written a second by a copy that fits no cache, the best of several."""
    import torch

    a, b = torch.ones(numbers), torch.zeros(numbers)
    return 2.0 * a.nbytes / min(cpu_seconds(lambda: b.copy_(a)) for _ in range(repeats))


# --- start-up ---------------------------------------------------------------------------------------------------


def startup(repeats: int = 5) -> list[Row]:
    """Median wall and CPU seconds of programs that need no torch, and whether it was imported."""
    rows: list[Row] = [("start-up", "wall s", "CPU s", "torch imported")]
    help_page = "from refinevad.apps.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    programs = {"python -c pass": "pass", "import refinevad": "import refinevad", "refinevad --help": help_page}
    for name, program in programs.items():
        wall, cpu = [], []
        for _ in range(repeats):
            began, used = time.perf_counter(), _children_seconds()
            subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
            wall.append(time.perf_counter() - began)
            cpu.append(_children_seconds() - used)
        asked = f"{program}\nimport sys\nsys.stderr.write(str('torch' in sys.modules))"
        told = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True).stderr
        imported = {"True": "yes", "False": "no"}[told]
        rows.append((name, f"{statistics.median(wall):.3f}", f"{statistics.median(cpu):.3f}", imported))
    return rows


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
