"""Controls travel with every run, and the ridge is a run like any other: the commands from outside."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fakes import MeanEncoder
from patience import patience
from refinevad.apps.cli import main
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage.store import Store
from refinevad.checkpoint import Checkpoint
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.detector import Detector
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.features.store import Features, Provenance, save_features
from refinevad.judging.evaluation import evaluate
from refinevad.scoring.scores import score
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training.experiment import split_items
from refinevad.training.recipe import as_recipe
from watch_cases import RULE as LIVE
from watch_cases import write_film

pytestmark = pytest.mark.usefixtures("small_encoder")

torch.set_num_threads(1)
FAKES = Path(__file__).with_name("fakes.py")
RULE = SegmentRule.default()
SEGMENTS = 12


def make_features(root: Path, counts: dict[str, int], loud: float = 3.0) -> Path:
    """A feature folder of MeanEncoder's: in anomalous videos the middle third differs in colour, not in motion."""
    generator = np.random.default_rng(0)
    items, rows = [], ["path,start_s,end_s,category"]
    timeline = Timeline.uniform(16 * SEGMENTS, 25.0, RULE)
    provenance = Provenance(MeanEncoder().identity.as_dict(), RULE.as_dict(), parts=MeanEncoder.parts)
    for split, count in counts.items():
        for number in range(count):
            for category in ("normal", "fall", "fire")[: 3 if number % 2 else 2]:
                item = Item(f"{split}/{category}/{number}.mp4", () if category == "normal" else (category,), split)
                length = timeline.segments
                values = generator.normal(0.0, 1.0, (length, 4)).astype(np.float32)
                middle = slice(length // 3, 2 * length // 3)
                if item.anomalous:
                    values[middle, 0 if category == "fall" else 1] += loud
                    start, end = timeline.time_bounds[[middle.start, middle.stop]]
                    rows.append(f"{item.path},{start},{end},{category}")
                items.append(item)
                save_features(root / f"{item.name}.safetensors", Features(values, timeline, provenance))
    FeatureIndex(root, items, "lite", str(root)).save()
    (root / "events.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_features(tmp_path_factory.mktemp("features"), {"train": 8, "val": 6, "test": 6})


def train(folder: Path, out: Path, *more: object) -> int:
    return main([str(word) for word in ("train", folder, "--out", out, "--workers", 1, *more)])


@pytest.fixture(scope="module")
def linear(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "linear"
    assert train(folder, out, "--head", "linear") == 0
    return out


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "trained"
    assert train(folder, out, "--epochs", 1) == 0
    return out


def test_train_prints_the_controls_and_keeps_them(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(folder, tmp_path / "run", "--epochs", 1) == 0
    captured = capsys.readouterr()
    first, ridge, motion, _ = captured.out.splitlines()
    kept = json.loads((tmp_path / "run" / "metrics.json").read_text())["validation"]["compared"]
    assert first == f"run: epoch 1, validation video AUC {kept['video_auc']['model']:.4f}"
    assert ridge == f"  ridge control: {kept['video_auc']['ridge control']:.4f}"
    assert motion == f"  trivial motion: {kept['video_auc']['trivial motion']:.4f}"
    assert kept["videos"] == 20 + 15  # of the training and of the validation split: each by a model that never saw it
    said = [line for line in captured.err.splitlines() if "ahead of the ridge control" in line]
    difference = kept["model_minus_control"]["ridge control"]
    assert len(said) == (difference is None or difference["ci95"][0] <= 0)
    assert ("train it as the model, with --head linear" in captured.err) == kept["linear_recommended"]


def test_the_ridge_beside_a_model_is_the_run_that_head_linear_writes(trained: Path, linear: Path) -> None:
    beside, alone = Checkpoint.load(trained).with_ridge(trained), Checkpoint.load(linear).with_ridge(linear)
    assert beside.ridge is not None
    assert beside.ridge.config == alone.model.config
    for name, value in alone.model.state_dict().items():
        assert torch.equal(value, beside.ridge.state_dict()[name]), name
    assert alone.ridge is None
    assert not (linear / "ridge.safetensors").exists()
    assert (trained / "ridge.safetensors").stat().st_size < 20_000


def test_a_run_without_its_ridge_loads_and_is_evaluated(
    folder: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("model.safetensors", "config.json", "calibration.json"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    assert Checkpoint.load(tmp_path).with_ridge(tmp_path).ridge is None
    assert main(["evaluate", str(tmp_path), "--data", str(folder)]) == 0
    assert "ridge" not in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["text", "cut", "weights"])
def test_a_damaged_ridge_stops_evaluation_with_a_sentence_and_nothing_else(
    damage: str, trained: Path, tmp_path: Path
) -> None:
    for path in trained.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    whole = (trained / "ridge.safetensors").read_bytes()
    content = {"text": b"ridge", "cut": whole[:-20], "weights": (trained / "model.safetensors").read_bytes()}[damage]
    (tmp_path / "ridge.safetensors").write_bytes(content)
    checkpoint = Checkpoint.load(tmp_path)  # what scores needs no control
    with pytest.raises(InputError, match=r"ridge control .*ridge\.safetensors is damaged"):
        checkpoint.with_ridge(tmp_path)


@pytest.mark.parametrize(
    "config", ["[" * 100_000, "[]", "5", '{"head": "rtfm"}', '{"channels": ' + "9" * 5000 + "}", "{"]
)
def test_a_ridge_of_another_description_is_one_sentence(config: str, trained: Path, tmp_path: Path) -> None:
    whole = Checkpoint.load(trained)
    (tmp_path / "ridge.safetensors").write_bytes((trained / "ridge.safetensors").read_bytes())
    weights = load_file(tmp_path / "ridge.safetensors")
    with safe_open(tmp_path / "ridge.safetensors", framework="pt") as file:
        header = file.metadata()
    if "rtfm" in config:
        config = json.dumps({**json.loads(header["config"]), "head": "rtfm", "options": {"width": 1 << 20}})
    save_file(weights, tmp_path / "ridge.safetensors", metadata={**header, "config": config})
    with pytest.raises(InputError, match=r"ridge control .*ridge\.safetensors is damaged"):
        whole.with_ridge(tmp_path)


def test_a_ridge_that_gives_no_number_is_one_sentence(trained: Path, tmp_path: Path) -> None:
    weights = load_file(trained / "ridge.safetensors")
    with safe_open(trained / "ridge.safetensors", framework="pt") as file:
        header = file.metadata()
    weights["input_scale"] = weights["input_scale"] * float("nan")
    save_file(weights, tmp_path / "ridge.safetensors", metadata=header)
    with pytest.raises(InputError, match=r"ridge\.safetensors is damaged .*NaN"):
        Checkpoint.load(trained).with_ridge(tmp_path)


def test_evaluate_shows_the_ridge_with_its_interval(
    folder: Path, trained: Path, linear: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.html"
    assert main(["evaluate", str(trained), "--data", str(folder), "--report", str(report)]) == 0
    out = capsys.readouterr().out
    kept = json.loads((trained / "metrics.json").read_text())
    control = kept["controls"]["ridge control"]
    assert main(["evaluate", str(linear), "--data", str(folder)]) == 0
    same = json.loads((linear / "metrics.json").read_text())
    for figure in ("auc", "ap", "ano_auc", "video_auc", "map_average", "alerts_per_hour_at_80_recall"):
        assert control[figure] == same["test"][figure], figure  # category by category, too: mAP
    assert "ridge control" not in same["controls"]
    minus = control["model_minus_control"]["auc"]
    low, high = minus["ci95"]
    assert minus["difference"] == pytest.approx(kept["test"]["auc"] - control["auc"])
    told = f"{minus['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
    page = report.read_text()
    assert told in out
    assert told in page
    assert ("ahead of the ridge control on the 15 test videos" in out) == (low <= 0)
    assert ("ahead of the ridge control on the 15 test videos" in page) == (low <= 0)


def test_the_linear_run_finds_what_differs(folder: Path, linear: Path) -> None:
    index, checkpoint = FeatureIndex.open(folder), Checkpoint.load(linear)
    result = evaluate(checkpoint, index, split_items(as_recipe(folder), index, None), folder)
    assert result.metrics["auc"] > 0.8
    assert result.metrics["category_accuracy"] > 0.7  # always the commoner one: 6 of 9
    by_name = {video.item.name: video.scores.categories[4:8].mean(0) for video in result.videos}
    fire, fall = by_name["test/fire/1"], by_name["test/fall/1"]
    assert fire[1] / fire[0] > fall[1] / fall[0]  # the share of the colour that burns
    assert checkpoint.training["epoch"] == 0


def test_detect_and_watch_say_the_same_by_a_linear_run(linear: Path, tmp_path: Path) -> None:
    video = write_film(tmp_path / "v.mp4", 12)
    lengths = ("--window", str(LIVE.window_s), "--delay", str(LIVE.delay_s))
    found = tmp_path / "found"
    assert main(["detect", str(video), "--model", str(linear), "--out", str(found), *lengths]) == 0
    detection = json.loads((found / "v.json").read_text())
    checkpoint = Checkpoint.load(linear)
    choice = EncoderChoice("lite", MeanEncoder(), None)
    expected = Detector(checkpoint, str(linear), choice, LIVE).detect(video).scores
    assert [segment["score"] for segment in detection["segments"]] == pytest.approx(expected.tolist(), abs=1e-6)
    sink = f"sqlite:///{tmp_path}/own.db"
    words = ("watch", video, "--model", linear, "--fast", *lengths, "--sink", sink)
    command = [sys.executable, str(FAKES), *map(str, words)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=patience(200))
    assert done.returncode == 0, done.stderr
    store = Store.open(Secret(sink), tmp_path / "media")
    curve = store.scores.between("v", 0.0, 1e12)
    store.close()
    assert len(curve.score) == len(expected)
    np.testing.assert_allclose(curve.score, expected, atol=1e-3)


def test_explain_says_that_there_is_nothing_to_show(
    folder: Path, linear: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "inside.html"
    assert main(["explain", str(linear), "--data", str(folder), "--out", str(out)]) == 2
    assert "this run is of the head linear; only RefineVAD has MoTAR and CORE" in capsys.readouterr().err
    assert not out.exists()


def test_a_recipe_can_name_it(folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "linear.toml"
    text = f'[data]\nroot = "{folder}"\n[model]\nsmoothing = 7\n[head]\nname = "linear"\ninverse_penalty = 0.25\n'
    recipe.write_text(text)
    assert train(recipe, tmp_path / "run") == 0
    config = Checkpoint.load(tmp_path / "run").model.config
    assert (config.head, config.options, config.smoothing) == ("linear", {"inverse_penalty": 0.25}, 2)
    weak = load_file(tmp_path / "run" / "model.safetensors")["head.anomaly.weight"]
    recipe.write_text(text.replace("0.25", "0.00001"))
    assert train(recipe, tmp_path / "strong") == 0
    strong = load_file(tmp_path / "strong" / "model.safetensors")["head.anomaly.weight"]
    assert strong.norm() < weak.norm()


def test_a_rule_in_seconds_is_kept_in_use(folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "linear.toml"
    recipe.write_text(f'[data]\nroot = "{folder}"\n[head]\nname = "linear"\n[train]\nwindow_s = 2.0\ndelay_s = 0.0\n')
    assert train(recipe, tmp_path / "run") == 0
    checkpoint = Checkpoint.load(tmp_path / "run")
    assert math.isclose(checkpoint.window.window_s, 2.0)
    index = FeatureIndex.open(folder)
    (video,) = index.load([index.items[0]])
    bounds = video.timeline.time_bounds
    under = score(checkpoint.model, video.values, bounds, checkpoint.window).segments
    assert np.abs(under - score(checkpoint.model, video.values, bounds).segments).max() > 1e-4


@pytest.mark.parametrize(
    ("table", "options"), [("train", "window_s = 2.0\ndelay_s = 0.0\n"), ("model", "merge_runs = true\n")]
)
def test_windows_and_tokens_have_their_ridge_too(table: str, options: str, folder: Path, tmp_path: Path) -> None:
    tables = {"model": "width = 8\n", "train": "epochs = 1\n"}
    tables[table] += options
    recipe = tmp_path / "recipe.toml"
    text = "".join(f"[{name}]\n{lines}" for name, lines in tables.items())
    recipe.write_text(f'[data]\nroot = "{folder}"\n{text}')
    assert train(recipe, tmp_path / "run") == 0
    checkpoint = Checkpoint.load(tmp_path / "run").with_ridge(tmp_path / "run")
    assert checkpoint.ridge is not None
    assert checkpoint.ridge.config.merge_runs == checkpoint.model.config.merge_runs
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(folder)]) == 0
    # no two segments of these videos are equal: tokens are the segments, and all are fitted
    alone = tmp_path / "alone"
    assert train(recipe, alone, "--head", "linear") == 0
    fitted = load_file(alone / "model.safetensors")
    for name, value in checkpoint.ridge.state_dict().items():
        assert torch.equal(value, fitted[name]), name


def test_trained_and_fitted_runs_do_not_overwrite_each_other(
    folder: Path, linear: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(folder, linear, "--epochs", 1) == 2
    assert train(folder, trained, "--head", "linear") == 2
    assert capsys.readouterr().err.count("holds a run of another head; choose another --out") == 2
    before = (linear / "model.safetensors").read_bytes()
    assert train(folder, linear, "--head", "linear") == 0
    assert (linear / "model.safetensors").read_bytes() == before


def test_an_unknown_head_is_a_sentence(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(folder, tmp_path / "run", "--head", "ridge") == 2
    assert "unknown head 'ridge'; known: sultani" in capsys.readouterr().err


def test_a_penalty_that_none_can_be_is_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "linear.toml"
    recipe.write_text(f'[data]\nroot = "{folder}"\n[head]\nname = "linear"\ninverse_penalty = -1.0\n')
    assert train(recipe, tmp_path / "run") == 2
    assert "head option inverse_penalty must be at least 0: got -1.0" in capsys.readouterr().err
    assert not (tmp_path / "run" / "config.json").exists()


def test_without_validation_videos_of_both_kinds_there_is_a_ridge_and_no_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_features(tmp_path / "features", {"train": 1, "test": 1})
    assert train(folder, tmp_path / "run", "--epochs", 1) == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["validation"]["compared"] is None
    assert (tmp_path / "run" / "ridge.safetensors").exists()
    assert "ridge" not in capsys.readouterr().out
    assert train(folder, tmp_path / "linear", "--head", "linear") == 0
    assert "linear: fitted in closed form, validation video AUC" in capsys.readouterr().out


def test_the_folds_that_validate_do_not_change_the_model(folder: Path, tmp_path: Path) -> None:
    """Trained on all labelled videos in their own order, with models beside it that validate and without."""
    runs = []
    for folds in (1, 3):
        recipe = tmp_path / f"{folds}.toml"
        recipe.write_text(
            f'[data]\nroot = "{folder}"\nsettings = "default"\n[train]\nsteps = 0\nepochs = 2\ncross_fit = {folds}\n'
        )
        assert train(recipe, tmp_path / str(folds)) == 0
        runs.append(Checkpoint.load(tmp_path / str(folds)))
    alone, beside = (run.model.state_dict() for run in runs)
    assert all(torch.equal(value, beside[name]) for name, value in alone.items())
    assert runs[0].calibration != runs[1].calibration
