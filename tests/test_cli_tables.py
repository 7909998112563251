"""`bench` and the options of `train` that it uses: tables with their figures beside them."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

from cli_cases import RECIPES, call, error_of, make_recipe, make_set
from fakes import replaced
from refinevad.study.figure_rows import read_figures

pytestmark = pytest.mark.usefixtures("small_encoder")

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set") / "videos")


@pytest.mark.parametrize(
    ("kind", "option", "name"),
    [("recipe", None, "all"), ("ablation", "--variants", "other"), ("accuracy", "--heads", "other")],
)
def test_tables_leave_their_figures_as_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, option: str | None, name: str
) -> None:
    """figures.csv beside table.md: each row's mean over seeds is that of the rows on disk."""
    recipe = make_recipe(tmp_path, tmp_path / "features")
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path))
    (tmp_path / "other.toml").write_text("[head]\nname = 'sultani'\n" if kind == "accuracy" else "[model]\nwidth = 4\n")
    out = tmp_path / "out"
    words = [option, tmp_path / "other.toml"] if option else []
    with replaced():
        assert call("bench", kind, recipe, "--seeds", "0", "1", "--workers", "1", "--out", out, *words) == 0
    runs = out / name if option else out
    evaluated = [json.loads((runs / f"seed{seed}" / "row.json").read_text())["metrics"]["auc"] for seed in (0, 1)]
    found = {(row.row, row.figure): row for row in read_figures(out / "figures.csv")}
    assert found[name, "auc"].value == pytest.approx(sum(evaluated) / 2, abs=1e-5)
    assert found[name, "seeds"].value == 2
    assert 0 <= found[name, "auc_over_videos"].value <= 1
    assert ("chance", "auc") in found
    assert (found[name, "auc"].common == 2) == (option is not None)  # compared with the first row
    assert ((name, "parameters") in found) == (kind == "accuracy")
    assert (out / "table.md").exists()


def test_a_recipe_on_another_encoder_keeps_its_own_features_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    recipe = make_recipe(tmp_path, own)
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path))
    arguments = ["bench", "recipe", recipe, "--seeds", "0", "--workers", "1", "--out", tmp_path / "out"]
    with replaced() as opened:
        assert call(*arguments, "--encoder", "lite:int8") == 0
    assert {asked.args for asked in opened.call_args_list} == {("lite", "int8")}
    assert not own.exists()
    assert len(list((tmp_path / "out" / "features").rglob("*.safetensors"))) == 10
    (tmp_path / "ucf-crime").mkdir()
    assert call("bench", "recipe", RECIPES / "ucf_crime.toml", "--encoder", "lite", "--out", own) == 2
    assert "a recipe of published features takes no encoder" in error_of(capsys)


def test_the_parts_a_model_looks_at_can_be_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", data, "--epochs", "1", "--workers", "1"]
    assert call(*train, "--out", tmp_path / "run", "--inputs", "frame_difference") == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model"]["inputs"] == [[3, 4]]
    assert call(*train, "--out", tmp_path / "none", "--inputs", "motion_mean") == 2
    assert "['motion_mean'] are no parts of these features; they have ['appearance'" in error_of(capsys)


def test_settings_are_chosen_on_other_sets_and_what_was_run_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe(tmp_path, tmp_path / "features")
    other = tmp_path / "other.toml"
    other.write_text(recipe.read_text().replace("width = 8", "width = 12"))
    for name, text in {"as_is": "", "wide": "[model]\nwidth = 16\n"}.items():
        (tmp_path / f"{name}.toml").write_text(text)
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path))
    out = tmp_path / "out"
    words: list[object] = ["bench", "choose", recipe, other, "--seeds", "0", "--workers", "1", "--out", out]
    words += ["--candidates", tmp_path / "as_is.toml", tmp_path / "wide.toml"]
    assert call(*words) == 0
    table = capsys.readouterr().out
    aucs = {
        name: [
            json.loads((out / s / name / "seed0" / "row.json").read_text())["metrics"]["auc"] for s in ("set", "other")
        ]
        for name in ("as_is", "wide")
    }
    shown = {cells[1].strip(): cells for cells in (line.split("|") for line in table.splitlines() if "|" in line)}
    for name, (on_set, on_other) in aucs.items():
        assert shown[name][2:4] == [f" {on_set:.4f} ", f" {on_other:.4f} "]
    for row, rest in ((shown["set"], 1), (shown["other"], 0)):  # each is shown with what is best on the other
        best = "as_is" if aucs["as_is"][rest] >= aucs["wide"][rest] else "wide"
        assert row[2].strip() == best
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("row.json")}
    assert len(stamps) == 4
    assert call(*words) == 0
    assert capsys.readouterr().out == table
    assert {path: path.stat().st_mtime_ns for path in out.rglob("row.json")} == stamps


def test_readings_average_finished_runs_and_the_control_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """benchmarks/readings.py: a row a head; the recipe's own half-width gives the figures it was evaluated with."""
    recipe = make_recipe(tmp_path, tmp_path / "features", smoothing=1)
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path))
    out = tmp_path / "runs" / "ours"
    assert call("bench", "recipe", recipe, "--seeds", "0", "1", "--workers", "1", "--out", out) == 0
    evaluated = [json.loads((out / f"seed{seed}" / "row.json").read_text())["metrics"]["auc"] for seed in (0, 1)]
    capsys.readouterr()
    words = ["readings", str(tmp_path / "runs"), "--recipe", str(recipe), "--half-widths", "0", "1"]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "readings.py"), run_name="__main__")
    head, _, ours, control = capsys.readouterr().out.splitlines()
    assert head.count("|") == ours.count("|") == control.count("|") == 8
    cells = [cell.strip() for cell in ours.split("|")]
    assert cells[1] == "ours"
    assert cells[5].startswith(f"{sum(evaluated) / 2:.4f} ± ")
    assert control.startswith("| linear on video means | ")
