"""recipe -> RUN folder: features, splits, training, calibration. Knows labels, never when anything happens."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from refinevad.checkpoint import CONFIG, METRICS, Checkpoint, write_json
from refinevad.datasets.dataset import (
    INDEX,
    FeatureIndex,
    Item,
    categories_of,
    check_trainable,
    in_turn,
    survey,
    thin_categories,
    twins,
    with_fold,
    with_validation,
)
from refinevad.datasets.feature_folder import Extracted, extract_all, extract_ucf_captions
from refinevad.datasets.importing import import_features
from refinevad.datasets.leaks import same_bytes, same_in_two_splits
from refinevad.datasets.ucf_crime import left_aside, read_test_videos, read_training_videos
from refinevad.encoders.choice import open_encoder
from refinevad.errors import InputError
from refinevad.files.json_files import read_own
from refinevad.judging.compared import Compared
from refinevad.machine.memory import large_blocks_kept
from refinevad.machine.ray_pool import OnRay
from refinevad.ridge import LINEAR
from refinevad.scoring.events import calibrate
from refinevad.segment_model import ModelConfig
from refinevad.training.cross_fit import by_split, deal
from refinevad.training.distributed import ALONE, Processes
from refinevad.training.fitting import EpochReport, Fitted, Plan, cross_fitted, held_out
from refinevad.training.loop import Trained
from refinevad.training.places import choose_inputs
from refinevad.training.recipe import DEFAULT_INPUTS, Recipe
from refinevad.training.resume import STATE


def extract_features(
    recipe: Recipe,
    fallback: Path,
    workers: int | OnRay = 1,
    progress: Callable[[int], Callable[[], None]] | None = None,
    test: bool = True,
) -> Extracted:
    """Bring a recipe's features up to date; `progress(total)` gives a callback for each video done.

    A folder that already is a feature folder is used as it stands. UCF-Crime lists its test videos in the file that
    holds their temporal truth: with `test` false they are left out, and the file stays closed.
    """
    done = _extract(recipe, fallback, workers, progress, test)
    if not recipe.splits_in_turn:
        return done
    return replace(done, index=replace(done.index, items=in_turn(done.index.items)))


def _extract(
    recipe: Recipe,
    fallback: Path,
    workers: int | OnRay,
    progress: Callable[[int], Callable[[], None]] | None,
    test: bool,
) -> Extracted:
    if (recipe.data / INDEX).exists():
        index = FeatureIndex.open(recipe.data)
        return Extracted(index, 0, len(index.items), {}, same_in_two_splits(index))
    if recipe.published is not None:
        done = import_features(recipe.published, recipe.data, fallback, recipe.encoder, progress)
        return Extracted(done.index, len(done.index.items), 0, done.failed, done.notes)
    out = recipe.features or fallback
    if recipe.kind == "ucf-captions":
        videos = [*read_training_videos(recipe.data), *(read_test_videos(recipe.data) if test else ())]
        encoder = open_encoder(recipe.encoder)
        if encoder.text is None or len(encoder.branches) > 1 or not encoder.text.from_files:
            raise InputError(f"kind ucf-captions has text alone: set the encoder to captions, not {recipe.encoder}")
        step = progress(len(videos)) if progress else None
        captioned = extract_ucf_captions(recipe.data, videos, recipe.encoder, encoder.text, out, step)
        return replace(captioned, notes=left_aside(recipe.data, test))
    found = survey(recipe.data)
    step = progress(len(found.items)) if progress else None
    made = extract_all(recipe.data, found.items, recipe.encoder, recipe.rule, out, workers, step)
    same = same_in_two_splits(made.index) if made.digests is None else same_bytes(recipe.data, made.digests)
    return replace(made, notes=(*found.notes, *made.notes, *same))


def split_items(recipe: Recipe, index: FeatureIndex, fold: int | None) -> list[Item]:
    """Items with their splits for a fold and a seed. Raises InputError for a fold that is not there."""
    items = index.items
    if recipe.splits_are_folds:
        return items
    if items and not any(item.split or item.fold is not None for item in items):  # which an export need not say
        items = [replace(item, split="train") for item in items]
    if fold is not None:
        items = with_fold(items, fold)
    elif any(item.fold is not None and not item.split for item in items):
        raise InputError("this data set is given in folds: choose one with --fold, or set folds in the recipe")
    return with_validation(items, recipe.validation_share, recipe.train.seed)


def judged_items(recipe: Recipe, index: FeatureIndex, fold: int | None) -> tuple[list[Item], tuple[str, ...]]:
    """Items with the splits that a run is to be judged by, and what a person should know of them.

    `fold`: the one that the run did not see; None: it was trained without folds. A set without folds is judged by its
    own test split; one in folds, by a run that was trained without, on all its videos.

    Raises:
        InputError: the set is in folds, but has no such one.
    """
    if recipe.splits_are_folds:
        raise InputError(f"by this recipe every video of {recipe.data} trains: judge the run on another set")
    if index.items and not any(item.split or item.fold is not None for item in index.items):
        return [replace(item, split="test") for item in index.items], ()  # the survey says so
    in_folds = any(item.fold is not None and not item.split for item in index.items)
    if fold is None and in_folds:
        items = [replace(item, split="test") for item in index.items]
        return items, (f"{recipe.data} is given in folds, the run was trained without: all its videos are judged",)
    if fold is not None and all(item.fold is None for item in index.items):
        told = (
            f"the run was trained without fold {fold} of its set; {recipe.data} has no folds: its test split is judged"
        )
        return split_items(recipe, index, None), (told,)
    return split_items(recipe, index, fold), ()


def warnings_for(recipe: Recipe, items: list[Item], failed: dict[str, str]) -> list[str]:
    """What a person should know before trusting a training set."""
    labelled, folds = labelled_in_folds(recipe, items)
    trained = [replace(item, split="train") for item in labelled] if folds else items
    found = [f"left out: {sentence}" for sentence in failed.values()]
    found += [f"category '{name}' has a single training video" for name in thin_categories(trained)]
    found += [
        f"categories {' and '.join(map(repr, names))} are learnt apart: are they one?" for names in twins(labelled)
    ]
    chosen = recipe.train.keep == "best" and recipe.train.cross_fit != 1
    if chosen and not folds and not any(item.split == "val" and item.anomalous for item in items):
        found.append("no anomalous validation video: the epoch is chosen on the training videos' labels")
    return found


def labelled_in_folds(recipe: Recipe, items: Sequence[Item]) -> tuple[list[Item], list[list[Item]]]:
    """The items whose labels training may know, and the folds they are validated in; no folds: a split validates.

    Raises:
        InputError: splits that cannot be folds.
    """
    if recipe.splits_are_folds:
        return list(items), by_split(items)
    labelled = [item for item in items if item.split in ("train", "val")]
    return labelled, deal(labelled, recipe.train.cross_fit, recipe.train.seed)


@large_blocks_kept()
def train_run(
    recipe: Recipe,
    index: FeatureIndex,
    items: list[Item],
    folder: Path,
    report: EpochReport | None = None,
    device: torch.device | None = None,
    fold: int | None = None,
    processes: Processes = ALONE,
    controls: bool = True,
) -> Checkpoint:
    """Train one model into `folder`, calibrate it on normal validation videos, and save the RUN.

    Several processes call it alike; the first calibrates and saves. `controls`: fit the ridge control, keep it in the
    RUN, and compare the model with it and with the trivial one.

    Raises:
        InputError: the training split lacks normal or anomalous videos, or the folder holds another run.
    """
    check_trainable(items)
    first = index.stored([item for item in items if item.split == "train"][:1])[0]
    labelled, folds = labelled_in_folds(recipe, items)
    if recipe.train.cross_fit == 1:
        items = [replace(item, split="train") for item in labelled]
    categories = categories_of(labelled if folds else [item for item in labelled if item.split == "train"])
    recipe, why = by_data(recipe, index, labelled)
    plan = Plan(recipe, index, folder, first, categories, device, processes, report)
    refuse_other_head(folder, recipe.config(first.values.shape[1], categories, first.provenance.parts))
    fitted = cross_fitted(plan, labelled, folds, controls) if folds else held_out(plan, items, controls)
    checkpoint = Checkpoint(
        model=fitted.trained.model,
        encoder=index.encoder,
        signature=first.provenance.signature,
        calibration=processes.from_first(lambda: calibrate(fitted.normal, recipe.alerts_per_hour)),
        training=_record(recipe, fold, fitted) | ({"inputs_why": why} if why else {}),
        ridge=fitted.ridge,
    )
    if processes.first:
        checkpoint.save(folder)
        _write_validation(folder, fitted.trained, fitted.compared)
        for held in range(len(folds)):  # only now: a stop before would have had them trained again
            shutil.rmtree(folder / f"held{held}", ignore_errors=True)
    return checkpoint


def by_data(recipe: Recipe, index: FeatureIndex, labelled: Sequence[Item]) -> tuple[Recipe, str | None]:
    """The recipe with the inputs that its training videos ask for, and why; as it is where it names its own."""
    told = "inputs" in recipe.model or bool(recipe.head)
    if not recipe.inputs_by_data or told or recipe.kind != "videos" or index.published is not None:
        return recipe, None
    choice = choose_inputs(labelled, index.stored(labelled), DEFAULT_INPUTS)
    if choice is None:
        return recipe, None
    return replace(recipe, model={**recipe.model, "inputs": list(choice.parts)}), choice.why


def _record(recipe: Recipe, fold: int | None, fitted: Fitted) -> dict[str, Any]:
    """How it was trained."""
    trained = fitted.trained
    return {
        "options": asdict(recipe.train),
        "data": str(recipe.data),
        "fold": fold,
        "videos": fitted.videos,
        "epoch": trained.epoch + 1,
        "epochs_run": trained.epochs_run,
    }


def _write_validation(folder: Path, trained: Trained, compared: Compared | None) -> None:
    beside = None if compared is None else compared.as_dict()
    figures = {**asdict(trained.validation), "epoch": trained.epoch + 1, "compared": beside}
    write_json(folder / METRICS, {"validation": figures})


def refuse_other_head(folder: Path, config: ModelConfig) -> None:
    """Keep a fitted run and a trained one from overwriting each other; of its own kind a trained one's state tells.

    Raises:
        InputError: the folder holds the one and the other was asked for.
    """
    stored = None
    if (folder / CONFIG).exists():
        kept = read_own(folder / CONFIG, {"model": lambda value: isinstance(value, dict)}, "delete it to train here")
        stored = kept["model"].get("head")
    trained = (folder / STATE).exists() or ((folder / CONFIG).exists() and stored != LINEAR)
    if trained if config.fitted else stored == LINEAR:
        raise InputError(f"{folder} holds a run of another head; choose another --out, or delete it")
