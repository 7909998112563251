"""One recipe over several seeds: train, evaluate, keep each seed's figures, and say mean and spread."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refinevad.checkpoint import Checkpoint, read_json
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.judging.evaluation import Result, evaluate_folds
from refinevad.judging.intervals import figure_of as figure
from refinevad.study.over_videos import OverVideos
from refinevad.study.seed_rows import SeedRow, read_row, store_row
from refinevad.training.experiment import split_items, train_run
from refinevad.training.recipe import Recipe
from refinevad.training.train_options import TrainOptions

FIGURES = (
    "auc",
    "ap",
    "ano_auc",
    "within_auc",
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
    "within_auc",
    "video_auc",
    "map/0.1",
    "map_average",
    "map_legacy/0.1",
    "map_legacy_average",
)


def run_seed(
    recipe: Recipe, index: FeatureIndex, folder: Path, note: Callable[[str], None] = lambda _: None
) -> tuple[SeedRow, Result | None]:
    """Train and evaluate one seed in `folder`; finished seeds are read back, the result is then None."""
    seed = recipe.train.seed
    stored = read_row(folder, seed)
    if stored is not None:
        row, kept = stored
        # options that came after the row was written are at their defaults, which change nothing
        kept = {"head": {}, "published": None, **kept}
        kept["train"] = {**vars(TrainOptions()), **kept.get("train", {})}
        if kept == _identity(recipe):
            return row, None
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
    scores = {video.item.path: video.scores.segments for video in result.videos}
    mean = float(np.mean(validations))
    row = SeedRow(seed, mean, result.metrics, result.controls, scores, result.control_scores)
    store_row(folder, row, _identity(recipe))
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


def mean_spread(rows: Sequence[SeedRow], name: str) -> tuple[float, float] | None:
    """Mean and sample standard deviation over seeds (0 for a single one); None where any seed lacks the figure."""
    values = [float(value) for row in rows if (value := figure(row.metrics, name)) is not None]
    if len(values) < len(rows):
        return None
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def markdown_table(rows: Sequence[SeedRow], figures: Sequence[str] = FIGURES, over: OverVideos | None = None) -> str:
    """The recipe's figures beside the controls' (of the first seed), one column a figure.

    With `over`, intervals over videos stand in brackets, and a table of differences to the recipe below.
    """
    ours = f"RefineVAD ({len(rows)} seeds)"
    if over is not None:
        over.add(ours, rows)
        over.add_controls(rows)
    lines = ["| | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    cells = []
    for name in figures:
        pair = mean_spread(rows, name)
        bounds = "" if over is None else over.bounds(ours, name)
        cells.append("-" if pair is None else _with_spread(*pair) + bounds)
    lines.append(f"| {ours} | " + " | ".join(cells) + " |")
    for control, metrics in rows[0].controls.items():
        values = [(figure(metrics, name), "" if over is None else over.bounds(control, name)) for name in figures]
        lines.append(
            f"| {control} | " + " | ".join("-" if v is None else _digits(float(v)) + b for v, b in values) + " |"
        )
    return "\n".join(lines) + with_table(over, ours)


def with_table(over: OverVideos | None, whole: str) -> str:
    """The table over videos as it stands below another; nothing where there is none."""
    told = "" if over is None else over.table(whole)
    return f"\n\n{told}" if told else ""


def spread(values: Sequence[float]) -> str:
    """Mean and sample deviation (0 for a single value), in words."""
    return _with_spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)


def _with_spread(mean: float, deviation: float) -> str:
    """Mean and deviation with as many decimals as the mean deserves."""
    decimals = 4 if abs(mean) < 2 else 1
    return f"{mean:.{decimals}f} ± {deviation:.{decimals}f}"


def _digits(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 2 else f"{value:.1f}"
