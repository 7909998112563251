"""recipe -> RUN folder: features, splits, training, calibration. Knows labels, never when anything happens."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from refinevad.checkpoint import CONFIG, METRICS, Checkpoint, read_json, write_json
from refinevad.contender import HEADS_WITH_TEXT, Contender, ContenderConfig, ridge_config
from refinevad.encoders.choice import open_encoder
from refinevad.errors import InputError
from refinevad.events import calibrate
from refinevad.evidence import Prompts
from refinevad.features import Features, StoredFeatures
from refinevad.model import RefineVAD, RefineVADConfig
from refinevad.peers.choice import LINEAR
from refinevad.scores import score
from refinevad.timeline import Timeline
from refinevad.tokens import merge_runs
from refinevad.training.bags import Bag, label_vector
from refinevad.training.compared import MODEL, Compared, compare_on_labels
from refinevad.training.controls import REFERENCE_VIDEOS, trivial
from refinevad.training.dataset import (
    INDEX,
    NORMAL,
    FeatureIndex,
    Item,
    categories_of,
    check_trainable,
    read_dataset,
    thin_categories,
    with_fold,
    with_validation,
)
from refinevad.training.distributed import ALONE, Processes
from refinevad.training.featurize import Featurized, featurize, featurize_ucf_captions
from refinevad.training.importing import import_features
from refinevad.training.loading import StoredBag
from refinevad.training.loop import Trained, Trainer, TrainOptions, validate
from refinevad.training.published import CropBag, PublishedFeatures, mean_over_crops
from refinevad.training.recipe import Recipe
from refinevad.training.resume import STATE
from refinevad.training.ridge import RIDGE, fit_linear
from refinevad.training.ucf_crime import read_test_videos, read_training_videos
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
        return Featurized(index, 0, len(index.items), {})
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
    chosen = {split: [item for item in items if item.split == split] for split in ("train", "val")}
    features = {split: index.stored(members) for split, members in chosen.items()}
    categories = categories_of(chosen["train"])
    first = features["train"][0]
    prompts = embed_prompts(recipe, categories, features["train"])
    config = recipe.config(first.values.shape[1], categories, first.provenance.parts, prompts.owner if prompts else ())
    rule = recipe.train.rule
    if rule.bounded and processes.count > 1:
        raise InputError("training under a window rule runs in one process: start it with one")
    # a ridge sees single segments, whatever window they will be scored in
    closed = config if isinstance(config, ContenderConfig) and config.head == LINEAR else None
    bags = {split: make_bags(config, chosen[split], features[split], WHOLE if closed else rule) for split in chosen}
    usable = bags["val"] if {bag.anomalous for bag in bags["val"]} == {True, False} else []
    refuse_other_head(folder, config)
    if closed is not None:
        trained = processes.from_first(lambda: _fitted(closed, bags["train"], usable, recipe.train))
    else:
        trainer = Trainer(config, recipe.train, bags["train"], usable, folder, device, prompts, processes)
        trained = trainer.run(report)
    # a set without validation normals is calibrated on the training ones, which is optimistic
    normal = _normal(chosen["val"], features["val"]) or _normal(chosen["train"], features["train"])
    checkpoint = Checkpoint(
        model=trained.model,
        encoder=index.encoder,
        signature=first.provenance.signature,
        calibration=processes.from_first(
            lambda: calibrate([_curve(trained.model, f, rule) for f in normal], recipe.alerts_per_hour)
        ),
        training=_record(recipe, fold, {split: len(members) for split, members in chosen.items()}, trained),
    )
    if processes.first:
        if closed is None and controls:
            checkpoint = replace(checkpoint, ridge=fit_linear(ridge_config(config), bags["train"]))
        checkpoint.save(folder)
        reference = features["train"][:REFERENCE_VIDEOS]
        compared = compare_with_controls(checkpoint, chosen["val"], features["val"], reference) if controls else None
        _write_validation(folder, trained, compared)
    return checkpoint


def _record(recipe: Recipe, fold: int | None, videos: dict[str, int], trained: Trained) -> dict[str, Any]:
    """How it was trained."""
    return {
        "options": asdict(recipe.train),
        "data": str(recipe.data),
        "fold": fold,
        "videos": videos,
        "epoch": trained.epoch + 1,
        "epochs_run": trained.epochs_run,
    }


def _write_validation(folder: Path, trained: Trained, compared: Compared | None) -> None:
    beside = None if compared is None else compared.as_dict()
    figures = {**asdict(trained.validation), "epoch": trained.epoch + 1, "compared": beside}
    write_json(folder / METRICS, {"validation": figures})


def _normal(items: Sequence[Item], features: Sequence[Features]) -> list[Features]:
    return [video for item, video in zip(items, features, strict=True) if not item.anomalous]


def _fitted(
    config: ContenderConfig, training: Sequence[Bag], validation: Sequence[Bag], options: TrainOptions
) -> Trained:
    """The ridge as what training leaves: no epoch."""
    model = fit_linear(config, training)
    return Trained(model, -1, validate(model, validation or training, options, torch.device("cpu")), 0)


def refuse_other_head(folder: Path, config: RefineVADConfig | ContenderConfig) -> None:
    """Keep a fitted run and a trained one from overwriting each other; of its own kind a trained one's state tells.

    Raises:
        InputError: the folder holds the one and the other was asked for.
    """
    stored = (read_json(folder / CONFIG).get("model") or {}).get("head") if (folder / CONFIG).exists() else None
    trained = (folder / STATE).exists() or ((folder / CONFIG).exists() and stored != LINEAR)
    if trained if getattr(config, "head", None) == LINEAR else stored == LINEAR:
        raise InputError(f"{folder} holds a run of another head; choose another --out, or delete it")


def compare_with_controls(
    checkpoint: Checkpoint, items: Sequence[Item], features: Sequence[Features], reference: Sequence[Features]
) -> Compared | None:
    """The model, the ridge and the trivial control on validation videos, by their labels; None where they lack a side.

    All are scored as they are used: whole videos, under the run's window rule.
    """
    if {item.anomalous for item in items} != {True, False}:
        return None
    models = {MODEL: checkpoint.model} | ({} if checkpoint.ridge is None else {RIDGE: checkpoint.ridge})
    scores = {
        name: [_curve(model, video, checkpoint.window)[0] for video in features] for name, model in models.items()
    }
    return compare_on_labels(items, features, {**scores, **trivial(features, reference)})


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
