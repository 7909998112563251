"""CLIP: a tiny random one in a folder gives segment vectors, as transformers' own chain would."""

from pathlib import Path

import numpy as np
import pytest
import torch

from refinevad.encoders.base import Clip
from refinevad.encoders.clip import CLIP, ClipEncoder
from refinevad.encoders.model_names import NetworkOptions
from refinevad.errors import InputError
from tiny_networks import clip as tiny_clip
from tiny_networks import saved, transformers


def _frames(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def _clip(rgb: np.ndarray) -> Clip:
    nothing = np.zeros((0, 1, 1), dtype=np.uint8)
    return Clip(rgb, np.arange(len(rgb)) / 25.0, nothing, np.zeros(0), 0.0, 0.64, False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("clip"), tiny_clip)


def test_preprocessing_settings_of_old_and_new_checkpoints() -> None:
    new = CLIP.told({"size": {"shortest_edge": 336}, "crop_size": {"height": 336}}, "CLIP")
    old = CLIP.told({"size": 336, "crop_size": 336, "image_mean": [0.5, 0.5, 0.5]}, "CLIP")
    assert (new.edge, new.crop, old.edge, old.mean) == (336, (336, 336), 336, (0.5, 0.5, 0.5))
    assert CLIP.told({"do_center_crop": False}, "CLIP").crop is None


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
        {"size": {"shortest_edge": 200}},  # less than the crop
        {"size": {"shortest_edge": 224, "longest_edge": 300}},
        {"size": "large"},
        {"crop_size": {"height": 224, "width": "224"}},
        {"do_normalize": False},
    ],
    ids=str,
)
def test_settings_of_other_kinds_are_one_sentence(settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match="this CLIP's preprocessing is not known"):
        CLIP.told(settings, "CLIP")


def test_a_segment_is_the_mean_of_unit_embeddings(folder: Path) -> None:
    """Against transformers from pixels to vectors, segments of unequal frame counts side by side."""
    encoder = ClipEncoder(str(folder), NetworkOptions(frames=3))
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


def test_pooling_and_crops_by_hand(folder: Path) -> None:
    """Three ways of pooling, one behind the other; ten crops of a picture that is wider than its crop."""
    rgb = _frames(3, 48, 80)
    plain = ClipEncoder(str(folder))
    alone = np.concatenate([plain.encode([_clip(rgb[place : place + 1])]) for place in range(3)])
    pooled = ClipEncoder(str(folder), NetworkOptions(3, ("mean", "max", "min")))
    assert pooled.parts == {"clip": (0, 12), "clip_max": (12, 24), "clip_min": (24, 36)}
    wanted = np.concatenate([alone.mean(0), alone.max(0), alone.min(0)])
    np.testing.assert_allclose(pooled.encode([_clip(rgb)])[0], wanted, atol=1e-6)
    # 32 x 32 is the size after resizing and of a crop: pictures of that size, cut at five places, mirrored
    square = _frames(1, 40, 40)
    by_crops = ClipEncoder(str(folder), NetworkOptions(crops=10))
    by_crops.preprocessing = _without_resizing(by_crops)
    plain.preprocessing = _without_resizing(plain)
    cut = [square[:, top : top + 32, left : left + 32] for top, left in ((4, 4), (0, 0), (0, 8), (8, 0), (8, 8))]
    cut += [part[:, :, ::-1] for part in cut]
    single = [plain.encode([_clip(np.ascontiguousarray(part))])[0] for part in cut]
    np.testing.assert_allclose(by_crops.encode([_clip(square)])[0], np.mean(single, axis=0), atol=1e-6)


def _without_resizing(encoder: ClipEncoder) -> object:
    from dataclasses import replace

    crops = encoder.preprocessing.crops
    return replace(encoder.preprocessing, edge=40 if crops == 10 else 32, crop=(32, 32))


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
    assert ClipEncoder(str(folder), NetworkOptions(frames=2)).identity.digest != digest
    assert ClipEncoder(str(folder), NetworkOptions(crops=10)).identity.digest != digest


def test_a_folder_without_clip_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot load CLIP"):
        ClipEncoder(str(tmp_path))
