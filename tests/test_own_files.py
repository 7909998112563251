"""What refinevad wrote and reads again, damaged in every way: it is read, or refused by one sentence with a remedy."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from fuzz.kind import by_looks
from refinevad import evaluating
from refinevad.apps.demo import demo_set
from refinevad.apps.results_tables import rendered_pages
from refinevad.apps.service.changes import ChangeLog
from refinevad.checkpoint import Checkpoint, write_json
from refinevad.datasets.dataset import FeatureIndex
from refinevad.errors import InputError
from refinevad.features.store import load_features, map_values
from refinevad.judging.evaluation import Result
from refinevad.peers.contender import ContenderConfig
from refinevad.study import search, standings
from refinevad.study.ablation import Variant
from refinevad.study.delays import delay_table, read_delays
from refinevad.study.figure_rows import figure_rows, read_figures, standing_rows
from refinevad.study.over_seeds import markdown_table
from refinevad.study.seed_rows import SeedRow, read_row, store_row
from refinevad.study.standings import Standing, standings_table
from refinevad.training import loop
from refinevad.training.experiment import refuse_other_head
from refinevad.training.recipe import Recipe
from refinevad.training.validation import Validation
from test_loop import trainer
from test_results_tables import folder_of_pages
from test_search import index_of

GAP = {"difference": 0.1, "ci95": [0.0, 0.3], "excludes_0": False}
METRICS = {
    "auc": 0.9,
    "ano_auc": None,
    "ap": 0.5,
    "map": {"0.1": 40.0},
    "map_average": 20.0,
    "auc_ci95": [0.8, 0.95],
    "recall_at_fpr": {"0.01": 0.1},
    "recall_at_fpr_ci95": {"0.01": None},
    "auc_minus_video_mean": GAP,
    "protocol": "strict",
}
CONTROL = {**METRICS, "model_minus_control": {"auc": GAP, "ap": None}}
READING = {"video_weight": 0.0, "smoothing": 2}

INDEX = FeatureIndex(Path("features"), [], "fake", ".")


class AnewError(Exception):
    """What was stored is taken for something else's, and is made anew: right, too."""


@dataclass(frozen=True)
class Own:
    """A file by its place in a folder, how a whole one is made, and how it is read and used; anything but InputError
    and AnewError is a fault."""

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]


def make_row(folder: Path) -> None:
    curve = np.array([0.1, 0.9], np.float32)
    row = SeedRow(0, 0.8, METRICS, {"ridge": CONTROL}, {"a": curve}, {"ridge": {"a": curve}})
    store_row(folder, row, {"train": {"seed": 0}})


def use_row(folder: Path) -> None:
    found = read_row(folder, 0)
    if found is None:
        raise AnewError
    rows = [found[0], found[0]]
    figure_rows({"ours": rows, "other": rows}, "ours")
    standing = Standing(standings.OURS, rows, 1, None, True)
    standing_rows([standing], {})
    standings_table([standing], {})
    markdown_table(rows)
    assert all(np.isfinite(values).all() for values in rows[0].scores.values())
    {**found[1].get("train", {})}


def use_cost(folder: Path) -> None:
    recipe, row = Recipe(folder), SeedRow(0, 0.8, METRICS, {})
    run = mock.Mock(return_value=(row, None))
    loaded = mock.Mock(side_effect=AnewError)  # by then the costs have been read
    with mock.patch.object(standings, "run_seed", run), mock.patch.object(Checkpoint, "load", loaded):
        standings.stand("head", recipe, [0], INDEX, folder, lambda _: None)


def searched(folder: Path) -> list[search.Candidate]:
    recipe = Recipe(folder, model={"smoothing": 2})
    with mock.patch.object(search, "_validate", side_effect=AnewError):
        return search.search(recipe, Variant("one", {}, {}), INDEX, folder)


def make_search(folder: Path) -> None:
    recipe, variant = Recipe(folder, model={"smoothing": 2}), Variant("one", {}, {})
    one = mock.Mock(return_value=[(READING, Validation(0.9, float("nan")))])
    with mock.patch.object(search, "_validate", one):
        search.search(recipe, variant, INDEX, folder)


def use_search(folder: Path) -> None:
    best = searched(folder)[0]
    assert best.of(Variant("one", {}, {})).of(Recipe(folder)).config(4, ("fight",))
    search.best_first(searched(folder))


def make_delays(folder: Path) -> None:
    write_json(folder / "delays.json", {"60 0": {"auc": 0.9, "ap": None}, "60 1.3": {"auc": 0.8, "ap": 0.5}})


