"""What smoothing over time is worth to each head and to the linear control: the same trained models, read anew.

    refinevad bench accuracy recipes/survfights.toml --seeds 0 1 2 3 4 --out out/bench/accuracy/survfights
    python benchmarks/readings.py out/bench/accuracy/survfights --recipe recipes/survfights.toml

The average of the logits over +-n segments is set after training, alike for all (a recipe trains with its own), and
nothing of the whole video is added. It is an analysis of where a difference comes from, on test figures: nothing is
chosen by it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from refinevad.checkpoint import Checkpoint
from refinevad.datasets.dataset import FeatureIndex, categories_of
from refinevad.features.store import Features
from refinevad.judging.predictions import VideoPrediction
from refinevad.judging.protocol import evaluate_predictions
from refinevad.judging.set_truth import read_truth
from refinevad.scoring.scores import score
from refinevad.study.search import read_as
from refinevad.study.standings import standardised
from refinevad.training.experiment import extract_features, split_items
from refinevad.training.plain_controls import linear_on_means
from refinevad.training.recipe import Recipe, read_recipe

FIGURES = {"AUC": "auc", "Ano-AUC": "ano_auc", "AP": "ap"}


class Tested:
    """The test videos of a set without folds, and the figures of curves on them."""

    def __init__(self, recipe: Recipe, index: FeatureIndex) -> None:
        self.items = split_items(recipe, index, None)
        self.asked = [item for item in self.items if item.split == "test"]
        self.features = index.load(self.asked)
        self._truth = read_truth(Path(index.source), self.asked, self.features, categories_of(self.items), self.items)

    def figures(self, curves: Sequence[Float[np.ndarray, "_segment"]]) -> list[float]:
        """In the order of FIGURES."""
        predictions = {item.path: VideoPrediction.of(curve) for item, curve in zip(self.asked, curves, strict=True)}
        found = evaluate_predictions(predictions, self._truth, "strict")
        return [found[name] for name in FIGURES.values()]


def main() -> None:
    """Print one table: a row a head, three figures a half-width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="what bench accuracy or ablation left: HEAD/seedN")
    parser.add_argument("--recipe", type=Path, required=True, help="of a set without folds")
    parser.add_argument("--half-widths", type=int, nargs="+", default=[0, 2, 5, 8])
    args = parser.parse_args()
    recipe = read_recipe(args.recipe)
    index = extract_features(recipe, args.runs / "features").index
    tested = Tested(recipe, index)
    print("| head | " + " | ".join(f"{name}, +-{half}" for half in args.half_widths for name in FIGURES) + " |")
    print("|---" * (1 + len(FIGURES) * len(args.half_widths)) + "|")
    for head in sorted({path.parent for path in args.runs.glob("*/seed*")}):
        cells = []
        for half in args.half_widths:
            seeds = [tested.figures(curves_of(run, tested.features, half)) for run in sorted(head.glob("seed*"))]
            spread = np.std(seeds, axis=0, ddof=1) if len(seeds) > 1 else np.zeros(len(FIGURES))
            cells += [f"{m:.4f} ± {s:.4f}" for m, s in zip(np.mean(seeds, axis=0), spread, strict=True)]
        print(f"| {head.name} | " + " | ".join(cells) + " |", flush=True)
    cells = [f"{f:.4f}" for curves in control(recipe, index, tested, args.half_widths) for f in tested.figures(curves)]
    print("| linear on video means | " + " | ".join(cells) + " |")


def curves_of(run: Path, videos: Sequence[Features], half_width: int) -> list[Float[np.ndarray, "_segment"]]:
    """Segment scores of a finished run, its logits averaged over +-half_width segments."""
    checkpoint = read_as(Checkpoint.load(run), {"smoothing": half_width, "video_weight": 0.0})
    return [score(checkpoint.model, video.values).segments for video in videos]


def control(
    recipe: Recipe, index: FeatureIndex, tested: Tested, half_widths: Sequence[int]
) -> list[list[Float[np.ndarray, "_segment"]]]:
    """Curves of the linear model on training videos' means, read with each half-width."""
    training = [item for item in tested.items if item.split in ("train", "val")]  # as the standings give it
    given = index.load(training)
    config = recipe.config(given[0].values.shape[1], categories_of(training), given[0].provenance.parts)
    train, test = ([video.values[:, config.selected] for video in videos] for videos in (given, tested.features))
    train, test = standardised(train, test)
    readings = {f"{half}": (half, 1.0) for half in half_widths}
    found = linear_on_means(train, [item.anomalous for item in training], test, readings)
    return [found[f"{half}"] for half in half_widths]


if __name__ == "__main__":
    main()
