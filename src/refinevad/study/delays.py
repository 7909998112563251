"""What waiting is worth: frame AUC of one run under window rules of different delays, on the same test videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refinevad.checkpoint import Checkpoint
from refinevad.datasets.dataset import FeatureIndex, Item, categories_of
from refinevad.errors import InputError
from refinevad.features.store import Features, require_same_signature
from refinevad.files.finite import is_finite
from refinevad.files.json_files import read_own
from refinevad.files.shown import short
from refinevad.judging.predictions import VideoPrediction
from refinevad.judging.protocol import evaluate_predictions
from refinevad.judging.set_truth import read_truth
from refinevad.judging.truth import Truth
from refinevad.scoring.scores import score_timeline
from refinevad.scoring.windows import WindowRule


@dataclass(frozen=True)
class Held:
    """Test videos with their temporal truth, read once for every run and rule."""

    index: FeatureIndex
    items: Sequence[Item]
    features: Sequence[Features]
    truth: Truth

    @classmethod
    def read(cls, index: FeatureIndex, items: Sequence[Item]) -> "Held":
        """Raises InputError where there are no test videos or no temporal truth."""
        tested = [item for item in items if item.split == "test"]
        if not tested:
            raise InputError(f"the data set {index.source} has no test videos; put some under test/<category>/")
        features = index.load(tested)
        categories = categories_of([item for item in items if item.split == "train"])
        truth = read_truth(Path(index.source), tested, features, categories, index.items)
        return cls(index, tested, features, truth)


def figures_under(checkpoint: Checkpoint, held: Held, rule: WindowRule) -> dict[str, Any]:
    """The fixed figures of a run under a rule. Raises InputError for features that are not the run's."""
    predictions = {}
    for item, video in zip(held.items, held.features, strict=True):
        require_same_signature(checkpoint.signature, video.provenance, item.path)
        scored = score_timeline(checkpoint.model, video.values, video.timeline, rule)
        probabilities = np.concatenate([1 - scored.segments[:, None], scored.categories], axis=1)
        predictions[item.path] = VideoPrediction(scored.segments, probabilities)
    return evaluate_predictions(predictions, held.truth, "strict")


def read_delays(path: Path, names: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """The figures of a run by rule, as they were kept, each with those of these names.

    Raises:
        InputError: the file is damaged.
    """
    remedy = "delete it to have them computed again"
    content = read_own(path, {}, remedy)
    known: dict[str, dict[str, float | None]] = {}
    for rule, figures in content.items():
        numbers = {name: figures.get(name, "missing") for name in names} if isinstance(figures, dict) else {"": figures}
        if "" in numbers or any(number is not None and not is_finite(number) for number in numbers.values()):
            raise InputError(f"{path} is damaged or of another version ({rule[:60]} is {short(figures)}); {remedy}")
        known[rule] = {name: None if number is None else float(number) for name, number in numbers.items()}
    return known


def delay_table(rows: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], figures: Sequence[str]) -> str:
    """One row a model and figure, one column a delay: mean over seeds, and their deviation where there are several."""
    columns = list(next(iter(rows.values())))
    lines = ["| model | figure | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for name, by_delay in rows.items():
        for figure in figures:
            cells = [_cell([seed.get(figure) for seed in seeds]) for seeds in by_delay.values()]
            lines.append(f"| {name} | {figure} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return "-"
    if len(known) == 1:
        return f"{known[0]:.4f}"
    return f"{np.mean(known):.4f} ± {float(np.std(known, ddof=1)):.4f}"
