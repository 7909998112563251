"""A run on a data set with temporal truth: what `refinevad evaluate` and Python's `refinevad.evaluate` both sit on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path

from refinevad.checkpoint import METRICS, Checkpoint, write_json
from refinevad.datasets.dataset import FeatureIndex, Item, read_dataset
from refinevad.encoders.choice import require_at_hand
from refinevad.errors import InputError
from refinevad.files.json_files import read_own
from refinevad.judging.evaluation import Result, evaluate_folds
from refinevad.judging.figures import Figures
from refinevad.judging.protocol import Protocol
from refinevad.machine.devices import open_device
from refinevad.shipped.names import find_run, shipped_name
from refinevad.training.experiment import extract_features, judged_items
from refinevad.training.recipe import Recipe, as_recipe

Stepping = Callable[[int], Callable[[], None]]


def evaluate(
    run: str | PathLike[str],
    data: str | PathLike[str],
    *,
    features: str | PathLike[str] | None = None,
    protocol: str = "strict",
    lenient: bool = False,
    workers: int = 1,
    device: str | None = None,
    allow_download: bool = False,
) -> Figures:
    """Judge a run on held-out videos with temporal truth, as `refinevad evaluate` does, controls beside it.

    The figures are stored in RUN/metrics.json, too.

    Args:
        run: what `train` gave, or its folder.
        data: the set it was trained on, its recipe, a folder of features, or another set of the same categories; with
            `events.csv` (`path,start_s,end_s,category`) beside its videos.
        features: folder of the features; None: inside the run.
        protocol: how mAP is counted: `strict` or `legacy` (VadCLIP's published code).
        lenient: rows of the truth that match no video are left aside and told, in place of an error.
        workers: processes that extract missing features; as for `train`.
        device: where the model runs, `cpu` or `cuda`; None: CUDA where there is one.
        allow_download: an encoder that the run names may be fetched from a model hub.

    Raises:
        InputError: no finished run, no such data, no test videos, or no truth of them.
    """
    if protocol not in ("strict", "legacy"):
        raise InputError(f"the protocol is strict or legacy: got {protocol!r}")
    at = None if features is None else Path(features)
    opened = open_on_data(Path(fspath(run)), Path(data), at, workers, allow_download)
    result = judge_opened(opened, protocol, lenient, device)
    return Figures.of(result, opened.failed, opened.notes)


@dataclass(frozen=True)
class RunOnData:
    """A run, or the folds inside it, each with the items and splits it was trained on, and their features.

    Attributes:
        folder: the run's.
        failed: test videos that could not be read, with one sentence each.
        notes: what was left out of the set, and how its splits were read.
    """

    folder: Path
    recipe: Recipe
    index: FeatureIndex
    parts: list[tuple[Checkpoint, list[Item]]]
    failed: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """What the model is called in tables."""
        return self.parts[0][0].model.config.head


def judge_opened(opened: RunOnData, protocol: str, lenient: bool = False, device: str | None = None) -> Result:
    """Evaluate an opened run, or the folds inside it, on the test videos that could be read; store its figures.

    Raises:
        InputError: as `evaluate`.
    """
    stored = opened.folder / METRICS
    before = read_own(stored, {}, "delete it to evaluate") if stored.exists() else {}  # told before the work
    where = open_device(device)
    for checkpoint, _ in opened.parts:
        checkpoint.model.to(where)
    counted: Protocol = "legacy" if protocol == "legacy" else "strict"
    result = evaluate_folds(opened.parts, opened.index, Path(opened.index.source), counted, lenient)
    if shipped_name(opened.folder) is None:
        write_json(stored, {**before, "test": result.metrics, "controls": result.controls})
    return result


def open_on_data(
    run_folder: Path,
    data: Path,
    features: Path | None,
    workers: int,
    allow_download: bool = False,
    stepping: Stepping | None = None,
    tell: Callable[[Sequence[str]], None] | None = None,
) -> RunOnData:
    """Open a run folder with the data set or recipe it is to be looked at with; missing features are extracted.

    Args:
        features: where they are; None: inside the run.
        workers: processes that extract.
        allow_download: an encoder that the run names may be fetched from a model hub.
        stepping: given how many videos there are, gives what is called after each.
        tell: takes sentences as they come up.

    Raises:
        InputError: no finished run, no such data, videos that cannot be read, or a model that ships without a folder
            for its features.
    """
    say = tell or (lambda _: None)
    run_folder = find_run(run_folder)
    name = shipped_name(run_folder)
    if name is not None and features is None:
        raise InputError(f"nothing is written beside the model {name}, which ships: name a folder with --features")
    recipe = as_recipe(data) if features is None else as_recipe(data).with_features(features)
    folders = _fold_folders(run_folder)
    checkpoints = [Checkpoint.load(folder).with_ridge(folder) for folder in folders or [run_folder]]
    for folder, checkpoint in zip(folders or [run_folder], checkpoints, strict=True):
        require_at_hand(checkpoint.encoder, allow_download, f"run {folder}")
        _require_seed(checkpoint, folder)
    first = checkpoints[0]
    recipe = replace(
        recipe,
        kind="ucf-captions" if first.encoder.startswith("captions") and recipe.kind != "videos" else recipe.kind,
        encoder=first.encoder,
        rule=first.segment_rule,
    )
    done = extract_features(recipe, run_folder / "features", workers, stepping)
    for sentence in done.failed.values():
        say([f"left out: {sentence}"])
    parts = []
    told_of_splits: dict[str, None] = {}
    for place, checkpoint in enumerate(checkpoints):
        fold = int(folders[place].name.removeprefix("fold")) if folders else checkpoint.training.get("fold")
        seeded = recipe.with_seed(int(checkpoint.training["options"]["seed"]))
        items, told = judged_items(seeded, done.index, fold)
        if told and len(folders) > 1:
            raise InputError(
                f"{run_folder} holds {len(folders)} folds, each a model of its own, and {data} is not in folds; "
                f"name one, such as {folders[0]}"
            )
        told_of_splits |= dict.fromkeys(told)
        parts.append((checkpoint, items))
    told_of_set = (*done.notes, *told_of_splits)
    told_of_set += _trained_on(name, first, recipe)
    say(told_of_set)
    return RunOnData(run_folder, recipe, done.index, parts, _untested(recipe, done.failed), told_of_set)


def _trained_on(name: str | None, checkpoint: Checkpoint, recipe: Recipe) -> tuple[str, ...]:
    """What to know where a model that ships is judged on the set that it was trained on."""
    if name is None or checkpoint.training.get("data") != recipe.data.name:
        return ()
    return (f"{name} was trained on all videos of {recipe.data.name}: figures on them say nothing of others",)


def _fold_folders(run_folder: Path) -> list[Path]:
    """Of a run that holds folds; none where it is a model of its own."""
    if (run_folder / "config.json").exists():
        return []
    folders = sorted(run_folder.glob("fold*"))
    return [folder for folder in folders if folder.name.removeprefix("fold").isdecimal()]


def _require_seed(checkpoint: Checkpoint, folder: Path) -> None:
    """Raises InputError where a run does not tell the seed its data were split by."""
    if "seed" not in checkpoint.training.get("options", {}):
        raise InputError(f"run {folder} does not tell the seed of its splits; train it again to evaluate it")


def _untested(recipe: Recipe, failed: Mapping[str, str]) -> dict[str, str]:
    """The failed videos that would have been judged: those of the test split, and of any fold."""
    if not failed:
        return {}
    if recipe.published is not None:
        return {path: sentence for path, sentence in failed.items() if path.startswith("test/")}
    judged = {item.path for item in read_dataset(recipe.data) if item.split in ("test", "") or item.fold is not None}
    return {path: sentence for path, sentence in failed.items() if path in judged}
