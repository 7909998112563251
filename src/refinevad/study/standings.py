"""All heads on one set: RefineVAD, published heads, controls, compared seed by seed with the recipe as it stands."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.checkpoint import Checkpoint, write_json
from refinevad.datasets.dataset import FeatureIndex, categories_of
from refinevad.files.finite import is_finite
from refinevad.files.json_files import read_own
from refinevad.judging.folds import by_fold, parts_of
from refinevad.judging.predictions import Predictions, VideoPrediction
from refinevad.judging.protocol import evaluate_predictions
from refinevad.study.ablation import paired
from refinevad.study.over_seeds import mean_spread, run_seed, with_table
from refinevad.study.over_videos import OverVideos, truth_in_folds
from refinevad.study.seed_rows import SeedRow
from refinevad.training.experiment import split_items
from refinevad.training.fitting import make_bags
from refinevad.training.plain_controls import MLP, linear_on_means, mlp_with_mil
from refinevad.training.recipe import Recipe

OURS = "refinevad"
COST, COST_REMEDY = "cost.json", "delete it to leave this seed's time out of the table"
FIGURES = {"auc": "AUC", "ano_auc": "Ano-AUC", "ap": "AP", "map_average": "strict mAP (%)", "video_auc": "video AUC"}
WITHOUT_CATEGORIES = ("sultani", "rtfm", "ur_dmu", "bn_wvad", "transformer_mil")


@dataclass(frozen=True)
class Standing:
    """A head's seeds on one set; `seconds` for the training and evaluation of one, where any was run here."""

    name: str
    rows: Sequence[SeedRow]
    parameters: int
    seconds: float | None
    names_categories: bool


def stand(
    name: str, recipe: Recipe, seeds: Sequence[int], index: FeatureIndex, folder: Path, note: Callable[[str], None]
) -> Standing:
    """Train and evaluate a head's seeds; finished ones are read back."""
    rows, seconds = [], []
    for seed in seeds:
        run = folder / name / f"seed{seed}"
        begun = time.monotonic()
        row, result = run_seed(recipe.with_seed(seed), index, run)
        if result is not None:
            write_json(run / COST, {"seconds": time.monotonic() - begun})
        if (run / COST).exists():
            seconds.append(float(read_own(run / COST, {"seconds": _is_duration}, COST_REMEDY)["seconds"]))
        note(f"{name} seed {seed}: validation {row.validation:.4f}, AUC {row.auc_words}")
        rows.append(row)
    model = Checkpoint.load(run if not recipe.folds else run / "fold0").model
    parameters = sum(parameter.numel() for parameter in model.parameters())
    names = recipe.head.get("name") not in WITHOUT_CATEGORIES or len(model.config.categories) == 1
    return Standing(name, rows, parameters, float(np.median(seconds)) if seconds else None, names)


def _is_duration(value: object) -> bool:
    return is_finite(value) and value >= 0


@dataclass(frozen=True, eq=False)
class Control:
    """Figures of a trained control, one run, and its scores."""

    figures: dict[str, Any]
    scores: Predictions


def plain_controls(recipe: Recipe, index: FeatureIndex) -> dict[str, Control]:
    """The trained controls, on the channels the recipe names, by name."""
    curves: dict[str, list[Float[np.ndarray, _segment]]] = {}
    for fold in range(recipe.folds) if recipe.folds else [None]:
        items = split_items(recipe, index, fold)
        training = [item for item in items if item.split in ("train", "val")]
        tested = [item for item in items if item.split == "test"]
        given, asked = index.load(training), index.load(tested)
        config = recipe.config(given[0].values.shape[1], categories_of(training), given[0].provenance.parts)
        train, test = ([video.values[:, config.selected] for video in videos] for videos in (given, asked))
        if not recipe.model.get("merge_runs", False):  # parts of an encoder differ in scale, sentences do not
            train, test = standardised(train, test)
        found = linear_on_means(train, [item.anomalous for item in training], test)
        bags = make_bags(config, training, given)
        limit = recipe.train.limit
        chosen = [type(bag)(bag.values[:, config.selected], bag.labels) for bag in bags]
        mlp = mlp_with_mil(chosen, [video.values[:, config.selected] for video in asked], limit)
        for name, scores in {**found, MLP: mlp}.items():
            curves.setdefault(name, []).extend(scores)
    truth, folds = truth_in_folds(recipe, index)
    parts = parts_of(truth, folds)
    controls: dict[str, Control] = {}
    for name, scores in curves.items():
        said = {v.name: VideoPrediction.of(s) for v, s in zip(truth.videos, scores, strict=True)}
        figures = by_fold(said, parts, lambda of, part: evaluate_predictions(of, part, "strict"))
        controls[name] = Control(figures, said)
    return controls