def use_delays(folder: Path) -> None:
    delay_table(
        {"usual": {key: [row] for key, row in read_delays(folder / "delays.json", ("auc", "ap")).items()}}, ["auc"]
    )


def use_metrics(folder: Path) -> None:
    opened = evaluating.RunOnData(folder, Recipe(folder), INDEX, [], {})
    result = mock.Mock(spec=Result, metrics={}, controls={})
    with mock.patch.object(evaluating, "evaluate_folds", return_value=result):
        evaluating.judge_opened(opened, "strict")


def extract_features(folder: Path) -> None:
    index_of(folder).save()


def use_index(folder: Path) -> None:
    FeatureIndex.open(folder).items[0].labels  # noqa: B018


def use_features(folder: Path) -> None:
    path = folder / "train" / "normal" / "0.safetensors"
    load_features(path)
    assert np.asarray(map_values(path)).ndim == 2


def make_figures(folder: Path) -> None:
    folder_of_pages(folder)


def make_trained(folder: Path) -> None:
    trainer(folder).run()


def go_on(folder: Path) -> None:
    trained = trainer(folder).run()
    assert all(bool(torch.isfinite(value).all()) for value in trained.model.state_dict().values())


def use_pages(folder: Path) -> None:
    rendered_pages(folder)


OWN = [
    Own("row.json", make_row, use_row),
    Own("scores.safetensors", make_row, use_row),
    Own("control_scores.safetensors", make_row, use_row),
    Own("head/seed0/cost.json", lambda folder: write_json(folder / "head/seed0/cost.json", {"seconds": 2.5}), use_cost),
    Own("search.json", make_search, use_search),
    Own("delays.json", make_delays, use_delays),
    Own("metrics.json", lambda folder: write_json(folder / "metrics.json", {"validation": {}}), use_metrics),
    Own(
        "config.json",
        lambda folder: write_json(folder / "config.json", {"model": {"head": "linear"}}),
        lambda folder: refuse_other_head(folder, ContenderConfig(3, ("fight",), "linear")),
    ),
    Own("dataset.json", extract_features, use_index),
    Own("train/normal/0.safetensors", extract_features, use_features),
    Own("data/heads/street.csv", make_figures, lambda folder: read_figures(folder / "data/heads/street.csv")),
    Own("data/tables.toml", make_figures, use_pages),
    Own("heads.md", make_figures, use_pages),
    Own("history.jsonl", make_trained, lambda folder: loop._lines(folder / "history.jsonl")),
    Own(
        "manifest.json",
        lambda folder: write_json(folder / "manifest.json", {"seed": 1, "videos": ["a.mp4"], "frames": [2]}),
        lambda folder: demo_set._prepare(folder, {"seed": 2}),
    ),
    Own(
        "changes.json",
        lambda folder: ChangeLog(folder / "changes.json").change(lambda now: now.with_threshold("door", 0.5)),
        lambda folder: ChangeLog(folder / "changes.json"),
    ),
]
NAMES = [own.name for own in OWN]


def borne(own: Own, folder: Path) -> str:
    """What is said of a file as it lies there; nothing where it was read."""
    try:
        own.read(folder)
    except AnewError:
        return ""
    except InputError as error:
        said = str(error)
        assert Path(own.name).name in said or str(folder) in said
        assert "\n" not in said.strip()
        return said
    return ""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Own, Path], None]:
    """Puts the folder of a whole file somewhere; made once, because a training run takes seconds."""
    made: dict[Any, Path] = {}

    def put(own: Own, folder: Path) -> None:
        if own.name not in made:
            made[own.name] = tmp_path_factory.mktemp("whole")
            own.make(made[own.name])
        shutil.copytree(made[own.name], folder, dirs_exist_ok=True)

    return put


Whole = Callable[[Own, Path], None]


@pytest.mark.parametrize("own", OWN, ids=NAMES)
def test_a_whole_one_is_read(own: Own, tmp_path: Path, whole: Whole) -> None:
    whole(own, tmp_path)
    assert (tmp_path / own.name).is_file()
    assert borne(own, tmp_path) == ""


def be_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def be_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def be_a_circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


HARMS: dict[str, Callable[[Path], object]] = {
    "a folder": be_a_folder,
    "a pipe": be_a_pipe,
    "other bytes": lambda path: path.write_bytes(b"\xff\xfe\x00\x9f" * 9),
}


