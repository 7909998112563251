"""recipe -> RUN folder: features, splits, training, calibration. Knows labels, never when anything happens."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from refinevad.checkpoint import METRICS, Checkpoint, write_json
from refinevad.contender import HEADS_WITH_TEXT, Contender, ContenderConfig
from refinevad.encoders.choice import open_encoder
from refinevad.errors import InputError
from refinevad.events import calibrate
from refinevad.evidence import Prompts
from refinevad.features import Features, StoredFeatures
from refinevad.model import RefineVAD, RefineVADConfig
from refinevad.scores import score
from refinevad.timeline import Timeline
from refinevad.tokens import merge_runs
from refinevad.training.bags import Bag, label_vector
from refinevad.training.dataset import (
    INDEX,
    NORMAL,
    FeatureIndex,
    Item,
    categories_of,
    check_trainable,
    survey,
    thin_categories,
    with_fold,
    with_validation,
)
from refinevad.training.distributed import ALONE, Processes
from refinevad.training.featurize import Featurized, featurize, featurize_ucf_captions
from refinevad.training.importing import import_features
from refinevad.training.leaks import same_in_two_splits
from refinevad.training.loading import StoredBag
from refinevad.training.loop import Trainer
from refinevad.training.published import CropBag, PublishedFeatures, mean_over_crops
from refinevad.training.recipe import Recipe
from refinevad.training.ucf_crime import left_aside, read_test_videos, read_training_videos
from refinevad.training.windowed import WindowedBag
from refinevad.windows import WHOLE, WindowRule, windows

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
        return Featurized(index, 0, len(index.items), {}, same_in_two_splits(index))
    if recipe.published is not None:
        done = import_features(recipe.published, recipe.data, fallback, recipe.encoder, progress)
        return Featurized(done.index, len(done.index.items), 0, done.failed, done.notes)
    out = recipe.features or fallback
    if recipe.kind == "ucf-captions":
        videos = [*read_training_videos(recipe.data), *(read_test_videos(recipe.data) if test else ())]
        encoder = open_encoder(recipe.encoder)
        if encoder.text is None or encoder.vision is not None:
            raise InputError(f"kind ucf-captions has text alone: set the encoder to captions, not {recipe.encoder}")
        step = progress(len(videos)) if progress else None
        captioned = featurize_ucf_captions(recipe.data, videos, recipe.encoder, encoder.text, out, step)
        return replace(captioned, notes=left_aside(recipe.data, test))
    found = survey(recipe.data)
    step = progress(len(found.items)) if progress else None
    made = featurize(recipe.data, found.items, recipe.encoder, recipe.rule, out, workers, step)
    return replace(made, notes=(*found.notes, *same_in_two_splits(made.index)))


def split_items(recipe: Recipe, index: FeatureIndex, fold: int | None) -> list[Item]:
    """Items with their splits for a fold and a seed. Raises InputError for a fold that is not there."""
    items = index.items
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
    processes: Processes = ALONE,
) -> Checkpoint:
    """Train one model into `folder`, calibrate it on normal validation videos, and save the RUN.

    Several processes call it alike; the first calibrates and saves.

    Raises:
        InputError: the training split lacks normal or anomalous videos, or the folder holds another run.
    """
    check_trainable(items)
    chosen = {split: [item for item in items if item.split == split] for split in ("train", "val")}
    features = {split: index.stored(members) for split, members in chosen.items()}
    categories = categories_of(chosen["train"])
    first = features["train"][0]
    prompts = embed_prompts(recipe, categories, features["train"])
    config = recipe.config(first.values.shape[1], categories, first.provenance.parts, prompts.owner if prompts else ())
    rule = recipe.train.rule
    if rule.bounded and processes.count > 1:
        raise InputError("training under a window rule runs in one process: start it with one")
    bags = {split: make_bags(config, chosen[split], features[split], rule) for split in chosen}
    usable = bags["val"] if {bag.anomalous for bag in bags["val"]} == {True, False} else []
    trainer = Trainer(config, recipe.train, bags["train"], usable, folder, device, prompts, processes)
    trained = trainer.run(report)
    normal = [f for item, f in zip(chosen["val"], features["val"], strict=True) if not item.anomalous]
    if not normal:  # a set without validation normals is calibrated on the training ones, which is optimistic
        normal = [f for item, f in zip(chosen["train"], features["train"], strict=True) if not item.anomalous]
    checkpoint = Checkpoint(
        model=trained.model,
        encoder=index.encoder,
        signature=first.provenance.signature,
        calibration=processes.from_first(
            lambda: calibrate([_curve(trained.model, f, rule) for f in normal], recipe.alerts_per_hour)
        ),
        training={
            "options": asdict(recipe.train),
            "data": str(recipe.data),
            "fold": fold,
            "videos": {split: len(members) for split, members in chosen.items()},
            "epoch": trained.epoch + 1,
            "epochs_run": trained.epochs_run,
        },
    )
    if processes.first:
        checkpoint.save(folder)
        validation = asdict(trained.validation) | {"epoch": trained.epoch + 1}
        write_json(folder / METRICS, {"validation": validation})
    return checkpoint


def make_bags(
    config: RefineVADConfig | ContenderConfig,
    items: Sequence[Item],
    features: Sequence[Features],
    rule: WindowRule = WHOLE,
) -> list[Bag]:
    """Bags for a model: one a crop; tokens where it merges runs. Videos without any token are left out.

    Stored features are read batch by batch; tokens and windows are made here and kept in memory.

    Raises:
        InputError: a label the model does not know, or crops whose runs were to be merged or cut into windows.
    """
    bags: list[Bag] = []
    for item, video in zip(items, features, strict=True):
        if isinstance(video, PublishedFeatures):
            if config.merge_runs or rule.bounded:
                raise InputError(
                    "published features are trained on whole, without merge_runs or a window: leave both out"
                )
            bags += [CropBag(crop, label_vector(item.labels, config.categories)) for crop in video.crops]
            continue
        if isinstance(video, StoredFeatures) and not config.merge_runs and not rule.bounded:
            if video.timeline.segments:
                bags.append(StoredBag(video.path, label_vector(item.labels, config.categories)))
            continue
        values = merge_runs(video.values).values if config.merge_runs else video.values
        labels = label_vector(item.labels, config.categories)
        if len(values) and rule.bounded:
            seen = tuple(windows(video.timeline.time_bounds, rule))
            bags.append(WindowedBag(values, labels, video.values, seen, config.merge_runs))
        elif len(values):
            bags.append(Bag(values, labels))
    return bags


def embed_prompts(recipe: Recipe, categories: Sequence[str], training: Sequence[Features]) -> Prompts | None:
    """The recipe's prompts in the space of the text features they are compared with; None without prompts.

    Raises:
        InputError: prompts without a text branch, of an unknown category, or not for every category and normal life.
    """
    if not recipe.prompts or (recipe.head and recipe.head.get("name") not in HEADS_WITH_TEXT):
        return None
    owners = {**{name: place for place, name in enumerate(categories)}, NORMAL: len(categories)}
    if set(recipe.prompts) != set(owners):
        missing, unknown = sorted(set(owners) - set(recipe.prompts)), sorted(set(recipe.prompts) - set(owners))
        raise InputError(
            f"[prompts] needs one list for each category and for normal: missing {missing}, unknown {unknown}"
        )
    encoder = open_encoder(recipe.encoder)
    if encoder.text is None or encoder.vision is not None:
        raise InputError(f"[prompts] are sentences: they need the encoder captions alone, not {recipe.encoder}")
    pairs = [(owners[name], sentence) for name, sentences in recipe.prompts.items() for sentence in sentences]
    vectors = encoder.text.sentences.encode([sentence for _, sentence in pairs])
    tokens = [merge_runs(video.values).values for video in training]
    center = np.concatenate(tokens).mean(axis=0, dtype=np.float64)
    return Prompts(
        torch.from_numpy(vectors), tuple(owner for owner, _ in pairs), torch.from_numpy(center.astype(np.float32))
    )


def _curve(
    model: RefineVAD | Contender, features: Features, rule: WindowRule
) -> tuple[Float[np.ndarray, "segment"], Timeline]:
    return mean_over_crops(
        features, lambda values: score(model, values, features.timeline.time_bounds, rule)
    ).segments, features.timeline
