"""The same small search for every head: what validates best by video labels. Temporal truth is never opened.

A head is trained at each of TRAININGS; each trained model is read in each of `readings`, which cost no training. Both
are the same for all heads of a set, so that each has the same budget.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from refinevad.checkpoint import Checkpoint, write_json
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.features.store import Features
from refinevad.files.finite import is_finite
from refinevad.files.json_files import Check, read_own
from refinevad.files.whole import atomic_write
from refinevad.judging.metrics import Runs, roc_auc
from refinevad.scoring.scores import Scores, score
from refinevad.study.ablation import Variant
from refinevad.training.experiment import split_items, train_run
from refinevad.training.recipe import Recipe
from refinevad.training.validation import Validation

TRAININGS = tuple(product((3e-4, 1e-3, 3e-3), (0.01, 1.0)))  # learning rate, weight decay; epochs as in the recipe
FOLDS = 2  # of a cross-validation's folds, those that a search looks at
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Candidate:
    """Options that were tried, and how they validated (mean over folds)."""

    train: Mapping[str, Any]
    model: Mapping[str, Any]
    validation: Validation

    def of(self, variant: Variant) -> Variant:
        """The variant with these options laid over it."""
        return replace(variant, train={**variant.train, **self.train}, model={**variant.model, **self.model})


def readings(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """Ways to turn a trained model's logits into scores: the recipe's own, then its neighbours."""
    weight = recipe.model.get("video_weight", 0.0)
    merged = recipe.model.get("merge_runs", False)
    own = recipe.model.get("empty", "zero") if merged else recipe.model.get("smoothing", 0)
    other = ("mean" if own == "zero" else "zero") if merged else 0
    for video_weight, value in product((weight, 1.0), (own, other)):
        yield {"video_weight": video_weight, "empty" if merged else "smoothing": value}


def search(
    recipe: Recipe, variant: Variant, index: FeatureIndex, folder: Path, note: Callable[[str], None] = lambda _: None
) -> list[Candidate]:
    """All candidates of a variant of a recipe, the best first; a finished search is read back from `folder`.

    Best: the largest video-level AUC on validation videos, of the scores as they would be used; ties by cross-entropy.
    """
    stored = folder / "search.json"
    asked = json.loads(json.dumps({"trainings": TRAININGS, "variant": asdict(variant), "recipe": recipe.model}))
    if stored.exists():
        ways = [*readings(recipe)]
        checks: dict[str, Check] = {"asked": bool, "candidates": lambda value: _are_candidates(value, ways)}
        kept = read_own(stored, checks, "delete it to search again")
        if kept["asked"] == asked:
            return [_candidate(content, ways) for content in kept["candidates"]]
    found: list[Candidate] = []
    for number, train in enumerate(_trained()):
        tried = Candidate(train, {}, Validation(0.0, 0.0)).of(variant).of(recipe)
        for model, validation in _validate(tried, index, folder / f"training{number}"):
            found.append(Candidate(train, model, validation))
            note(f"{variant.name} {train} {model}: AUC {validation.video_auc:.4f}, loss {validation.loss:.4f}")
    ranked = best_first(found)
    write_json(stored, {"asked": asked, "candidates": [asdict(candidate) for candidate in ranked]})
    return ranked


def _are_candidates(stored: object, ways: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a value out of a file is what a search of these readings writes there, one candidate at least."""
    return isinstance(stored, list) and bool(stored) and all(_is_candidate(content, ways) for content in stored)


def _is_candidate(stored: object, ways: Sequence[Mapping[str, Any]]) -> bool:
    if not isinstance(stored, dict) or not isinstance(stored.get("validation"), dict):
        return False
    figures = stored["validation"]
    return (
        stored.get("train") in _trained()
        and stored.get("model") in ways
        and figures.keys() == {"video_auc", "loss"}
        and all(number is None or is_finite(number) for number in figures.values())
    )


def _candidate(stored: Mapping[str, Any], ways: Sequence[Mapping[str, Any]]) -> Candidate:
    """Back from a file, where a NaN is null and a 1 may stand as true."""
    figures = {name: float("nan") if value is None else float(value) for name, value in stored["validation"].items()}
    train = next(options for options in _trained() if options == stored["train"])
    return Candidate(train, next(way for way in ways if way == stored["model"]), Validation(**figures))


def _trained() -> list[dict[str, float]]:
    return [{"learning_rate": rate, "weight_decay": decay} for rate, decay in TRAININGS]


def best_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    """By validation AUC to six decimals, then by loss; among equals the earlier one."""
    return sorted(candidates, key=lambda c: (-round(c.validation.video_auc, 6), c.validation.loss))


def _validate(recipe: Recipe, index: FeatureIndex, folder: Path) -> list[tuple[dict[str, Any], Validation]]:
    """Train once a fold; validate in every reading."""
    folds: list[list[Validation]] = []
    ways = list(readings(recipe))
    for fold in range(min(FOLDS, recipe.folds)) if recipe.folds else [None]:
        items = split_items(recipe, index, fold)
        checkpoint = train_run(
            recipe, index, items, folder if fold is None else folder / f"fold{fold}", fold=fold, controls=False
        )
        held = [item for item in items if item.split == "val"]
        features = index.load(held)
        folds.append([validation_of(read_as(checkpoint, way), held, features) for way in ways])
    means = [
        Validation(float(np.mean([v.video_auc for v in of_way])), float(np.mean([v.loss for v in of_way])))
        for of_way in zip(*folds, strict=True)
    ]
    return list(zip(ways, means, strict=True))


def read_as(checkpoint: Checkpoint, model: Mapping[str, Any]) -> Checkpoint:
    """The same weights with other options, which the weights do not depend on."""
    config: Any = checkpoint.model.config
    checkpoint.model.config = replace(config, **model)
    return checkpoint


def validation_of(checkpoint: Checkpoint, items: Sequence[Item], features: Sequence[Features]) -> Validation:
    """How the videos' scores, as they would be used, tell anomalous videos from normal ones."""
    scores: list[Scores] = [score(checkpoint.model, video.values) for video in features]
    probability = np.array([scored.video for scored in scores])
    anomalous = np.array([item.anomalous for item in items])
    likely = np.clip(np.where(anomalous, probability, 1 - probability), _LEAST_PROBABILITY, 1.0)
    return Validation(roc_auc(Runs.from_frames(probability, anomalous)), float(-np.log(likely).mean()))


def write_variant(path: Path, variant: Variant, header: Sequence[str]) -> None:
    """A variant file that `read_variant` reads back, under comment lines."""
    lines = [f"# {line}".rstrip() for line in header]
    if not variant.prompts:
        lines += ["prompts = false"]
    for table in ("head", "model", "train"):
        values: Mapping[str, Any] = getattr(variant, table)
        if values:
            lines += ["", f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    with atomic_write(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
