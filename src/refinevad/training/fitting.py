"""A plan -> a trained model, and what its validation and its threshold rest on: one held-out split, or every video.

Knows labels, never when anything happens.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from refinevad.datasets.bag import Bag, label_vector
from refinevad.datasets.dataset import (
    NORMAL,
    FeatureIndex,
    Item,
)
from refinevad.datasets.published import CropBag, PublishedFeatures, mean_over_crops
from refinevad.encoders.choice import open_encoder
from refinevad.errors import InputError
from refinevad.evidence import Prompts
from refinevad.features.store import Features, StoredFeatures
from refinevad.judging.compared import MODEL, Compared, compare_on_labels
from refinevad.judging.controls import REFERENCE_VIDEOS, trivial
from refinevad.model_choice import HEADS_WITH_TEXT, ridge_config
from refinevad.ridge import RIDGE
from refinevad.scoring.one_scale import on_scale_of
from refinevad.scoring.scores import score_timeline
from refinevad.scoring.tokens import merge_runs
from refinevad.scoring.windows import WHOLE, WindowRule, windows_between_holes
from refinevad.segment_model import ModelConfig, SegmentModel
from refinevad.timeline import Timeline
from refinevad.training.cross_fit import validation_of, without
from refinevad.training.distributed import Processes
from refinevad.training.loading import StoredBag
from refinevad.training.loop import Trained, Trainer, validate
from refinevad.training.recipe import Recipe
from refinevad.training.ridge import fit_linear
from refinevad.training.train_options import TrainOptions
from refinevad.training.windowed import WindowedBag

EpochReport = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Plan:
    """What the models of one run share: `first` is any of its features, for their width and provenance."""

    recipe: Recipe
    index: FeatureIndex
    folder: Path
    first: Features
    categories: tuple[str, ...]
    device: torch.device | None
    processes: Processes
    report: EpochReport | None

    @property
    def rule(self) -> WindowRule:
        return self.recipe.train.rule


@dataclass(frozen=True)
class Fitted:
    """A trained model, and what its validation and its threshold rest on.

    Attributes:
        normal: curves of normal videos, with their times, from models that did not see them where there were any.
        videos: how many of each split trained and validated.
    """

    trained: Trained
    ridge: SegmentModel | None
    normal: list[tuple[Float[np.ndarray, "_segment"], Timeline]]
    compared: Compared | None
    videos: dict[str, int]


def held_out(plan: Plan, items: Sequence[Item], controls: bool) -> Fitted:
    """Train on the training split, validate and calibrate on the validation split."""
    chosen = {split: [item for item in items if item.split == split] for split in ("train", "val")}
    features = {split: plan.index.stored(members) for split, members in chosen.items()}
    trained, ridge = _fit(plan, plan.folder, chosen, features, controls, plan.report)
    # a set without validation normals is calibrated on the training ones, which is optimistic
    normal = _normal(chosen["val"], features["val"]) or _normal(chosen["train"], features["train"])
    curves = [_curve(trained.model, video, plan.rule) for video in normal] if plan.processes.first else []
    models = {MODEL: trained.model} | ({} if ridge is None else {RIDGE: ridge})
    compared = None
    if controls and plan.processes.first and {item.anomalous for item in chosen["val"]} == {True, False}:
        scores = {name: [_curve(m, video, plan.rule)[0] for video in features["val"]] for name, m in models.items()}
        beside = trivial(features["val"], features["train"][:REFERENCE_VIDEOS])
        compared = compare_on_labels(chosen["val"], features["val"], {**scores, **beside})
    return Fitted(trained, ridge, curves, compared, {split: len(members) for split, members in chosen.items()})


def cross_fitted(plan: Plan, items: Sequence[Item], folds: Sequence[Sequence[Item]], controls: bool) -> Fitted:
    """Train on all items; validate and calibrate each by a model that never saw it (cross_fit.py).

    The run's own model is the one that `cross_fit = 1` trains: the folds change what is known of it alone.
    """
    curves: dict[str, dict[str, tuple[SegmentModel, Float[np.ndarray, _segment]]]] = {}
    for number, fold in enumerate(folds):
        dealt = without(items, fold)
        chosen = {"train": [item for item in dealt if item.split == "train"], "val": []}
        features = {"train": plan.index.stored(chosen["train"]), "val": []}
        report = _later(plan.report, number, len(folds))
        trained, ridge = _fit(plan, plan.folder / f"held{number}", chosen, features, controls, report)
        models = {MODEL: trained.model} | ({} if ridge is None else {RIDGE: ridge})
        for item, video in zip(fold, plan.index.stored(fold), strict=True):
            for name, model in models.items():
                curves.setdefault(name, {})[item.path] = model, _curve(model, video, plan.rule)[0]
    chosen = {"train": [replace(item, split="train") for item in items], "val": []}
    features = {"train": plan.index.stored(items), "val": []}
    trained, ridge = _fit(plan, plan.folder, chosen, features, controls, _later(plan.report, len(folds), len(folds)))
    # the run's own model scores on another scale than each of those; a threshold is to mean the same of it
    own = {MODEL: trained.model} | ({} if ridge is None else {RIDGE: ridge})
    ordered = {name: [on_scale_of(own[name], *of[item.path]) for item in items] for name, of in curves.items()}
    anomalous = [item.anomalous for item in items]
    trained = replace(trained, validation=validation_of(ordered[MODEL], anomalous))
    beside = trivial(features["train"], features["train"][:REFERENCE_VIDEOS])
    compared = compare_on_labels(items, features["train"], {**ordered, **beside}) if controls else None
    normal = [
        (curve, video.timeline)
        for item, video, curve in zip(items, features["train"], ordered[MODEL], strict=True)
        if not item.anomalous
    ]
    return Fitted(trained, ridge, normal, compared, {"train": len(items), "val": len(items)})


def _later(report: EpochReport | None, number: int, folds: int) -> EpochReport | None:
    """The report of the training with this number, of one more than there are folds.

    Its epochs count on over all of them; `held` is 1 among the figures of a model that only validates.
    """
    if report is None:
        return None

    def later(epoch: int, figures: dict[str, float]) -> None:
        whole = {"epochs": (folds + 1) * figures["epochs"], "held": float(number < folds)}
        report(number * int(figures["epochs"]) + epoch, figures | whole)

    return later


def _fit(
    plan: Plan,
    folder: Path,
    chosen: Mapping[str, Sequence[Item]],
    features: Mapping[str, Sequence[Features]],
    controls: bool,
    report: EpochReport | None,
) -> tuple[Trained, SegmentModel | None]:
    """A model trained on `train`, its epoch chosen on `val`, and the ridge control on the same videos."""
    recipe, rule, processes = plan.recipe, plan.rule, plan.processes
    prompts = embed_prompts(recipe, plan.categories, features["train"])
    channels, parts = plan.first.values.shape[1], plan.first.provenance.parts
    config = recipe.config(channels, plan.categories, parts, prompts.owner if prompts else ())
    if rule.bounded and processes.count > 1:
        raise InputError("training under a window rule runs in one process: start it with one")
    # a ridge sees single segments, whatever window they will be scored in
    closed = config if config.fitted else None
    bags = {split: make_bags(config, chosen[split], features[split], WHOLE if closed else rule) for split in chosen}
    usable = bags["val"] if {bag.anomalous for bag in bags["val"]} == {True, False} else []
    if closed is not None:
        return processes.from_first(lambda: _fitted(closed, bags["train"], usable, recipe.train)), None
    trainer = Trainer(config, recipe.train, bags["train"], usable, folder, plan.device, prompts, processes)
    trained = trainer.run(report)
    return trained, fit_linear(ridge_config(config), bags["train"]) if controls and processes.first else None


def _normal(items: Sequence[Item], features: Sequence[Features]) -> list[Features]:
    return [video for item, video in zip(items, features, strict=True) if not item.anomalous]


def _fitted(config: ModelConfig, training: Sequence[Bag], validation: Sequence[Bag], options: TrainOptions) -> Trained:
    """The ridge as what training leaves: no epoch."""
    model = fit_linear(config, training)
    return Trained(model, -1, validate(model, validation or training, options, torch.device("cpu")), 0)


def make_bags(
    config: ModelConfig,
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
            seen = tuple(windows_between_holes(video.timeline, rule))
            bags.append(WindowedBag(values, labels, video.values, seen, config.merge_runs))
        elif len(values):
            bags.append(Bag(values, labels))
    return bags


def embed_prompts(recipe: Recipe, categories: Sequence[str], training: Sequence[Features]) -> Prompts | None:
    """The recipe's prompts in the space of the text features they are compared with; None without prompts.

    Raises:
        InputError: prompts without an encoder that reads, of an unknown category, or not for every category and normal.
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
    pairs = [(owners[name], sentence) for name, sentences in recipe.prompts.items() for sentence in sentences]
    words = encoder.words([sentence for _, sentence in pairs])
    tokens = [merge_runs(video.values).values for video in training]
    center = np.concatenate(tokens).mean(axis=0, dtype=np.float64)
    # where all sentences lie apart from all pictures, their middle is put upon the pictures'
    vectors = words.vectors if words.same_space else words.vectors - words.vectors.mean(axis=0) + center
    return Prompts(
        torch.from_numpy(vectors.astype(np.float32)),
        tuple(owner for owner, _ in pairs),
        torch.from_numpy(center.astype(np.float32)),
    )


def _curve(model: SegmentModel, features: Features, rule: WindowRule) -> tuple[Float[np.ndarray, "segment"], Timeline]:
    return mean_over_crops(
        features, lambda values: score_timeline(model, values, features.timeline, rule)
    ).segments, features.timeline
