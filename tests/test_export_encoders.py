"""An encoder on a network of transformers, exported beside its head: the same vectors from the same pictures."""

import json
from pathlib import Path

import numpy as np
import pytest

from refinevad.checkpoint import Checkpoint
from refinevad.encoders.base import Clip
from refinevad.encoders.choice import open_encoder
from refinevad.exporting import exported
from refinevad.exporting.exported import export_run
from refinevad.exporting.formats import file_of, open_graph
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.scoring.events import Calibration
from tiny_networks import FAMILIES, SIDE, saved

pytest.importorskip("onnx", reason="the extra `video` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `video` is not installed")
SEEING = {family: kind for family, (kind, _) in FAMILIES.items() if kind != "audio"}
IN_OPENVINO = ("clip",)


def run_on(family: str, folder: Path) -> Path:
    """A RUN whose encoder is a tiny network of this family, saved beside it."""
    kind, make = FAMILIES[family]
    word = f"{kind}:{saved(folder / family, make)}"
    encoder = open_encoder(word)
    signature = {"encoder": json.loads(json.dumps(encoder.identity.as_dict())), "rule": {"seconds": 0.64}}
    model = RefineVAD(RefineVADConfig(channels=encoder.dim, categories=("fall",), width=8)).eval()
    Checkpoint(model, word, signature, Calibration(0.5, 0.4, 6.0, False, 0.0)).save(folder / "run")
    return folder / "run"


@pytest.mark.parametrize(
    ("family", "form"),
    [(family, form) for family in SEEING for form in ("onnx", "openvino") if form == "onnx" or family in IN_OPENVINO],
)
def test_pictures_give_the_encoders_vectors(family: str, form: str, tmp_path: Path) -> None:
    if form == "openvino":
        pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    run = run_on(family, tmp_path)
    content = export_run(run, form, tmp_path / "out")
    assert file_of("pictures", form) in content["files"]
    assert content["encoder"]["why_none"] == ""
    graph = open_graph(tmp_path / "out" / file_of("pictures", form), form, ["pixels"], ["vectors"])
    encoder = open_encoder(f"{SEEING[family]}:{tmp_path / family}").vision
    assert encoder is not None
    clips = SEEING[family] == "video"
    for frames in (4,) if clips else (1, 3):  # a video network takes as many as it was made for
        rgb = np.random.default_rng(frames).integers(0, 255, (frames, SIDE, SIDE + 8, 3), dtype=np.uint8)
        none = np.zeros((0, 8, 8), dtype=np.uint8)
        clip = Clip(rgb, np.linspace(0, 0.6, frames), none, np.zeros(0), 0.0, 0.64, False)
        pixels = encoder.preprocessing(rgb)  # type: ignore[attr-defined]
        (expected,) = encoder.encode([clip])
        found = graph({"pixels": pixels[None] if clips else pixels})["vectors"].mean(axis=0)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_another_network_than_the_runs_is_left_out(tmp_path: Path) -> None:
    run = run_on("dino", tmp_path)
    saved(tmp_path / "dino", FAMILIES["dino"][1], seed=1)
    content = export_run(run, "torchscript", tmp_path / "out")
    assert set(content["files"]) == {"head.pt"}
    assert "is another one here than the run was trained on" in content["encoder"]["why_none"]


def test_a_network_that_comes_out_otherwise_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_on("dino", tmp_path)
    whole = exported.open_graph

    def off(path: Path, *others: object) -> object:
        opened = whole(path, *others)
        return lambda given: {name: value + 0.01 for name, value in opened(given).items()}

    monkeypatch.setattr(exported, "open_graph", lambda path, *o: (off if "pictures" in path.name else whole)(path, *o))
    content = export_run(run, "torchscript", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"head.pt", "model.json"}
    assert "gives other numbers" in content["encoder"]["why_none"]
