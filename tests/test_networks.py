"""Encoders on transformers' networks: pixels as its own processors give them, vectors as its models do, end to end."""

from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
import pytest
import torch

from cli_cases import call, error_of, make_set
from refinevad.detector import Detector
from refinevad.encoders import hub
from refinevad.encoders.base import Clip
from refinevad.encoders.choice import models_of, open_encoder, require_at_hand
from refinevad.encoders.clip import CLIP
from refinevad.encoders.dino import DINOV3
from refinevad.encoders.model_names import NetworkOptions, with_options
from refinevad.encoders.pictures import Preprocessing
from refinevad.errors import InputError
from refinevad.streaming import StreamingDetector
from tiny_networks import FAMILIES, captioner, saved, sentences, transformers
from videos import sliding, write_video

SEEING = [name for name, (kind, _) in FAMILIES.items() if kind != "audio"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each family."""
    root = tmp_path_factory.mktemp("models")
    for name, (_, make) in FAMILIES.items():
        saved(root / name, make)
    saved(root / "captioner", captioner)
    saved(root / "sentences", sentences)
    return root


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Frames as a decoder gives them, of several shapes."""
    root, found = tmp_path_factory.mktemp("real"), []
    for size in ((320, 240), (100, 182), (64, 64), (642, 362)):
        path = write_video(root / f"{size[0]}.mkv", sliding(2, size), size=size)
        with av.open(str(path)) as container:
            found.append(np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]))
    return found


def _clip(rgb: np.ndarray) -> Clip:
    nothing = np.zeros((0, 1, 1), dtype=np.uint8)
    return Clip(rgb, np.arange(len(rgb)) / 25.0, nothing, np.zeros(0), 0.0, 0.64, False)


