"""benchmarks/training.py at tiny sizes: the set it writes, the loops it compares, the table it prints."""

import argparse
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

torch.set_num_threads(1)
SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "training.py"))
NPY, STORE, PLAIN, Cost = (SCRIPT[name] for name in ("NPY", "STORE", "PLAIN", "Cost"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Six videos of at most 40 segments, bags of 8."""
    names = SCRIPT["measure"].__globals__
    monkeypatch.setitem(names, "LIMIT", 8)
    monkeypatch.setitem(names, "LENGTHS", tuple(range(4, 40, 3)))
    return argparse.Namespace(
        videos=6, crops=1, channels=4, batch=4, steps=1, batches=2, rounds=1, workers=[0], cold=True
    )


def test_lengths_are_those_of_ucf_crime() -> None:
    """Its 1,610 training videos hold 760,114 segments (the official lists, captions.json's durations)."""
    drawn = SCRIPT["lengths"](1610)
    assert len(drawn) == 1610
    assert abs(sum(drawn) / 760_114 - 1) < 0.05
    assert np.median(drawn) == pytest.approx(134, abs=1)
    assert SCRIPT["half_of"](1610) == (800, 810)
    assert SCRIPT["half_of"](16_100) == (8000, 8100)


def test_all_loops_read_the_same_videos(small: argparse.Namespace, tmp_path: Path) -> None:
    """Ours give the same batches from both kinds of file; the plain loop interpolates them."""
    from refinevad.training.recipe import read_recipe

    sizes = SCRIPT["write_set"](tmp_path, 6, 1, 4, store=True)
    assert sizes[NPY] == sizes[PLAIN] > sizes[STORE] * 0.3
    recipe = read_recipe(Path(__file__).parents[1] / "recipes" / "ucf_crime.toml")
    files = SCRIPT["labels"](6, 13)
    assert [label.sum() for label in files] == [0, 0, 1, 1, 1, 1]  # 810 of 1,610 rounded up
    config = recipe.config(4, tuple(f"c{number}" for number in range(13)))
    read = {}
    for store in (True, False):
        read[store], step = SCRIPT["open_ours"](tmp_path, files, store, config, recipe.train)
    for one, other in zip(read[True](), read[False](), strict=True):
        assert torch.equal(one.values, other.values)
    assert step(one)["loss"] > 0
    plain = SCRIPT["PlainVideos"](tmp_path, files, range(6))
    for number in range(6):
        values, _ = plain[number]
        stored = np.load(tmp_path / f"{number}.npy")
        # torch's linear interpolation: output i looks at (i + 1/2) T / 8 - 1/2
        place = np.clip((np.arange(8) + 0.5) * len(stored) / 8 - 0.5, 0, len(stored) - 1)
        expected = np.stack([np.interp(place, np.arange(len(stored)), column) for column in stored.T], axis=1)
        np.testing.assert_allclose(values.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("way", [NPY, STORE, PLAIN])
def test_a_way_is_measured(small: argparse.Namespace, tmp_path: Path, way: str) -> None:
    SCRIPT["write_set"](tmp_path, 6, 1, 4, store=True)
    cost = SCRIPT["measure"](way, 0, tmp_path, small)
    assert cost.load > 0
    assert cost.step > 0


def test_the_table_divides_by_the_plain_loop(
    small: argparse.Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = {NPY: Cost(0.05, 1.0, 2.0, 1e9), PLAIN: Cost(0.2, 1.5, 3.0, 2e9)}
    monkeypatch.setitem(SCRIPT["rows"].__globals__, "fresh", lambda way, *_: costs[way])
    head, ours, plain = SCRIPT["rows"](tmp_path, {NPY: int(5e6), PLAIN: int(5e6)}, small)
    assert head[0] == ""
    # four anomalous videos in batches of two: an epoch of two steps
    assert ours[1:] == ("20.00", "4.00", "1.00", "1.50", "2.00", "2.00", "1,000", "5")
    assert plain[:3] == ("plain loop, 0 workers", "5.00", "1.00")