def standardised(
    training: Sequence[Float[np.ndarray, "_segment channel"]], tested: Sequence[Float[np.ndarray, "_segment channel"]]
) -> tuple[list[Float[np.ndarray, "_segment channel"]], list[Float[np.ndarray, "_segment channel"]]]:
    """Channels to mean 0 and spread 1 over the training segments, clipped to +-4."""
    whole = np.concatenate(training)
    mean, scale = whole.mean(0), np.maximum(whole.std(0), 1e-4)
    first, second = ([np.clip((v - mean) / scale, -4, 4) for v in videos] for videos in (training, tested))
    return first, second


def standings_table(
    standings: Sequence[Standing], controls: Mapping[str, Mapping[str, Any]], over: OverVideos | None = None
) -> str:
    """One row a head, mean and deviation over seeds; in brackets the paired difference to RefineVAD with half its 95 %
    interval, and in how many seeds the head is ahead of it. Controls below, one run each. With `over`, which has the
    controls' scores, a figure's interval over videos stands behind it, and differences over videos in a table below."""
    lines = [
        "| head | parameters | s a seed | seeds | validation | " + " | ".join(FIGURES.values()) + " |",
        "|---" * (len(FIGURES) + 5) + "|",
    ]
    ours = next((standing.rows for standing in standings if standing.name == OURS), [])
    for standing in standings:
        if over is not None:
            over.add(standing.name, standing.rows)
        validation = float(np.mean([row.validation for row in standing.rows]))
        seconds = "-" if standing.seconds is None else f"{standing.seconds:.0f}"
        cells = []
        for name in FIGURES:
            bounds = over.bounds(standing.name, name) if over else ""
            named = name != "map_average" or standing.names_categories
            cells.append(_cell(standing, ours, name, bounds) if named else "-")
        lines.append(
            f"| {standing.name} | {standing.parameters:,} | {seconds} | {len(standing.rows)} | {validation:.4f} | "
            + " | ".join(cells)
            + " |"
        )
    for name, metrics in controls.items():
        values = [(metrics.get(figure), over.bounds(name, figure) if over else "") for figure in FIGURES]
        shown = ["-" if value is None else _number(float(value)) + bounds for value, bounds in values]
        lines.append(f"| {name} | - | - | - | - | " + " | ".join(shown) + " |")
    return "\n".join(lines) + with_table(over, OURS)


def _cell(standing: Standing, ours: Sequence[SeedRow], figure: str, bounds: str) -> str:
    pair = mean_spread(standing.rows, figure)
    if pair is None:
        return "-"
    digits = 4 if abs(pair[0]) < 2 else 1
    text = f"{pair[0]:.{digits}f} ± {pair[1]:.{digits}f}{bounds}"
    difference = None if standing.name == OURS else paired(standing.rows, ours, figure)
    if difference is None:
        return text
    ahead, common = wins(standing.rows, ours, figure)
    return f"{text} ({difference[0]:+.{digits}f} ± {difference[1]:.{digits}f}; {ahead} of {common})"


def wins(head: Sequence[SeedRow], ours: Sequence[SeedRow], figure: str) -> tuple[int, int]:
    """(seeds in which the head is ahead, seeds both have). With 5 of 5 the two-sided sign test gives p = 0.0625."""
    other = {row.seed: row.metrics.get(figure) for row in ours}
    pairs = [(row.metrics.get(figure), other.get(row.seed)) for row in head]
    gaps = [a - b for a, b in pairs if a is not None and b is not None]
    return sum(gap > 0 for gap in gaps), len(gaps)


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 2 else f"{value:.1f}"
