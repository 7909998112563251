"""A table's rows, and how time, memory and arithmetic of a device are measured: for gpu.py, beside which it lies."""

import importlib
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
STANDINS = ("jaxtyping", "safetensors", "safetensors.numpy", "safetensors.torch", "tqdm")


class Row(NamedTuple):
    """One line: times in ms, `rate` with its unit, `share` of the matrix rate of the same precision, bytes at most."""

    what: str
    size: str
    how: str
    ms: str = ""
    rate: str = ""
    tflops: str = ""
    share: str = ""
    peak_mb: str = ""


HEAD = Row("what", "size", "how", "ms", "rate", "TFLOP/s", "of matrix rate", "peak MB")


def markdown(row: Row, *under: str) -> str:
    """A table's line; with `under`, the line below the head too."""
    lines = ["| " + " | ".join(row) + " |"]
    return "\n".join([*lines, *("|" + "|".join([mark] * len(row)) + "|" for mark in under)])


def machine(device: Any) -> str:
    """What it ran on."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return f"{name}; torch {torch.__version__}, CUDA {torch.version.cuda}; {time.strftime('%Y-%m-%d')}"


def seconds(work: Callable[[], object], device: Any, repeats: int) -> float:
    """Median wall seconds, the device waited for; one run to warm up."""
    taken = []
    for _ in range(repeats + 1):
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget_peak(device: Any) -> None:
    """Begin counting memory anew."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_mb(device: Any) -> str:
    """Most that torch allocated on the device; nothing for a CPU, of which benchmarks/head.py tells."""
    import torch

    return f"{torch.cuda.max_memory_allocated(device) / 1e6:,.0f}" if device.type == "cuda" else ""


def matrix_rate(size: int, device: Any, precision: str) -> tuple[float, Row]:
    """FLOPs a second of a square product, the best of several."""
    import torch

    a, b = (torch.randn(size, size, device=device, dtype=getattr(torch, precision)) for _ in range(2))
    best = min(seconds(lambda: [a @ b for _ in range(10)], device, 1) / 10 for _ in range(3))
    rate = 2.0 * size**3 / best
    return rate, Row("matrix product", f"{size:,}", precision, f"{best * 1e3:.3f}", "", f"{rate / 1e12:,.1f}", "1")


def counted_flops(work: Callable[[], object]) -> float:
    """FLOPs of all products, as torch counts them."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    counter: Any = importlib.import_module("torch.utils.flop_counter")
    # the plain form of attention: fused ones of a CPU are not counted
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter.FlopCounterMode(display=False) as flops:
        work()
    return float(flops.get_total_flops())


class _Anything(ModuleType):
    """A module whose names can be subscripted and called, and do nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {"__class_getitem__": classmethod(lambda cls, _: cls)})


def stand_in() -> None:
    """Find the program's source beside this file, and stand in for packages whose work no row needs."""
    if not importlib.util.find_spec("refinevad"):
        sys.path.insert(0, str(ROOT / "src"))
    missing = [name for name in STANDINS if "." not in name and not importlib.util.find_spec(name)]
    for name in STANDINS:
        if name.split(".")[0] in missing:
            sys.modules[name] = _Anything(name)
