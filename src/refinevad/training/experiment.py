"""recipe -> RUN folder: features, splits, training, calibration. Knows labels, never when anything happens."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from refinevad.checkpoint import METRICS, Checkpoint, write_json
from refinevad.encoders.choice import open_encoder
from refinevad.errors import InputError
from refinevad.events import calibrate
from refinevad.features import Features
from refinevad.model import RefineVAD
from refinevad.scores import score
from refinevad.timeline import Timeline
from refinevad.training.bags import Bag, label_vector
from refinevad.training.dataset import (
    INDEX,
    FeatureIndex,
    Item,
    categories_of,
    check_trainable,
    read_dataset,
    thin_categories,
    with_fold,
    with_validation,
)
from refinevad.training.featurize import Featurized, featurize, featurize_ucf_captions
from refinevad.training.loop import Trainer
from refinevad.training.recipe import Recipe
from refinevad.training.ucf_crime import read_test_videos, read_training_videos

EpochReport = Callable[[int, dict[str, float]], None]


def make_features(
    recipe: Recipe,
    fallback: Path,
    workers: int = 1,
    progress: Callable[[int], Callable[[], None]] | None = None,
    test: bool = True,
) -> Featurized:
    """Bring a recipe's features up to date; `progress(total)` gives a callback for each video done.

    A folder that already is a feature folder is used as it stands. UCF-Crime lists its test videos in the file that
    holds their temporal truth: with `test` false they are left out, and the file stays closed.
    """
    if (recipe.data / INDEX).exists():
        index = FeatureIndex.open(recipe.data)
        return Featurized(index, 0, len(index.items), {})
    out = recipe.features or fallback
    if recipe.kind == "ucf-captions":
        videos = [*read_training_videos(recipe.data), *(read_test_videos(recipe.data) if test else ())]
        encoder = open_encoder(recipe.encoder)
        if encoder.text is None or encoder.vision is not None:
            raise InputError(f"kind ucf-captions has text alone: set the encoder to captions, not {recipe.encoder}")
        step = progress(len(videos)) if progress else None
        return featurize_ucf_captions(recipe.data, videos, recipe.encoder, encoder.text, out, step)
    items = read_dataset(recipe.data)
    step = progress(len(items)) if progress else None
    return featurize(recipe.data, items, recipe.encoder, recipe.rule, out, workers, step)


def split_items(recipe: Recipe, index: FeatureIndex, fold: int | None) -> list[Item]:
    """Items with their splits for a fold and a seed. Raises InputError for a fold that is not there."""
    items = index.items
    if fold is not None:
        items = with_fold(items, fold)
    elif any(item.fold is not None and not item.split for item in items):
        raise InputError("this data set is given in folds: choose one with --fold, or set folds in the recipe")
    return with_validation(items, recipe.validation_share, recipe.train.seed)


def warnings_for(items: list[Item], failed: dict[str, str]) -> list[str]:
    """What a person should know before trusting a training set."""
    found = [f"left out: {sentence}" for sentence in failed.values()]
    found += [f"category '{name}' has a single training video" for name in thin_categories(items)]
    if not any(item.split == "val" and item.anomalous for item in items):
        found.append("no anomalous validation video: the epoch is chosen on the training videos' labels")
    return found


def train_run(
    recipe: Recipe,
    index: FeatureIndex,
    items: list[Item],
    folder: Path,
    report: EpochReport | None = None,
    device: torch.device | None = None,
    fold: int | None = None,
) -> Checkpoint:
    """Train one model into `folder`, calibrate it on normal validation videos, and save the RUN.

    Raises:
        InputError: the training split lacks normal or anomalous videos, or the folder holds another run.
    """
    check_trainable(items)
    chosen = {split: [item for item in items if item.split == split] for split in ("train", "val")}
    features = {split: index.load(members) for split, members in chosen.items()}
    categories = categories_of(chosen["train"])
    bags = {
        split: [
            Bag(feature.values, label_vector(item.labels, categories))
            for item, feature in zip(chosen[split], features[split], strict=True)
        ]
        for split in chosen
    }
    usable = bags["val"] if {bag.anomalous for bag in bags["val"]} == {True, False} else []
    first = features["train"][0]
    trainer = Trainer(
        recipe.config(first.values.shape[1], categories), recipe.train, bags["train"], usable, folder, device
    )
    trained = trainer.run(report)
    normal = [f for item, f in zip(chosen["val"], features["val"], strict=True) if not item.anomalous]
    if not normal:  # a set without validation normals is calibrated on the training ones, which is optimistic
        normal = [f for item, f in zip(chosen["train"], features["train"], strict=True) if not item.anomalous]
    checkpoint = Checkpoint(
        model=trained.model,
        encoder=index.encoder,
        signature=first.provenance.signature,
        calibration=calibrate([_curve(trained.model, f) for f in normal], recipe.alerts_per_hour),
        training={
            "options": asdict(recipe.train),
            "data": str(recipe.data),
            "fold": fold,
            "videos": {split: len(members) for split, members in chosen.items()},
            "epoch": trained.epoch + 1,
            "epochs_run": trained.epochs_run,
        },
    )
    checkpoint.save(folder)
    validation = asdict(trained.validation) | {"epoch": trained.epoch + 1}
    write_json(folder / METRICS, {"validation": validation})
    return checkpoint


def _curve(model: RefineVAD, features: Features) -> tuple[Float[np.ndarray, "segment"], Timeline]:
    return score(model, features.values).segments, features.timeline
