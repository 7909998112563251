"""Models that ship: found by name, spoken for by a card that was measured, and the same bytes from the same data."""

import csv
import hashlib
import html
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from patience import patience
from refinevad.apps.cli import main
from refinevad.apps.live.settings.config import read_config
from refinevad.checkpoint import Checkpoint
from refinevad.datasets.dataset import FeatureIndex, Item, in_turn
from refinevad.detector import Detector
from refinevad.errors import InputError
from refinevad.evaluating import open_on_data
from refinevad.features.store import Features, Provenance, save_features
from refinevad.shipped.card import Card
from refinevad.shipped.names import DEFAULT_MODEL, find_run, shipped_folder, shipped_name, shipped_names
from refinevad.study import shipping
from refinevad.study.over_seeds import run_seed
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training.cross_fit import by_split
from refinevad.training.experiment import extract_features, judged_items, split_items, train_run, warnings_for
from refinevad.training.recipe import DEFAULT_MODEL as SETTINGS
from refinevad.training.recipe import Recipe, read_recipe
from refinevad.training.train_options import TrainOptions
from videos import write_video

RECIPE = Path(__file__).parents[1] / "recipes" / "shipped" / "fighting.toml"
MOST_BYTES = 1_000_000  # of all that ships


def test_a_name_stands_where_a_run_stands_and_a_folder_goes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert DEFAULT_MODEL in shipped_names()
    assert find_run() == find_run("fighting") == shipped_folder("fighting")
    assert find_run("runs/fighting") == Path("runs/fighting")
    assert find_run("no such model") == Path("no such model")
    assert shipped_name(find_run("fighting")) == "fighting"
    (tmp_path / "fighting").mkdir()
    assert find_run("fighting") == Path("fighting")
    assert shipped_name(Path("fighting")) is None
    assert find_run() == shipped_folder("fighting")  # what no folder here can change
    assert find_run("x" * 5000) == Path("x" * 5000)


def test_cameras_toml_takes_a_name_and_needs_none(tmp_path: Path) -> None:
    file = tmp_path / "cameras.toml"
    for top, own, expected in (
        ("", "", shipped_folder("fighting")),
        ('model = "fighting"\n', "", shipped_folder("fighting")),
        ('model = "runs/mine"\n', "", tmp_path / "runs/mine"),
        ('model = "runs/mine"\n', 'model = "fighting"\n', shipped_folder("fighting")),
    ):
        file.write_text(f'{top}[[camera]]\nname = "door"\nsource = "rtsp://10.0.0.5/x"\n{own}')
        assert read_config(file).cameras[0].model == expected
    assert read_config(file).model == tmp_path / "runs/mine"


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_model_is_whole_small_and_its_card_speaks_of_it(name: str) -> None:
    folder = shipped_folder(name)
    checkpoint = Checkpoint.load(folder).with_ridge(folder)
    assert checkpoint.ridge is not None
    card = Card.read(folder)
    weights = (folder / "model.safetensors").read_bytes()
    assert card.content["weights"] == {"bytes": len(weights), "sha256": hashlib.sha256(weights).hexdigest()}
    assert card.intact
    assert card.content["categories"] == list(checkpoint.categories)
    assert card.content["calibration"]["threshold"] == checkpoint.calibration.threshold
    assert sum(path.stat().st_size for path in folder.iterdir()) < MOST_BYTES
    assert "/" not in checkpoint.training["data"]  # says nothing of the machine it was made on


def test_no_shipped_model_was_trained_on_what_may_not_ship() -> None:
    """The recipes name their data; the licences of the others forbid it, or say nothing."""
    for recipe in RECIPE.parent.glob("*.toml"):
        if not recipe.name.endswith(".card.toml"):
            assert 'root = "survfights"' in recipe.read_text(encoding="utf-8")
    assert {path.stem for path in RECIPE.parent.glob("*.toml") if "." not in path.stem} == set(shipped_names())
    for name in shipped_names():
        content = Card.read(shipped_folder(name)).content
        assert (content["data"]["licence"], content["data"]["videos"]) == ("MIT", 174)


