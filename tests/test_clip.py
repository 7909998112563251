"""CLIP: our preprocessing equals transformers' own; a tiny random CLIP in a folder gives segment vectors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from refinevad.encoders.base import Clip
from refinevad.encoders.clip import ClipEncoder, ClipPreprocessing
from refinevad.errors import InputError

transformers = pytest.importorskip("transformers", reason="the extra `clip` is not installed")
pytest.importorskip("PIL", reason="the extra `clip` is not installed")


def _frames(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def _clip(rgb: np.ndarray) -> Clip:
    nothing = np.zeros((0, 1, 1), dtype=np.uint8)
    return Clip(rgb, np.arange(len(rgb)) / 25.0, nothing, np.zeros(0), 0.0, 0.64, False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of two layers for 32 x 32 images, random, saved as a hub folder is."""
    torch.manual_seed(0)
    config = transformers.CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=12,
    )
    path = tmp_path_factory.mktemp("clip")
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(path)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    transformers.CLIPImageProcessorPil(**sizes).save_pretrained(path)
    return path


@pytest.mark.parametrize(("height", "width"), [(240, 320), (321, 241), (37, 53), (224, 224), (33, 512)])
def test_preprocessing_equals_transformers(height: int, width: int) -> None:
    frames = _frames(2, height, width)
    oracle = transformers.CLIPImageProcessorPil()(list(frames), return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(ClipPreprocessing()(frames), oracle, atol=1e-5)


def test_preprocessing_settings_of_old_and_new_checkpoints() -> None:
    new = ClipPreprocessing.from_settings({"size": {"shortest_edge": 336}, "crop_size": {"height": 336}})
    old = ClipPreprocessing.from_settings({"size": 336, "crop_size": 336, "image_mean": [0.5, 0.5, 0.5]})
    assert (new.shortest_edge, new.crop, old.shortest_edge, old.mean) == (336, 336, 336, (0.5, 0.5, 0.5))
    with pytest.raises(InputError, match="not known here"):
        ClipPreprocessing.from_settings({"size": {"height": 224, "width": 224}})


@pytest.mark.parametrize(
    "settings",
    [
        {"image_mean": 5},
        {"image_mean": [0.5, 0.5]},
        {"image_std": ["0.5"] * 3},
        {"image_std": [0, float("nan"), 1]},
        {"resample": "bicubic"},
        {"resample": None},
        {"size": True, "crop_size": True},
        {"size": 10**9},
    ],
    ids=str,
)
def test_settings_of_other_kinds_are_one_sentence(settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match="preprocessing is not known"):
        ClipPreprocessing.from_settings(settings)


def test_a_segment_is_the_mean_of_unit_embeddings(folder: Path) -> None:
    """Against transformers from pixels to vectors, segments of unequal frame counts side by side."""
    encoder = ClipEncoder(str(folder), frames=3)
    first, second = _frames(3, 48, 64), _frames(1, 48, 64, seed=1)
    got = encoder.encode([_clip(first), _clip(second)])

    network = transformers.CLIPVisionModelWithProjection.from_pretrained(folder).eval()
    processor = transformers.CLIPImageProcessorPil.from_pretrained(folder)
    with torch.no_grad():
        pixels = processor([*first, *second], return_tensors="pt")["pixel_values"]
        vectors = network(pixel_values=pixels).image_embeds.numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (encoder.dim, encoder.needs.rgb_frames, encoder.parts) == (12, 3, {"clip": (0, 12)})
    np.testing.assert_allclose(got, [unit[:3].mean(0), unit[3]], atol=1e-5)


def test_many_frames_go_in_batches(folder: Path) -> None:
    """More segments than a batch holds: each the same as by itself."""
    encoder = ClipEncoder(str(folder), device="cpu")
    clips = [_clip(_frames(1, 32, 32, seed)) for seed in range(70)]
    alone = np.concatenate([encoder.encode([clip]) for clip in clips])
    np.testing.assert_allclose(encoder.encode(clips), alone, atol=1e-5)


def test_a_device_that_is_not_here_is_an_input_error(folder: Path) -> None:
    with pytest.raises(InputError, match="there is no device cuda:99"):
        ClipEncoder(str(folder), device="cuda:99")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_the_cpus_vectors_but_for_bfloat16(folder: Path) -> None:
    clips = [_clip(_frames(2, 48, 64, seed)) for seed in range(70)]
    ours, theirs = ClipEncoder(str(folder)), ClipEncoder(str(folder), device="cpu")
    np.testing.assert_allclose(ours.encode(clips), theirs.encode(clips), atol=0.02)
    assert ours.identity == theirs.identity


def test_no_clips_give_no_vectors(folder: Path) -> None:
    assert ClipEncoder(str(folder)).encode([]).shape == (0, 12)


def test_identity_follows_weights_and_sampling_not_the_path(folder: Path, tmp_path: Path) -> None:
    network = transformers.CLIPVisionModelWithProjection.from_pretrained(folder)
    network.save_pretrained(tmp_path / "copy")
    (tmp_path / "copy" / "preprocessor_config.json").write_text((folder / "preprocessor_config.json").read_text())
    with torch.no_grad():
        network.visual_projection.weight[0, 0] += 1
    network.save_pretrained(tmp_path / "other")
    digest = ClipEncoder(str(folder)).identity.digest
    assert ClipEncoder(str(tmp_path / "copy")).identity.digest == digest
    assert ClipEncoder(str(tmp_path / "other")).identity.digest != digest
    assert ClipEncoder(str(folder), frames=2).identity.digest != digest


def test_a_folder_without_clip_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot load CLIP"):
        ClipEncoder(str(tmp_path))