def _random_clip(frames: int, seed: int = 0) -> Clip:
    return _clip(np.random.default_rng(seed).integers(0, 256, (frames, 48, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", [name for name in SEEING if name != "vjepa2"])
def test_pixels_are_transformers_own(models: Path, real: list[np.ndarray], name: str) -> None:
    """As the folder says, and at the size that published checkpoints have."""
    encoder = open_encoder(f"{FAMILIES[name][0]}:{models / name}").vision
    oracle = transformers.AutoImageProcessor.from_pretrained(models / name, backend="pil")
    for frames in real:
        given = list(frames)
        wanted = oracle(given if name in ("clip", "siglip", "dino") else [given], return_tensors="np")["pixel_values"]
        np.testing.assert_allclose(encoder.preprocessing(frames), wanted.reshape(-1, *wanted.shape[-3:]), atol=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (CLIP, transformers.CLIPImageProcessorPil),
        (Preprocessing().told({"size": {"height": 224, "width": 200}, "do_center_crop": False}, "x"), None),
    ],
)
def test_pixels_of_published_sizes(real: list[np.ndarray], ours: Preprocessing, theirs: Any) -> None:
    processor = (
        theirs()
        if theirs
        else transformers.CLIPImageProcessorPil(size={"height": 224, "width": 200}, do_center_crop=False)
    )
    for frames in real:
        wanted = processor(list(frames), return_tensors="np")["pixel_values"]
        np.testing.assert_allclose(ours(frames), wanted, atol=1e-6)


def test_dinov3_resizes_numbers_not_bytes(real: list[np.ndarray]) -> None:
    """Its own processor needs torchvision, whose resizing of floats is this one of torch."""
    for frames in real:
        scaled = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
        resized = torch.nn.functional.interpolate(scaled, (224, 224), mode="bilinear", antialias=True)
        mean, std = (torch.tensor(values)[:, None, None] for values in (DINOV3.mean, DINOV3.std))
        np.testing.assert_allclose(DINOV3(frames), ((resized - mean) / std).numpy(), atol=1e-4)


@pytest.mark.parametrize("name", SEEING)
def test_vectors_are_the_models_own(models: Path, name: str) -> None:
    """Of a segment with as many frames as the network takes, and in any company."""
    encoder = open_encoder(f"{FAMILIES[name][0]}:{models / name}").vision
    clips = [_random_clip(encoder.needs.rgb_frames, seed) for seed in range(3)]
    with torch.no_grad():
        wanted = [_by_transformers(models / name, name, encoder.preprocessing(clip.rgb)) for clip in clips]
    found = encoder.encode(clips)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([encoder.encode([clip]) for clip in clips]), found, atol=1e-5)
    assert found.std(axis=0).max() > 1e-3
    assert encoder.dim == found.shape[1] == max(end for _, end in encoder.parts.values())
    assert not encoder.encode([_clip(np.zeros((0, 2, 2, 3), np.uint8))]).any()


def _by_transformers(folder: Path, name: str, pixels: np.ndarray) -> np.ndarray:
    model = transformers.AutoModel.from_pretrained(folder).eval()
    frames = torch.from_numpy(pixels)
    if name == "vjepa2":
        found = model.get_vision_features(frames[None])
        return found.mean(dim=1)[0].numpy()
    if name in ("videomae", "timesformer"):
        tokens = model(pixel_values=frames[None]).last_hidden_state[0]
        return (tokens.mean(dim=0) if name == "videomae" else tokens[0]).numpy()
    if name == "xclip":
        ids = torch.tensor([[1, 5, 2]])
        return model(input_ids=ids, pixel_values=frames[None]).video_embeds[0].numpy()
    if name == "dino":
        return model(pixel_values=frames).last_hidden_state[:, 0].mean(dim=0).numpy()
    found = model.vision_model(pixel_values=frames).pooler_output
    found = model.visual_projection(found) if name == "clip" else found
    return torch.nn.functional.normalize(found, dim=1).mean(dim=0).numpy()


@pytest.mark.parametrize("name", ["videomae", "vjepa2"])
def test_a_segment_of_fewer_frames_shows_some_of_them_twice(models: Path, name: str) -> None:
    encoder = open_encoder(f"video:{models / name}").vision
    two = _random_clip(2)
    four = _clip(two.rgb[[0, 0, 1, 1]])
    assert encoder.needs.rgb_frames == 4
    np.testing.assert_allclose(encoder.encode([two]), encoder.encode([four]), atol=1e-6)


def test_options_behind_a_models_name(models: Path) -> None:
    assert with_options("owner/name@frames=4,pool=max-min,crops=10") == (
        "owner/name",
        NetworkOptions(4, ("max", "min"), 10),
    )
    assert with_options("folder@home/x") == ("folder@home/x", NetworkOptions())
    for wrong in ("frames=0", "frames=999", "pool=median", "crops=5", "size=3"):
        with pytest.raises(InputError, match="unknown option"):
            with_options(f"owner/name@{wrong}")
    wider = open_encoder(f"siglip:{models / 'siglip'}@frames=2,pool=mean-max").vision
    assert (wider.dim, wider.needs.rgb_frames) == (32, 2)
    assert open_encoder(f"video:{models / 'vjepa2'}@frames=8").needs.rgb_frames == 8
    for name, option, said in (
        ("vjepa2", "frames=5", "by 2: 5 is no multiple"),
        ("videomae", "frames=8", "made for 4 frames"),
        ("xclip", "pool=max", "leave pool out"),
    ):
        with pytest.raises(InputError, match=said):
            open_encoder(f"video:{models / name}@{option}")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("siglip:{}/clip", "siglip takes a model of kind siglip"),
        ("clip:{}/siglip", "cannot load CLIP"),
        ("video:{}/clip", "holds clip"),
        ("audio:{}/dino", "audio takes a model of kind"),
        ("dino:", "dino needs a model: dino:facebook/dinov2-large"),
        ("audio:", "audio needs a model"),
        ("dino:{}/dino+video:{}/videomae", "unknown encoder"),
        ("captioned:{}/dino", "a captioner"),
    ],
)
def test_a_model_of_another_kind_is_one_sentence(models: Path, spec: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        open_encoder(spec.replace("{}", str(models)))
    assert "\n" not in str(caught.value)


def test_weights_that_are_missing_are_not_made_up(models: Path, tmp_path: Path) -> None:
    network = transformers.Dinov2Model.from_pretrained(models / "dino")
    kept = {name: value for name, value in network.state_dict().items() if not name.startswith("layernorm")}
    network.save_pretrained(tmp_path, state_dict=kept)
    with pytest.raises(InputError, match="2 of its weights are missing there, the first layernorm"):
        open_encoder(f"dino:{tmp_path}")


def test_what_is_fetched_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights as safetensors where there are any; code never; nothing that is here; nothing unasked."""
    import huggingface_hub

    here = tmp_path / "here"
    here.mkdir()
    spec = f"clip:owner/one@frames=2+captioned:owner/two:sentences+audio:{here}"
    assert models_of(spec) == ["owner/one", "owner/two", str(here)]
    with pytest.raises(InputError, match=r"needs owner/one, .*--allow-download.*hf download owner/one"):
        require_at_hand(spec, False, "run x")
    asked: list[tuple[str, list[str]]] = []

    def snapshot(source: str, allow_patterns: list[str]) -> str:
        asked.append((source, allow_patterns))
        folder = tmp_path / source
        folder.mkdir(parents=True, exist_ok=True)
        if source == "owner/one" or "*.bin" in allow_patterns:
            (folder / ("model.safetensors" if source == "owner/one" else "model.bin")).touch()
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    require_at_hand(spec, True, "run x")
    assert [(source, patterns[-1]) for source, patterns in asked] == [
        ("owner/one", "*.safetensors"),
        ("owner/two", "*.safetensors"),
        ("owner/two", "*.bin"),
    ]
    assert not any(pattern.endswith(".py") for _, patterns in asked for pattern in patterns)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", mock.Mock(side_effect=OSError("no net\nat all")))
    with pytest.raises(InputError, match=r"cannot fetch owner/one from the model hub: no net$"):
        require_at_hand(spec, True, "run x")


def test_a_cached_model_is_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    (tmp_path / "config.json").write_text('{"model_type": "dinov2"}')

    def cached(source: str, name: str) -> str | None:
        return str(tmp_path / name) if source == "owner/one" and (tmp_path / name).exists() else None

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    assert hub.is_at_hand("owner/one")
    assert not hub.is_at_hand("owner/two")
    assert hub.require_kind("owner/one", "dino", ("dinov2",)) == "dinov2"
    require_at_hand("dino:owner/one", False, "run x")


CHAINS = {
    "clip": "clip:{}/clip@frames=2,pool=mean-max",
    "siglip": "siglip:{}/siglip",
    "dino": "dino:{}/dino",
    "video": "video:{}/videomae",
    "paper": "clip:{}/clip+captioned:{}/captioner:{}/sentences",
    "heard": "dino:{}/dino+audio:{}/ast",
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("videos"), train=2)


@pytest.mark.parametrize("name", CHAINS)
def test_from_videos_to_events(
    models: Path, videos: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Extract, train, evaluate, detect; as a stream where pictures are enough; and another model is refused."""
    spec, run, features = CHAINS[name].replace("{}", str(models)), tmp_path / "run", tmp_path / "features"
    assert call("extract", videos, "--encoder", spec, "--out", features, "--workers", 1) == 0
    assert call("train", features, "--out", run, "--epochs", 1, "--head", "linear") == 0
    assert call("evaluate", run, "--data", videos, "--features", features, "--workers", 1) == 0
    camera = videos / "test" / "fall" / "0.mkv"
    assert call("detect", camera, "--model", run, "--out", tmp_path / "found") == 0
    assert (tmp_path / "found" / "0.json").exists()
    capsys.readouterr()
    if name in ("paper", "heard"):
        with pytest.raises(InputError, match=r"needs (captions|sound), which frames and cameras do not have"):
            Detector.open(run).detect_frames([])
    else:
        _streams_alike(run, camera)
    kind = name if name in FAMILIES else {"video": "videomae", "paper": "clip", "heard": "dino"}[name]
    before = saved(tmp_path / "other", FAMILIES[kind][1], seed=1)
    config = run / "config.json"
    config.write_text(config.read_text().replace(str(models / kind), str(before)))
    assert call("detect", camera, "--model", run, "--out", tmp_path / "found") == 2
    assert "differ in weights_sha256" in error_of(capsys)


def _streams_alike(run: Path, camera: Path) -> None:
    """The same scores frame by frame as from the file, under one window."""
    whole = Detector.open(run, window=60.0, delay=60.0).detect(camera)
    stream = StreamingDetector.open(run, window=60.0, delay=60.0)
    scores: list[float] = []
    with av.open(str(camera)) as container:
        for frame in container.decode(video=0):
            scores += stream.push_frame(frame, float(frame.pts * frame.time_base)).segments.scores.tolist()
    scores += stream.flush().segments.scores.tolist()
    np.testing.assert_allclose(scores, whole.scores, atol=1e-5)