def test_every_rate_of_the_card_is_its_own_counts(capsys: pytest.CaptureFixture[str]) -> None:
    content = Card.read(shipped_folder("fighting")).content
    for row in content["quiet"]:
        assert row["per_hour"] == pytest.approx(row["alerts"] / row["hours"])
        low, high = row["per_hour_ci95"]
        assert low <= row["per_hour"] <= high
        assert high > 0  # silence for a while is no promise
    assert main(["models", "fighting"]) == 0
    told = capsys.readouterr().out
    for words in (
        "MIT",
        "bench ship",
        f"{content['held_out']['auc']:.3f}",
        content["weights"]["sha256"],
        "night",
        "crowds",
        "sport",
        "cut every two seconds",
        f"{content['quiet'][0]['per_hour']:.1f}",
    ):
        assert words in told, words


def test_models_lists_prints_and_refuses(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("fighting ")
    assert main(["models", "--json", "-"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)["models"]] == list(shipped_names())
    assert main(["models", "fighting", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "fighting"
    assert main(["models", "falling"]) == 2
    assert "no model that ships is called 'falling'; there are fighting" in capsys.readouterr().err


def test_other_weights_than_the_card_s_do_not_speak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from refinevad.shipped import names

    copy = tmp_path / "fighting"
    copy.mkdir()
    for path in shipped_folder("fighting").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(names, "FOLDER", tmp_path)
    assert main(["models"]) == 0
    with (copy / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    assert main(["models"]) == 1
    assert "not those of its card" in capsys.readouterr().err


@pytest.mark.parametrize("named", [[], ["--model", "fighting"]])
@pytest.mark.parametrize("where", ["out", "json"])
def test_detect_without_a_run_says_first_who_speaks(
    named: list[str], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="the default encoder needs the extra `video`")
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "camera.mp4", frames=50, size=(160, 120))
    more = ["--json", "-"] if where == "json" else []
    assert main(["detect", "camera.mp4", "--out", "found", *named, *more]) == 0
    told = capsys.readouterr()
    if where == "json":
        first = told.err.splitlines()[0].removeprefix("refinevad: ")
        assert json.loads(told.out)["videos"]  # which stays a document
    else:
        first = told.out.splitlines()[0]
    held = Card.read(shipped_folder("fighting")).content["held_out"]
    assert first.startswith("model fighting, which ships with refinevad and has never seen this camera")
    assert f"finds {held['events_found']:.0%} of the fights" in first
    assert f"frame AUC {held['auc']:.3f} [{held['auc_ci95'][0]:.3f}, {held['auc_ci95'][1]:.3f}]" in first
    assert json.loads((tmp_path / "found/camera.json").read_text())["model"]["run"] == "fighting"
    page = html.unescape((tmp_path / "found/camera.html").read_text())
    assert page.count(first) == 1  # who is handed the report alone reads it, too
    assert page.index("<h1>camera.mp4</h1>") < page.index(first) < page.index("<dt>Duration</dt>")


def first_of(stream: IO[str]) -> str:
    """The first line that the program says there."""
    return next(line for line in stream if line.startswith("refinevad: "))


@pytest.mark.parametrize("command", ["watch", "serve"])
def test_live_cameras_say_first_who_watches(command: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the default encoder needs the extra `video`")
    pytest.importorskip("fastapi", reason="the service needs the extra `service`")
    write_video(tmp_path / "camera.mp4", frames=50, size=(160, 120))
    words = {"watch": ["watch", "camera.mp4", "--fast"], "serve": ["serve", "--port", "0", "--data", "data"]}[command]
    program = [sys.executable, "-m", "refinevad", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stderr is not None
        first = first_of(process.stderr)
        process.terminate()
        process.communicate(timeout=patience(60))
    assert first.startswith("refinevad: model fighting, which ships with refinevad and has never seen this camera")


def test_figures_in_the_documents_are_the_card_s() -> None:
    """Whoever ships other weights has to say their figures where the old ones stood."""
    root, held = RECIPE.parents[2], Card.read(shipped_folder("fighting")).content["held_out"]
    auc = f"{held['auc']:.3f} [{held['auc_ci95'][0]:.3f}, {held['auc_ci95'][1]:.3f}]"
    page = (root / "docs/start/one-video.md").read_text(encoding="utf-8")
    controls = {name: f"{row['auc']:.3f}" for name, row in held["controls"].items()}
    for words in (auc, f"finds {held['events_found']:.0%}".replace("%", " %"), *controls.values()):
        assert words in page, words
    assert f"frame AUC {auc}" in (root / "README.md").read_text(encoding="utf-8")


def test_a_run_of_one_s_own_is_not_spoken_for(tmp_path: Path) -> None:
    from refinevad.apps.speaking import who_speaks

    assert who_speaks([tmp_path, tmp_path / "runs"]) == []
    assert len(who_speaks([find_run(), tmp_path, find_run()])) == 1


def test_python_opens_it_without_a_name() -> None:
    pytest.importorskip("onnxruntime", reason="the default encoder needs the extra `video`")
    assert Detector.open().run == "fighting"
    assert Detector.open("fighting").categories == ("fighting",)


def test_evaluate_writes_nothing_beside_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name a folder with --features"):
        open_on_data(Path("fighting"), tmp_path, None, 1)


def features(folder: Path, name: str = "set", count: int = 6) -> FeatureIndex:
    """Made-up features of three splits, anomalous ones brighter in their second half, and their truth."""
    random = np.random.default_rng(0)
    index = FeatureIndex(folder, [], "made up", str(folder / name))
    (folder / name).mkdir(parents=True)
    rows = [("path", "start_s", "end_s", "category")]
    for split in ("train", "val", "test"):
        for number in range(count):
            labels = ("fall",) if number % 2 else ()
            item = Item(f"{split}/{number}.mp4", labels, split)
            timeline = Timeline.uniform(160, 25.0, SegmentRule(frames=16))
            values = random.normal(size=(10, 4)).astype(np.float32)
            if labels:
                values[5:] += 3
                rows.append((item.path, "3.2", "6.4", "fall"))
            provenance = Provenance({"name": "made up"}, {"frames": 16}, parts={"all": (0, 4), "other": (3, 4)})
            save_features(index.path(item), Features(values, timeline, provenance))
            index.items.append(item)
    with (folder / name / "events.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    index.save()
    return index


def recipe(index: FeatureIndex) -> Recipe:
    options = TrainOptions.from_dict({"steps": 6, "batch": 4, "keep": "last", "cross_fit": 3})
    return Recipe(
        data=Path(index.source), encoder="made up", model={**SETTINGS, "inputs": ["all"]}, train=options,
        splits_are_folds=True,
    )  # fmt: skip


def test_the_same_data_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    files = {}
    for place in ("one", "two/deeper"):
        index = features(tmp_path / place)
        shipping.train_shipped(recipe(index), index, tmp_path / place / "run")
        files[place] = {name: (tmp_path / place / "run" / name).read_bytes() for name in shipping.SHIPPED_FILES}
    assert files["one"] == files["two/deeper"]
    index = FeatureIndex.open(tmp_path / "one")
    again = shipping.train_shipped(recipe(index), index, tmp_path / "one/run")  # whole: not trained again
    assert again.training["data"] == "set"
    assert again.training["videos"] == {"train": 18, "val": 18}


def test_each_split_is_a_fold() -> None:
    items = [Item(f"{split}/{n}.mp4", ("x",) * (n % 2), split) for split in ("test", "train", "val") for n in range(4)]
    folds = by_split(items)
    assert [{item.split for item in fold} for fold in folds] == [{"train"}, {"val"}, {"test"}]
    assert sum(map(len, folds)) == 12
    with pytest.raises(InputError, match="splits can be folds"):
        by_split(items[:4])
    with pytest.raises(InputError, match="splits can be folds"):
        by_split([item for item in items if item.split != "val" or not item.anomalous])


def test_a_recipe_whose_splits_are_folds_leaves_nothing_to_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "survfights").mkdir()
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert read_recipe(RECIPE).splits_are_folds
    (tmp_path / "r.toml").write_text('[data]\nroot = "survfights"\nsplits = "mine"\n')
    with pytest.raises(InputError, match='splits are "own", "folds" or "in turn"'):
        read_recipe(tmp_path / "r.toml")
    index = features(tmp_path / "f")
    with pytest.raises(InputError, match="judge the run on another set"):
        judged_items(recipe(index), index, None)
    assert warnings_for(recipe(index), index.items, {}) == []


def test_what_is_held_out_is_every_video_by_a_model_of_the_other_splits(tmp_path: Path) -> None:
    index = features(tmp_path)
    shipped = shipping.train_shipped(recipe(index), index, tmp_path / "run")
    figures = shipping.held_out(recipe(index), index, shipped, tmp_path)
    assert figures["videos"] == 18
    assert figures["hours"] == pytest.approx(18 * 6.4 / 3600)
    assert "ridge control" in figures["controls"]
    model = Checkpoint.load(tmp_path / "without_val")
    assert model.training["videos"] == {"train": 12, "val": 0}
    items = [replace(item, split="train") for item in index.items if item.split != "val"]
    plain = replace(recipe(index), splits_are_folds=False, train=replace(recipe(index).train, cross_fit=1))
    train_run(plain, index, items, tmp_path / "again")
    again, held = (tmp_path / name / "model.safetensors" for name in ("again", "without_val"))
    assert again.read_bytes() == held.read_bytes()


def test_splits_in_turn_are_judged_as_what_is_held_out_of_a_model_that_ships(tmp_path: Path) -> None:
    index = features(tmp_path)
    turned = replace(recipe(index), splits_are_folds=False, splits_in_turn=True, folds=3, features=tmp_path)
    turned = replace(turned, data=tmp_path, train=replace(turned.train, cross_fit=1))
    found = extract_features(turned, tmp_path / "unused").index
    assert [item.fold for item in found.items] == [0] * 6 + [1] * 6 + [2] * 6
    row, _ = run_seed(turned, found, tmp_path / "seed0")
    shipped = shipping.train_shipped(recipe(index), index, tmp_path / "run")
    figures = shipping.held_out(recipe(index), index, shipped, tmp_path)
    assert row.metrics["auc"] == figures["auc"]
    assert len(row.scores) == 18
    with pytest.raises(InputError, match="choose one with --fold"):
        split_items(turned, found, None)


def test_splits_in_turn_need_every_split_and_no_other_folds(tmp_path: Path) -> None:
    items = [Item(f"{split}/a.mp4", (), split) for split in ("train", "test")]
    with pytest.raises(InputError, match="no videos in val"):
        in_turn(items)
    (tmp_path / "r.toml").write_text(f'[data]\nroot = "{tmp_path}"\nsplits = "in turn"\nfolds = 3\n')
    with pytest.raises(InputError, match="leave folds out"):
        read_recipe(tmp_path / "r.toml")


def test_silence_is_bounded_and_a_rate_is_drawn_over_videos(tmp_path: Path) -> None:
    """No alert in h hours leaves -ln(0.025) / h an hour possible, the exact Poisson bound."""
    index = features(tmp_path)
    shipped = shipping.train_shipped(recipe(index), index, tmp_path / "run")
    what = shipping.OtherSet("set", "f", "falls", "rooms", "1 camera")
    _, quiet = shipping.elsewhere(shipped.at(1.0), index, what)
    hours = 9 * 6.4 / 3600
    assert (quiet["alerts"], quiet["videos"]) == (0, 9)
    assert quiet["per_hour_ci95"] == [0.0, pytest.approx(-math.log(0.025) / hours)]
    figures, loud = shipping.elsewhere(shipped.at(0.0), index, what)
    assert loud["alerts"] == 9  # each normal video is one long event
    assert loud["per_hour_ci95"] == pytest.approx([9 / hours, 9 / hours])
    assert figures["videos"] == 18
    assert "no_such" not in figures


def test_facts_are_checked(tmp_path: Path) -> None:
    facts = shipping.read_facts(RECIPE.with_suffix(".card.toml"))
    assert [each.root for each in facts.elsewhere] == ["falls", "shoplifting"]
    text = RECIPE.with_suffix(".card.toml").read_text(encoding="utf-8")
    file = tmp_path / "facts.toml"
    for before, after, words in (
        ('licence = "MIT"\n', "", "licence is missing"),
        ('licence = "MIT"', "licence = 3", "licence is text"),
        ('licence = "MIT"', 'licence = "MIT"\nauc = 0.99', "unknown"),
        ('root = "falls"\n', "", "root is missing"),
    ):
        file.write_text(text.replace(before, after, 1), encoding="utf-8")
        with pytest.raises(InputError, match=words):
            shipping.read_facts(file)


def test_bench_ship_needs_one_thread(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert main(["bench", "ship", str(RECIPE), "--out", "nowhere"]) == 2
    assert "set OMP_NUM_THREADS=1" in capsys.readouterr().err
