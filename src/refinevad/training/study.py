"""One recipe over several seeds: train, evaluate, keep each seed's figures, and say mean and spread."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refinevad.checkpoint import Checkpoint, read_json, write_json
from refinevad.training.dataset import FeatureIndex, Item
from refinevad.training.evaluation import Result, evaluate_folds
from refinevad.training.experiment import split_items, train_run
from refinevad.training.loop import TrainOptions
from refinevad.training.recipe import Recipe

FIGURES = (
    "auc",
    "ap",
    "ano_auc",
    "video_auc",
    "map_average",
    "event_f1",
    "alerts_per_hour_at_80_recall",
)
# what the field reports: mAP in percent by both protocols
BENCHMARK_FIGURES = (
    "auc",
    "ap",
    "ano_auc",
    "video_auc",
    "map/0.1",
    "map_average",
    "map_legacy/0.1",
    "map_legacy_average",
)


@dataclass(frozen=True)
class SeedRow:
    """Figures of one seed; `validation` is the mean over folds of the chosen epoch's video AUC."""

    seed: int
    validation: float
    metrics: dict[str, Any]
    controls: dict[str, dict[str, Any]]


def run_seed(
    recipe: Recipe, index: FeatureIndex, folder: Path, note: Callable[[str], None] = lambda _: None
) -> tuple[SeedRow, Result | None]:
    """Train and evaluate one seed in `folder`; finished seeds are read back, the result is then None."""
    stored = folder / "row.json"
    seed = recipe.train.seed
    if stored.exists():
        kept = read_json(stored)
        # options that came after the row was written are at their defaults, which change nothing
        kept["recipe"] = {"head": {}, "published": None, **kept["recipe"]}
        kept["recipe"]["train"] = {**vars(TrainOptions()), **kept["recipe"]["train"]}
        if kept["recipe"] == _identity(recipe):
            return SeedRow(seed, kept["validation"], kept["metrics"], kept["controls"]), None
    parts: list[tuple[Checkpoint, Sequence[Item]]] = []
    validations = []
    for fold in range(recipe.folds) if recipe.folds else [None]:
        items = split_items(recipe, index, fold)
        run_folder = folder if fold is None else folder / f"fold{fold}"
        checkpoint = train_run(recipe, index, items, run_folder, fold=fold)
        validations.append(read_json(run_folder / "metrics.json")["validation"]["video_auc"] or float("nan"))
        parts.append((checkpoint, items))
        note(f"seed {seed}{'' if fold is None else f' fold {fold}'}: validation video AUC {validations[-1]:.4f}")
    result = evaluate_folds(parts, index, Path(index.source))
    row = SeedRow(seed, float(np.mean(validations)), result.metrics, result.controls)
    kept = {"validation": row.validation, "metrics": row.metrics, "controls": row.controls, "recipe": _identity(recipe)}
    write_json(stored, kept)
    return row, result


def _identity(recipe: Recipe) -> dict[str, Any]:
    """What a stored row must share with the recipe to be reused."""
    plain = {
        "model": recipe.model,
        "head": recipe.head,
        "published": None if recipe.published is None else {k: str(v) for k, v in vars(recipe.published).items()},
        "prompts": recipe.prompts,
        "train": vars(recipe.train),
        "encoder": recipe.encoder,
        "folds": recipe.folds,
    }
    return dict(json.loads(json.dumps(plain)))


def figure(metrics: Mapping[str, Any], name: str) -> Any:
    """A figure by name; `map/0.1` is the one called 0.1 inside `map`. None where there is none."""
    outer, _, inner = name.partition("/")
    value = metrics.get(outer)
    return value.get(inner) if inner and isinstance(value, Mapping) else None if inner else value


def mean_spread(rows: Sequence[SeedRow], name: str) -> tuple[float, float] | None:
    """Mean and sample standard deviation over seeds (0 for a single one); None where any seed lacks the figure."""
    values = [float(value) for row in rows if (value := figure(row.metrics, name)) is not None]
    if len(values) < len(rows):
        return None
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def markdown_table(rows: Sequence[SeedRow], figures: Sequence[str] = FIGURES) -> str:
    """The recipe's figures beside the controls' (of the first seed), one column a figure."""
    lines = ["| | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    cells = []
    for name in figures:
        pair = mean_spread(rows, name)
        cells.append("-" if pair is None else _with_spread(*pair))
    lines.append(f"| RefineVAD ({len(rows)} seeds) | " + " | ".join(cells) + " |")
    for control, metrics in rows[0].controls.items():
        values = [figure(metrics, name) for name in figures]
        lines.append(f"| {control} | " + " | ".join("-" if v is None else _digits(v) for v in values) + " |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Mean and sample deviation (0 for a single value), in words."""
    return _with_spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)


def _with_spread(mean: float, deviation: float) -> str:
    """Mean and deviation with as many decimals as the mean deserves."""
    decimals = 4 if abs(mean) < 2 else 1
    return f"{mean:.{decimals}f} ± {deviation:.{decimals}f}"


def _digits(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 2 else f"{value:.1f}"
