"""benchmarks/head.py at tiny sizes: what it counts is what can be counted by hand. Nothing here is timed."""

import runpy
from pathlib import Path
from typing import Any

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "head.py"))
Cost = SCRIPT["Cost"]


def test_products_are_counted_by_hand() -> None:
    """Width d = 128, C = 13: every product of the architecture, two operations a multiplication."""
    segments, channels, d, c = 16, 8, 128, 13
    gate = segments * (16 + 16 * 16 + 16)
    block = segments * d * (3 * d + d + 4 * d) + 2 * segments**2 * d
    coarse_and_pool = 2 * segments * d
    injection = 2 * segments * d * d + 2 * c * d * d + 2 * segments * c * d
    heads = d * 2 * c + segments * (d * d // 2 + d // 2 + d * c)
    mixture = c * d  # w times the prototypes
    expected = 2 * (gate + segments * channels * d + block + coarse_and_pool + injection + heads + mixture)
    flops, least, moved = SCRIPT["count"](channels, segments)
    assert abs(flops - expected) <= 2 * mixture + 2 * segments * d  # whether torch calls these two products
    assert 4 * segments * channels < least < moved


def test_moved_bytes_are_read_and_written_once_an_operation() -> None:
    import torch

    a = torch.ones(10, 10)
    with SCRIPT["traffic"]() as moved:
        a.view(100).add(1.0)  # 100 numbers read, 100 written; the view moves none
        torch.ones(1).expand(50).neg()  # filled, then read once, and 50 written
    assert moved.bytes == 4 * (100 + 100 + 1 + 1 + 50)


def test_loops_and_tensors_give_the_same_numbers() -> None:
    head, row = SCRIPT["against_loops"](segments=5, channels=16, repeats=1)
    assert len(head) == len(row)
    assert float(row[-1]) < 1e-5


@pytest.mark.parametrize(("head", "way"), [("refinevad", "windowed"), ("ur_dmu", "whole"), ("vadclip", "whole")])
def test_a_head_is_measured(head: str, way: str) -> None:
    cost = SCRIPT["measure"](head, 8, 4, way)
    assert cost.seconds > 0
    assert cost.peak >= 0


def test_what_would_take_too_much_is_not_run() -> None:
    refusal: Any = SCRIPT["refusal"]
    costs = {("ur_dmu", 1024, 4096, "whole"): Cost(2.0, 1e9), ("vadclip", 512, 4096, "whole"): Cost(0.1, 1e9)}
    assert refusal(("ur_dmu", 1024, 8192, "whole"), costs) is None  # 8 s, 4 GB
    assert refusal(("ur_dmu", 1024, 32_768, "whole"), costs) == "not run: 128 s"
    assert refusal(("vadclip", 512, 32_768, "whole"), costs) == "not run: 64 GB"
    assert refusal(("vadclip", 512, 32_768, "windowed"), costs) is None  # 0.8 s; no window is longer than the first
    assert refusal(("ur_dmu", 1024, 40_960 * 4, "windowed"), costs) == "not run: 80 s"
    assert refusal(("refinevad", 1024, 135_000, "windowed"), costs) is None


def test_a_table_of_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times and peaks are those of the runs: the median, and the ratio to ours on as many channels."""
    seconds = iter([0.001, 0.003, 0.002, 0.002, 0.008])
    monkeypatch.setitem(SCRIPT["heads"].__globals__, "fresh", lambda *way: Cost(next(seconds), 2e6))
    costs: dict[Any, Any] = {}
    head, *rows = SCRIPT["heads"](4, "whole", 1, costs)
    assert all(len(row) == len(head) for row in rows)
    assert [row[head.index("x ours")] for row in rows] == ["1.00", "3.00", "2.00", "1.00", "4.00"]
    assert rows[0][head.index("us/segment")] == "250.0"
    assert {row[-1] for row in rows} == {"2"}


def test_the_floor_divides_by_the_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    names = SCRIPT["against_floor"].__globals__
    monkeypatch.setitem(names, "matmul_rate", lambda: 1e9)
    monkeypatch.setitem(names, "copy_bandwidth", lambda: 1e9)
    monkeypatch.setitem(names, "count", lambda channels, segments: (2e6, 1e6, 4e6))
    costs = {("refinevad", 1024, 256, "windowed"): Cost(0.008, 0.0)}
    head, row, *_ = SCRIPT["against_floor"]([256, 135_000], costs)
    assert row[head.index("floor ms")] == "2.00"  # 2 ms of products, 1 ms of memory
    assert row[-3:] == ("4.0x", "25%", "50%")


def test_the_help_imports_no_torch() -> None:
    rows = SCRIPT["startup"](repeats=1)
    assert [row[-1] for row in rows] == ["torch imported", "no", "no", "no"]
