"""Memory that is kept for the next large block, and computations that write in place of it: nothing else changes."""

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from refinevad.machine import memory
from refinevad.machine.memory import large_blocks_kept
from refinevad.model import MoTAR
from refinevad.standardising import standardised
from refinevad.training.bags import Bag, collate

BLOCKS = """
from contextlib import nullcontext
from resource import RUSAGE_SELF, getrusage
import sys
import numpy as np
from refinevad.machine.memory import large_blocks_kept

with large_blocks_kept() if sys.argv[1] == "kept" else nullcontext():
    for _ in range(3):
        block = np.ones(12 << 20, np.float32)
        del block
    before = getrusage(RUSAGE_SELF).ru_minflt
    for _ in range(10):
        block = np.ones(12 << 20, np.float32)
        del block
    print(getrusage(RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="not glibc")
def test_a_block_that_was_freed_is_not_blanked_anew() -> None:
    """Ten blocks of 48 MiB, one after the other: 12,288 small pages each, or 24 huge ones where there are such."""
    pages = {
        way: int(subprocess.run([sys.executable, "-c", BLOCKS, way], capture_output=True, check=True).stdout)
        for way in ("kept", "given back")
    }
    assert pages["kept"] < 100 < pages["given back"]


def test_the_outermost_counts_and_an_error_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, ...]] = []
    library = SimpleNamespace(
        gnu_get_libc_version=None, mallopt=lambda *pair: told.append(pair), malloc_trim=lambda _: told.append(())
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    with pytest.raises(ZeroDivisionError), large_blocks_kept(), large_blocks_kept():
        _ = 1 / 0
    assert told == [(-3, 1 << 30), (-1, 1 << 30), (-3, 32 << 20), (-1, 64 << 20), ()]
    assert memory._inside == 0


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=lambda *_: 1 / 0))
    with large_blocks_kept():
        assert memory._inside == 1


@pytest.mark.parametrize("clip", [0.0, 1.5])
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_what_is_standardised_stays_as_it_was(kind: type, clip: float) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    mean, scale = np.float32([0, 1, 2, 3]), np.float32([1, 2, 4, 0.5])
    given = kind(values.copy())
    found = np.asarray(standardised(given, kind(mean), kind(scale), clip))
    np.testing.assert_array_equal(given, values)
    wanted = (values - mean) / scale
    np.testing.assert_array_equal(found, np.clip(wanted, -clip, clip) if clip else wanted)


def test_motion_is_the_same_with_and_without_a_gradient() -> None:
    x = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 5, dtype=torch.bool)
    kept = x.clone()
    plain, traced = MoTAR.log_variance(x, mask), MoTAR.log_variance(x.clone().requires_grad_(), mask)
    assert torch.equal(plain, traced)
    assert torch.equal(x, kept)
    steps = np.diff(x.double().numpy(), axis=1).var(axis=2)
    np.testing.assert_allclose(plain[:, 1:], np.log(steps + 1e-6), rtol=1e-5)
    assert traced.requires_grad


def test_padding_is_blank_whatever_lay_in_memory() -> None:
    used = torch.full((4, 8, 3), 7.0)  # freed just before: its memory is at hand
    del used
    bags = [Bag(np.ones((length, 3), np.float32), np.zeros(1, np.float32)) for length in (8, 2, 5, 1)]
    batch = collate(bags, 8)
    assert batch.values.sum() == (8 + 2 + 5 + 1) * 3
    assert torch.equal(batch.values[..., 0], batch.mask.float())
