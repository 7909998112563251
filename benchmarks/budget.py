"""What would be found at the rate of false alerts that people bear, on every set: three a camera and day, and others.

    python benchmarks/budget.py out/bench/defaults --csv docs/results/data/budget/sets.csv

DIR holds a folder a set as `refinevad bench ablation recipes/defaults/SET.toml --out DIR/SET` leaves it. Test videos,
the mean of three seeds; a threshold is chosen on the same videos, so that recall is an upper bound. An alert is true
when it opens inside an event or at most 5 s before it (judging/alerts.py). A set shorter than eight hours bears
none at all at three a day: then it is the share of events whose alert lies above every false one.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from refinevad.apps.terminal import table
from refinevad.budget import BUDGET_A_DAY
from refinevad.datasets.dataset import FeatureIndex
from refinevad.files.cells import write_cells
from refinevad.judging.alerts import Curve, sweep_alerts
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.ridge import RIDGE
from refinevad.study.over_videos import truth_in_folds
from refinevad.study.seed_rows import VideoScores, read_row
from refinevad.training.experiment import extract_features
from refinevad.training.recipe import read_recipe

RATES = {"3 a day": BUDGET_A_DAY / 24, "1 an hour": 1.0, "6 an hour": 6.0}
RECIPES = Path("recipes/defaults")


def recalls(scores: VideoScores, truth: Truth, hours: float) -> Mapping[str, float]:
    """Share of true events found at each rate of false alerts."""
    curves = {video.name: Curve.of(_spread(scores[video.name], video), video.timeline) for video in truth.videos}
    swept = sweep_alerts(curves, {video.name: video.events_s for video in truth.videos}, hours)
    return {
        name: float(swept.recall[swept.false_per_hour <= rate + 1e-9].max(initial=0.0)) for name, rate in RATES.items()
    }


def _spread(scores: Float[np.ndarray, "score"], video: VideoTruth) -> Float[np.ndarray, "segment"]:
    """A score for each segment; published features have as many for every video, which lie evenly over it."""
    place = np.arange(video.timeline.segments) * len(scores) // video.timeline.segments
    return np.asarray(scores[place], dtype=np.float64)


def row_of(name: str, folder: Path, features: Path) -> tuple[str, ...]:
    """One set's line."""
    recipe = read_recipe(RECIPES / f"{name}.toml")
    index: FeatureIndex = extract_features(recipe, features / name).index
    truth, _ = truth_in_folds(recipe, index)
    hours = sum(video.timeline.shown_s for video in truth.videos) / 3600
    found, control = [], []
    for seed in range(3):
        kept = read_row(folder / "final_only" / f"seed{seed}", seed)
        if kept is not None and kept[0].scores:
            found.append(recalls(kept[0].scores, truth, hours))
            if RIDGE in kept[0].control_scores:
                control.append(recalls(kept[0].control_scores[RIDGE], truth, hours))
    events = sum(len(video.events_s) for video in truth.videos)
    cells = [f"{np.mean([one[rate] for one in found]):.2f}" for rate in RATES]
    ridge = f"{np.mean([one['3 a day'] for one in control]):.2f}" if control else "-"
    return (name, f"{hours:.1f}", f"{hours * BUDGET_A_DAY / 24:.1f}", str(events), *cells, ridge)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, metavar="DIR")
    parser.add_argument("--features", type=Path, default=Path("out/bench/features"))
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there, too (docs/results/data)")
    arguments = parser.parse_args()
    head = ("set", "hours of test video", "alerts that 3 a day bear", "events")
    rows = [(*head, *(f"found at {rate}" for rate in RATES), "ridge control at 3 a day")]
    sets = sorted(path for path in arguments.runs.iterdir() if (RECIPES / f"{path.name}.toml").exists())
    rows += [row_of(folder.name, folder, arguments.features) for folder in sets]
    print(table(rows))
    if arguments.csv is not None:
        write_cells(arguments.csv, rows)


if __name__ == "__main__":
    main()
