"""Live curves, read back with TensorBoard's own reader."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from refinevad.apps.cli import main
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.features.store import Features, Provenance, save_features
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training import curves
from refinevad.training.curves import CURVES, Curves

torch.set_num_threads(1)


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(epoch, value) of each curve."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, random = tmp_path_factory.mktemp("features"), np.random.default_rng(0)
    items = []
    for number in range(12):
        labels = ("fall",) if number % 2 else ()
        item = Item(f"{number}.mp4", labels, "val" if number > 7 else "train")
        timeline = Timeline.uniform(160, 25.0, SegmentRule(frames=16))
        provenance = Provenance({"name": "made up"}, {"frames": 16}, parts={"all": (0, 4)})
        values = random.normal(size=(10, 4)).astype(np.float32) + 3 * bool(labels)
        save_features(FeatureIndex(root, [], "", "").path(item), Features(values, timeline, provenance))
        items.append(item)
    FeatureIndex(root, items, "made up", str(root)).save()
    return root


def test_a_run_leaves_the_curves_of_its_history(features: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'[data]\nroot = "{features}"\n[train]\nepochs = 3\nlearning_rate = 5e-4\n')
    command = ["train", str(recipe), "--out", str(tmp_path), "--tensorboard", "--device", "cpu"]
    assert main(command) == 0
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    found = read(tmp_path / CURVES)
    terms = {"mil", "category", "posterior", "gmm"}
    assert set(found) == {"loss", *terms, "learning_rate", "val_video_auc", "val_loss"}
    for name, points in found.items():
        assert points == [(epoch["epoch"], pytest.approx(epoch[name], rel=1e-6)) for epoch in history]
    for epoch in range(3):
        parts = sum(found[name][epoch][1] for name in terms)
        assert found["loss"][epoch][1] == pytest.approx(parts, rel=1e-5)
    # one step an epoch; warm-up is over after the first, then 0.01 + 0.99 (1 + cos(pi step / 2)) / 2 of 5e-4
    expected = [5e-4, 5e-4 * (0.01 + 0.99 / 2), 5e-4 * 0.01]
    assert [value for _, value in found["learning_rate"]] == pytest.approx(expected)


def test_curves_are_of_the_runs_own_model_not_of_those_that_validate(features: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'[data]\nroot = "{features}"\n[train]\nepochs = 2\ncross_fit = 2\n')
    assert main(["train", str(recipe), "--out", str(tmp_path), "--tensorboard", "--device", "cpu"]) == 0
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    losses = read(tmp_path / CURVES)["loss"]
    assert losses == [(epoch["epoch"], pytest.approx(epoch["loss"], rel=1e-6)) for epoch in history]
    assert [epoch for epoch, _ in losses] == [1, 2]


def test_no_curves_unless_asked(features: Path, tmp_path: Path) -> None:
    assert main(["train", str(features), "--out", str(tmp_path), "--epochs", "1", "--device", "cpu"]) == 0
    assert not (tmp_path / CURVES).exists()


def test_a_run_that_goes_on_has_no_point_twice(tmp_path: Path) -> None:
    """Stopped after it drew the third epoch, before that epoch counted."""
    with Curves(tmp_path) as first:
        for epoch in (1, 2, 3):
            first.add(epoch, {"loss": 10.0 + epoch})
    with Curves(tmp_path) as second:
        for epoch in (3, 4):
            second.add(epoch, {"loss": 20.0 + epoch})
    assert read(tmp_path / CURVES) == {"loss": [(1, 11.0), (2, 12.0), (3, 23.0), (4, 24.0)]}


def test_points_are_there_while_it_runs(tmp_path: Path) -> None:
    with Curves(tmp_path) as open_:
        open_.add(1, {"val_video_auc": float("nan")})
        ((epoch, value),) = read(tmp_path / CURVES)["val_video_auc"]
        assert epoch == 1
        assert math.isnan(value)


def test_without_the_package_one_sentence_before_any_work(
    features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(curves, "find_spec", lambda name: None)
    assert main(["train", str(features), "--out", str(tmp_path / "run"), "--tensorboard", "--device", "cpu"]) == 2
    message = capsys.readouterr().err
    assert message == "refinevad: error: --tensorboard needs the package tensorboard; pip install 'refinevad[train]'\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("held_out", [True, False])
def test_the_bar_shows_validation_only_where_videos_are_held_out(
    held_out: bool, features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By default nothing is held out of a model's training: its figure on the videos it learns from is no news."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'[data]\nroot = "{features}"\nsettings = "default"\n[train]\ncross_fit = {0 if held_out else 3}\n'
    )
    command = ["train", str(recipe), "--out", str(tmp_path), "--epochs", "2", "--tensorboard", "--device", "cpu"]
    assert main(command) == 0
    err = capsys.readouterr().err
    assert "loss=" in err
    assert ("val_auc=" in err) is held_out
    row = json.loads((tmp_path / "history.jsonl").read_text().splitlines()[0])
    judged = {name for name in {*row, *read(tmp_path / CURVES)} if name.startswith(("val", "train"))}
    assert judged == ({"val_video_auc", "val_loss"} if held_out else set())
    assert "the epoch is chosen" not in err
