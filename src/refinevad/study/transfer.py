"""What carries over: to categories that were left out of training, or to another set with the same features."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from refinevad.checkpoint import Checkpoint
from refinevad.datasets.dataset import FeatureIndex, Item, categories_of
from refinevad.errors import InputError
from refinevad.features.store import require_same_signature
from refinevad.judging.predictions import VideoPrediction
from refinevad.judging.protocol import evaluate_predictions
from refinevad.judging.set_truth import read_truth
from refinevad.scoring.scores import score
from refinevad.training.experiment import split_items, train_run
from refinevad.training.recipe import Recipe

FIGURES = ("auc", "ano_auc", "ap", "video_auc")


def unseen(items: Sequence[Item], categories: Sequence[str]) -> list[Item]:
    """All items but the training and validation videos that hold any of the categories.

    Raises:
        InputError: a category that no item has.
    """
    unknown = sorted(set(categories) - set(categories_of(items)))
    if unknown:
        raise InputError(f"unknown category {', '.join(unknown)}; the set has {', '.join(categories_of(items))}")
    return [item for item in items if item.split == "test" or not set(item.labels) & set(categories)]


def asked_of(items: Sequence[Item], categories: Sequence[str]) -> list[Item]:
    """The test videos that are normal or hold any of the categories."""
    return [
        item for item in items if item.split == "test" and (not item.anomalous or set(item.labels) & set(categories))
    ]


def without_prompts_of(recipe: Recipe, categories: Sequence[str]) -> Recipe:
    """The recipe without what was written about the categories."""
    return replace(recipe, prompts={name: kept for name, kept in recipe.prompts.items() if name not in categories})


def figures_on(checkpoint: Checkpoint, index: FeatureIndex, tested: Sequence[Item]) -> Mapping[str, Any]:
    """Figures of a run's anomaly scores on these videos, whatever categories it knows."""
    features = index.load(tested)
    for item, video in zip(tested, features, strict=True):
        require_same_signature(checkpoint.signature, video.provenance, item.path)
    truth = read_truth(Path(index.source), tested, features, categories_of(tested), index.items)
    predictions = {
        item.path: VideoPrediction.of(score(checkpoint.model, video.values).segments)
        for item, video in zip(tested, features, strict=True)
    }
    return evaluate_predictions(predictions, truth, "strict")


def leave_out(
    recipe: Recipe, index: FeatureIndex, categories: Sequence[str], folder: Path
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """(figures of a model that never saw the categories, of one that did), both on them and the normal videos."""
    items = split_items(recipe, index, None)
    tested = asked_of(items, categories)
    blind = train_run(without_prompts_of(recipe, categories), index, unseen(items, categories), folder / "without")
    seeing = train_run(recipe, index, items, folder / "with")
    return figures_on(blind, index, tested), figures_on(seeing, index, tested)


def carry_over(recipe: Recipe, index: FeatureIndex, other: FeatureIndex, folder: Path) -> Mapping[str, Any]:
    """Figures of a model of this set on every video of another with the same encoder and segment rule."""
    trained = train_run(recipe, index, split_items(recipe, index, None), folder)
    tested = [replace(item, split="test") for item in other.items if item.split == "test" or item.fold is not None]
    return figures_on(trained, other, tested)


def transfer_table(rows: Mapping[str, Sequence[Mapping[str, Any]]], mean: Callable[[Sequence[float]], str]) -> str:
    """One row a head and setting, mean and spread over seeds."""
    lines = ["| | seeds | " + " | ".join(FIGURES) + " |", "|---" * (len(FIGURES) + 2) + "|"]
    for name, seeds in rows.items():
        found = [[row[figure] for row in seeds] for figure in FIGURES]
        cells = ["-" if None in values else mean([float(value) for value in values]) for values in found]
        lines.append(f"| {name} | {len(seeds)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