@pytest.mark.parametrize("harm", HARMS, ids=str)
@pytest.mark.parametrize("own", OWN, ids=NAMES)
def test_what_is_no_such_file_is_refused(own: Own, harm: str, tmp_path: Path, whole: Whole) -> None:
    whole(own, tmp_path)
    HARMS[harm](tmp_path / own.name)
    said = borne(own, tmp_path)
    assert said


@pytest.mark.parametrize("own", OWN, ids=NAMES)
def test_a_link_in_a_circle_is_none_or_refused(own: Own, tmp_path: Path, whole: Whole) -> None:
    whole(own, tmp_path)
    be_a_circle(tmp_path / own.name)
    borne(own, tmp_path)


@pytest.mark.parametrize("own", OWN, ids=NAMES)
def test_spoilt_ones_are_read_or_refused_by_a_sentence(own: Own, tmp_path: Path, whole: Whole) -> None:
    """Cut, emptied, keys and values lost, of other kinds, NaN, too deep, and whatever else the fuzzer does to files."""
    whole(own, tmp_path)
    path, said = tmp_path / own.name, 0
    content, random = path.read_bytes(), Random(own.name)
    spoilt = [b"", b"{}", b"[]", b"null", content[:1], content[: len(content) // 2], content[:-2], b"[" * 100_000]
    spoilt += [by_looks(random, content) for _ in range(25)]
    for harmed in spoilt:
        path.write_bytes(harmed)
        said += bool(borne(own, tmp_path))
    assert said or own.name in ("history.jsonl", "heads.md")  # of which any text is some
    path.write_bytes(content)
    assert borne(own, tmp_path) == ""


@pytest.mark.parametrize(
    "own", [own for own in OWN if own.name.endswith(".json") and own.name != "dataset.json"], ids=lambda own: own.name
)
def test_each_value_lost_or_of_another_kind_is_read_or_refused(own: Own, tmp_path: Path, whole: Whole) -> None:
    whole(own, tmp_path)
    path = tmp_path / own.name
    tree = json.loads(path.read_text())
    for place in places(tree):
        for value in ("text", [], True, None, -1, {"of another version": 1}, ...):
            path.write_text(json.dumps(put(tree, place, value)))
            borne(own, tmp_path)
        path.write_text(json.dumps(put(tree, place, "@")).replace('"@"', "NaN"))
        borne(own, tmp_path)


def places(node: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value of a tree."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for key, value in pairs for place in ((*before, key), *places(value, (*before, key)))]


def put(node: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The tree with another value in a place; `...`: with none."""
    if not place:
        return value
    if isinstance(node, list):
        return [
            put(one, place[1:], None if value is ... else value) if at == place[0] else one
            for at, one in enumerate(node)
        ]
    if value is ... and len(place) == 1:
        return {key: one for key, one in node.items() if key != place[0]}
    return {key: put(one, place[1:], value) if key == place[0] else one for key, one in node.items()}


def test_the_remedy_is_one(tmp_path: Path) -> None:
    """Doing what the sentence says mends it."""
    (tmp_path / "head/seed0").mkdir(parents=True)
    (tmp_path / "head/seed0/cost.json").write_text('{"second": 1}')
    cost = next(own for own in OWN if own.name.endswith("cost.json"))
    assert borne(cost, tmp_path).endswith("(seconds is missing); delete it to leave this seed's time out of the table")
    (tmp_path / "head/seed0/cost.json").unlink()
    assert borne(cost, tmp_path) == ""


@pytest.mark.parametrize("harm", ["lost", "of another shape", "NaN"])
def test_a_state_without_a_tensor_of_its_own_is_refused(harm: str, tmp_path: Path) -> None:
    """Weights, their average, the best ones and the optimizer's moments: each in turn."""
    make_trained(tmp_path / "whole")
    path = tmp_path / "whole" / "state.safetensors"
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))["__metadata__"]
    tensors = load_file(path)
    kinds = {name.split("/")[0].split(".")[0]: name for name in tensors if tensors[name].dtype.kind == "f"}
    assert {"model", "average", "best", "optimizer"} == set(kinds)
    for name in kinds.values():
        spoilt = {key: value for key, value in tensors.items() if key != name or harm != "lost"}
        if harm == "of another shape":
            spoilt[name] = np.zeros((3, 5, 7), np.float32)
        elif harm == "NaN":
            spoilt[name] = np.full_like(tensors[name], np.nan)
        save_file(spoilt, path, metadata=header)
        with pytest.raises(InputError, match=r"is damaged .*delete it to start again"):
            go_on(tmp_path / "whole")
