"""The default encoder's values are tied to its version: each part against what the plain ways once gave."""

from pathlib import Path

import numpy as np
import pytest

import lite_golden
from refinevad.encoders.lite import LiteEncoder

# the oracle computes in longer floats, the network's two ways differ in their order of sums
TOLERANCE = {"appearance": 1e-3, "change": 5e-3}
RAISE = "raise _VERSION in encoders/lite.py and write a new golden file (tests/lite_golden.py)"


@pytest.fixture(scope="module")
def encoder() -> LiteEncoder:
    return LiteEncoder(threads=1)


@pytest.fixture(scope="module")
def golden(encoder: LiteEncoder) -> dict[str, dict[str, np.ndarray]]:
    version = encoder.identity.preprocessing["version"]
    assert lite_golden.path_of(version).exists(), f"version {version} has no golden vectors: tests/lite_golden.py"
    return lite_golden.read(version)


@pytest.mark.parametrize("clip", lite_golden.clips())
def test_values_do_not_move_without_a_new_version(
    encoder: LiteEncoder, golden: dict[str, dict[str, np.ndarray]], clip: str
) -> None:
    vector = encoder.encode([lite_golden.clips()[clip]])[0]
    assert list(golden[clip]) == list(encoder.parts)
    for part, (start, end) in encoder.parts.items():
        apart = np.abs(vector[start:end] - golden[clip][part])
        moved = np.flatnonzero(apart > TOLERANCE.get(part, 1e-3))
        assert not len(moved), f"{len(moved)} values of {part} moved, by {apart.max():.3g} at most: {RAISE}"


@pytest.mark.parametrize("clip", lite_golden.clips())
def test_golden_vectors_are_what_the_plain_ways_give(golden: dict[str, dict[str, np.ndarray]], clip: str) -> None:
    """So no value came from the encoder itself."""
    for part, values in lite_golden.plain_parts(lite_golden.clips()[clip]).items():
        np.testing.assert_allclose(values, golden[clip][part], atol=2e-4, err_msg=part)


def test_the_clips_show_what_each_part_is_for(golden: dict[str, dict[str, np.ndarray]]) -> None:
    """Golden zeros would hold nothing: the moving clip fills every part, a cut empties `change` alone."""
    moving, cut = golden["moving"], golden["with a cut"]
    assert all(np.abs(values).max() > 0.05 for values in moving.values())
    for part in ("motion_mean", "motion_deviation", "motion_peak"):
        assert np.count_nonzero(moving[part]) >= 0.9 * len(moving[part])
        assert np.abs(cut[part] - moving[part]).max() > 0.05
    assert not cut["change"].any()


def test_a_version_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite_golden, "FOLDER", tmp_path)
    assert lite_golden.main() is None
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(written) == 1
    assert "raise the encoder's version first" in str(lite_golden.main())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == written
