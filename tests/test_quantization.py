"""Other ways to run the image network: how near they are, that they are told apart, and how they are made."""

import sys
from pathlib import Path

import numpy as np
import pytest

from refinevad.encoders import efficientnet, quantization
from refinevad.encoders.choice import open_encoder
from refinevad.encoders.efficientnet import BACKENDS, EfficientNet
from refinevad.encoders.lite import LiteEncoder
from refinevad.encoders.quantization import dead_leaves, ensure_quantised
from refinevad.errors import InputError

UNSEEN = range(9000, 9006)  # seeds of pictures that calibration does not draw


def backend_or_skip(backend: str) -> str:
    if backend.startswith("openvino"):
        pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    return backend


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.stack([dead_leaves(224, seed) for seed in UNSEEN])


@pytest.fixture(scope="module")
def exact(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return EfficientNet().features(frames)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """The least over frames."""
    a, b = one.reshape(len(one), -1), other.reshape(len(other), -1)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


@pytest.mark.parametrize(("backend", "least"), [("int8", 0.9), ("openvino", 0.999999), ("openvino-int8", 0.9)], ids=str)
def test_a_backend_is_near_the_float_network(
    backend: str, least: float, frames: np.ndarray, exact: tuple[np.ndarray, np.ndarray]
) -> None:
    network = EfficientNet(backend=backend_or_skip(backend))
    pooled, middle = network.features(frames)
    assert (pooled.shape, middle.shape) == (exact[0].shape, exact[1].shape)
    assert (pooled.dtype, middle.dtype) == (np.float32, np.float32)
    assert least < cosine(pooled, exact[0]) < 1.000001
    assert least < cosine(middle, exact[1]) < 1.000001
    np.testing.assert_array_equal(network.middle(frames), middle)
    assert (np.abs(pooled - exact[0]).max() > 1e-2) == backend.endswith("int8")


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_backend_is_an_encoder_of_its_own(backend: str) -> None:
    spec = ":".join(filter(None, ("lite", backend_or_skip(backend))))
    encoder = open_encoder(spec).vision
    assert isinstance(encoder, LiteEncoder)
    assert encoder.name == spec
    digests = {LiteEncoder(backend=other).identity.digest for other in ("", "int8") if other != backend}
    assert encoder.identity.digest not in digests
    assert ("backend" in encoder.identity.preprocessing) == bool(backend)  # features of `lite` stay valid


def test_the_network_in_integers_is_made_once_and_beside_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization, "FRAMES", 4)
    source = efficientnet.ensure_exported(EfficientNet().variant, EfficientNet().weights_sha256)
    copied = tmp_path / source.name
    copied.write_bytes(source.read_bytes())
    path = ensure_quantised(copied, 224)
    written = path.stat().st_mtime_ns
    assert path.stat().st_size < 0.4 * copied.stat().st_size
    assert ensure_quantised(copied, 224) == path
    assert path.stat().st_mtime_ns == written
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([copied.name, path.name])


def test_a_failed_quantisation_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "network.onnx"
    source.write_bytes(b"not a network")
    with pytest.raises(Exception, match=r"(?i)protobuf|parse"):
        ensure_quantised(source, 224)
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]


def test_dead_leaves_are_the_same_anywhere_and_unlike_each_other() -> None:
    one = dead_leaves(64, 5)
    np.testing.assert_array_equal(one, dead_leaves(64, 5))
    assert (one != dead_leaves(64, 6)).mean() > 0.5
    assert one.std() > 5


def test_one_leaf_is_a_disc_of_its_radius() -> None:
    """One leaf, its place and size drawn by the same generator: pi r^2 pixels at most, and inside the bounds."""
    picture = dead_leaves(200, 3, leaves=1).astype(int)
    background = np.median(picture.reshape(-1, 3), axis=0)
    covered = (np.abs(picture - background).max(axis=2) > 40).sum()
    assert covered <= np.pi * 100**2 + 1


def test_a_missing_package_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match=r"openvino; pip install 'refinevad\[openvino\]'"):
        _ = open_encoder("lite:openvino").identity


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(InputError, match="openvino-int8"):
        EfficientNet(backend="int4")
    with pytest.raises(InputError, match="lite2"):
        open_encoder("lite:int4")
