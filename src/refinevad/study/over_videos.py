"""Rows of a table compared over test videos: each row's scores averaged over its seeds, on the same resamples.

Seeds say how much training again changes a figure, videos how much another test set of the kind would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from refinevad.datasets.dataset import FeatureIndex, categories_of
from refinevad.datasets.sources import Groups, read_groups
from refinevad.judging.predictions import Predictions, VideoPrediction
from refinevad.judging.resampling import Bootstrap, Sampled, interval, paired
from refinevad.judging.set_truth import read_truth
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.study.seed_rows import SeedRow, VideoScores
from refinevad.training.experiment import split_items
from refinevad.training.recipe import Recipe

FIGURES = {"auc": "AUC", "within_auc": "within videos", "ap": "AP", "ano_auc": "Ano-AUC"}
RARE = {
    "video_auc": "video AUC",
    "recall_at_fpr/0.01": "recall at 1 %",
    "recall_at_fpr/0.05": "recall at 5 %",
    "map_average": "mAP (%)",
}
_IN_PER_CENT = ("map_average",)


def truth_in_folds(recipe: Recipe, index: FeatureIndex) -> tuple[Truth, list[list[str]] | None]:
    """Temporal truth of a recipe's test videos, and which of them each fold tests; None without folds.

    Raises:
        InputError: there is no truth of them.
    """
    truths: list[VideoTruth] = []
    columns: tuple[str, ...] = ()
    folds = []
    for fold in range(recipe.folds) if recipe.folds else [None]:
        items = split_items(recipe, index, fold)
        categories = categories_of([item for item in items if item.split in ("train", "val")])
        tested = [item for item in items if item.split == "test"]
        truth = read_truth(Path(index.source), tested, index.stored(tested), categories, index.items)
        columns, truths = truth.columns, [*truths, *truth.videos]
        folds.append([video.name for video in truth.videos])
    return Truth(columns, tuple(truths)), folds if recipe.folds else None


def averaged(rows: Sequence[SeedRow]) -> Predictions | None:
    """Scores averaged over seeds; None where a seed's were not kept, or are of other videos or lengths."""
    first = rows[0].scores if rows else {}
    if not first or any(_shapes(row.scores) != _shapes(first) for row in rows):
        return None
    return {
        name: VideoPrediction.of(np.asarray(np.mean([row.scores[name] for row in rows], axis=0, dtype=np.float64)))
        for name in first
    }


def _shapes(scores: VideoScores) -> dict[str, int]:
    return {name: len(values) for name, values in scores.items()}


@dataclass(frozen=True, eq=False)
class OverVideos:
    """Resampled figures of a table's rows, by the row's name; a row without scores has none."""

    bootstrap: Bootstrap
    groups: Groups = field(default_factory=Groups)
    rows: dict[str, Mapping[str, Sampled]] = field(default_factory=dict)

    @classmethod
    def of(cls, recipe: Recipe, index: FeatureIndex) -> "OverVideos":
        """For the test videos of a recipe, each fold judged alone. Raises InputError where they have no truth."""
        truth, folds = truth_in_folds(recipe, index)
        groups = read_groups(Path(index.source), [video.name for video in truth.videos])
        return cls(Bootstrap.of(truth, groups.of, folds=folds), groups)

    def add(self, name: str, rows: Sequence[SeedRow]) -> None:
        """Take in a row of several seeds."""
        self.add_scores(name, averaged(rows))

    def add_scores(self, name: str, predictions: Predictions | None) -> None:
        """Take in a row by its scores; nothing where there are none."""
        if predictions:
            self.rows[name] = self.bootstrap.figures(predictions)

    def add_controls(self, rows: Sequence[SeedRow]) -> None:
        """Take in the controls of the first seed."""
        for name, videos in (rows[0].control_scores if rows else {}).items():
            self.add_scores(name, {video: VideoPrediction.of(values) for video, values in videos.items()})

    def bounds(self, name: str, figure: str) -> str:
        """` [low, high]` of a row's figure, or nothing."""
        sampled = self.rows.get(name, {}).get(figure)
        bounds = None if sampled is None else interval(sampled)
        return "" if bounds is None else f" [{bounds[0]:.3f}, {bounds[1]:.3f}]"

    def table(self, whole: str) -> str:
        """One row each: figures of the averaged scores with their intervals, what it is apart from `whole`;
        `yes` where the interval of the difference excludes 0. A second table has what counts where alarms must be rare.
        Nothing where no scores were kept."""
        if not self.rows:
            return ""
        drawn = self.bootstrap.as_dict()
        told = (
            f"Over {drawn['units']} {self.groups.unit}s, {drawn['resamples']} resamples, scores averaged over seeds"
            f"{'; ' if self.groups.note else ''}{self.groups.note}:"
        )
        rare = {name: words for name, words in RARE.items() if any(name in row for row in self.rows.values())}
        return "\n\n".join([told, self._table(whole, FIGURES), self._table(whole, rare)])

    def _table(self, whole: str, figures: Mapping[str, str]) -> str:
        words = [f"{figure} | minus {whole} | differs" for figure in figures.values()]
        lines = ["| row | " + " | ".join(words) + " |", "|---" * (3 * len(figures) + 1) + "|"]
        ours = self.rows.get(whole, {})
        for name, row in sorted(self.rows.items(), key=lambda entry: entry[0] != whole):  # the whole first
            cells = [self._cell(name, row, figure) + self._gap(name == whole, row, ours, figure) for figure in figures]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def _cell(self, name: str, row: Mapping[str, Sampled], figure: str) -> str:
        sampled = row.get(figure)
        if sampled is None or not np.isfinite(sampled.value):
            return "-"
        if figure not in _IN_PER_CENT:
            return f"{sampled.value:.4f}{self.bounds(name, figure)}"
        bounds = interval(sampled)
        return f"{sampled.value:.1f}" + ("" if bounds is None else f" [{bounds[0]:.1f}, {bounds[1]:.1f}]")

    def _gap(self, same: bool, row: Mapping[str, Sampled], ours: Mapping[str, Sampled], figure: str) -> str:
        gap = None if same or figure not in ours or figure not in row else paired(row[figure], ours[figure])
        if gap is None:
            return " | - | -"
        differs = "yes" if gap.ahead else "no"
        if figure in _IN_PER_CENT:
            return f" | {gap.mean:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}] | {differs}"
        return f" | {gap.mean:+.4f} [{gap.low:+.3f}, {gap.high:+.3f}] | {differs}"
