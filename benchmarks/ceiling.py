"""How much a linear model can get out of features: with the truth of every segment, and with video labels alone.

    refinevad extract ../shared/data/survfights --encoder lite --out out/features/survfights
    python benchmarks/ceiling.py out/features/survfights --data ../shared/data/survfights
    python benchmarks/ceiling.py out/features/falls --data ../shared/data/falls      # the folds given there

All figures are test frame AUC of a ridge logistic regression, channels standardised on the training segments and
clipped at 4, logits averaged over +-2 segments. What it is fitted on:

- `truth, test`: each segment's truth, on the other four fifths of the test videos; their cameras may be the same.
- `truth, train`: each segment's truth, on the training videos. What lacks to the column before is what does not carry
  over to other videos; what that lacks to 1 the channels do not hold.
- `labels`: the ridge control: every training segment inherits its video's label.

With folds a model is fitted on all other folds, and `truth, train` is left out. Rows: parts, and the default's motion
at several scales, which needs no other encoder: beside each segment's own channels how far they are from the segment
before (`step`), or their deviation or maximum over +-2 segments. Truth takes part in two columns: choose nothing
by them that is then judged on the same videos.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from lite_parts import MOTION, frame_auc
from refinevad.datasets.dataset import FeatureIndex, Item, categories_of
from refinevad.features.store import Features
from refinevad.judging.set_truth import read_truth
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.training.plain_controls import average, logistic_regression

CLIP, HALF, FOLDS = 4.0, 2, 5
WEAK_PENALTY, TRUTH_PENALTY = 1e-3, 1e-2  # C: with labels the control's; the truth bears a weaker penalty
Values = Float[np.ndarray, "segment channel"]
Scores = dict[str, Float[np.ndarray, "_segment"]]


def alone(values: Values) -> Values:
    """The segment's own channels."""
    return values


def step(values: Values) -> Values:
    """Beside them the absolute step from the segment before; 0 for the first."""
    return np.concatenate([values, np.abs(np.diff(values, axis=0, prepend=values[:1]))], axis=1)


def deviation(values: Values) -> Values:
    """Beside them their deviation over +-2 segments."""
    return np.concatenate([values, _around(values, np.std)], axis=1)


def largest(values: Values) -> Values:
    """Beside them their maximum over +-2 segments."""
    return np.concatenate([values, _around(values, np.max)], axis=1)


def twice(values: Values) -> Values:
    """The same channels once more: half the penalty, and nothing else."""
    return np.concatenate([values, values], axis=1)


def _around(values: Values, statistic: Callable[..., Values]) -> Values:
    windows = (values[max(0, place - HALF) : place + HALF + 1] for place in range(len(values)))
    return np.stack([statistic(window, axis=0) for window in windows])


ROWS: dict[str, tuple[tuple[str, ...], Callable[[Values], Values]]] = {
    "frame difference": (("frame_difference",), alone),
    "motion, mean": (("motion_mean",), alone),
    "motion, deviation": (("motion_deviation",), alone),
    "motion (default)": (MOTION, alone),
    "motion, given twice": (MOTION, twice),
    "motion, step": (MOTION, step),
    "motion, deviation +-2": (MOTION, deviation),
    "motion, largest +-2": (MOTION, largest),
    "motion, change": ((*MOTION, "change"), alone),
    "motion, change, appearance": ((*MOTION, "change", "appearance"), alone),
}


@dataclass(frozen=True, eq=False)
class Video:
    """One video: its channels, and what each segment is by the truth and by the video's label."""

    item: Item
    values: Values
    true: Bool[np.ndarray, "segment"]

    @property
    def inherited(self) -> Bool[np.ndarray, "segment"]:
        return np.full(len(self.values), self.item.anomalous)


def segment_truth(video: VideoTruth) -> Bool[np.ndarray, "segment"]:
    """Segments at least half of whose frames are anomalous."""
    frames = np.zeros(video.timeline.frames)
    for start, end in video.anomalous:
        frames[start:end] = 1
    bounds = video.timeline.frame_bounds
    total = np.concatenate([[0.0], np.cumsum(frames)])
    return np.asarray(total[bounds[1:]] - total[bounds[:-1]] >= np.diff(bounds) / 2)


def scores(training: Sequence[Video], tested: Sequence[Video], by_truth: bool) -> Scores:
    """Logits of tested videos by a model fitted on training videos."""
    stacked = np.concatenate([video.values for video in training]).astype(np.float64)
    mean, spread = stacked.mean(axis=0), stacked.std(axis=0) + 1e-6
    positive = np.concatenate([video.true if by_truth else video.inherited for video in training])
    penalty = TRUTH_PENALTY if by_truth else WEAK_PENALTY
    weight, bias = logistic_regression(np.clip((stacked - mean) / spread, -CLIP, CLIP), positive.tolist(), penalty)
    logits = (np.clip((video.values - mean) / spread, -CLIP, CLIP) @ weight + bias for video in tested)
    return {video.item.path: average(one, HALF) for video, one in zip(tested, logits, strict=True)}


def held_out(videos: Sequence[Video], by_truth: bool) -> Scores:
    """Each video by a model fitted on the others: on all folds but its own, or on four fifths of each label's."""
    found: Scores = {}
    groups = folds(videos)
    for group in sorted(set(groups)):
        training = [video for video, own in zip(videos, groups, strict=True) if own != group]
        found |= scores(training, [v for v, own in zip(videos, groups, strict=True) if own == group], by_truth)
    return found


def folds(videos: Sequence[Video]) -> list[int]:
    """The folds given, or five with as many anomalous and normal videos each as can be."""
    given = [video.item.fold for video in videos]
    if all(fold is not None for fold in given):
        return [fold for fold in given if fold is not None]
    order = sorted(range(len(videos)), key=lambda place: not videos[place].item.anomalous)
    groups = [0] * len(videos)
    for rank, place in enumerate(order):
        groups[place] = rank % FOLDS
    return groups


def ceilings(videos: Sequence[Video], truth: Truth) -> tuple[float, float, float]:
    """The three columns; NaN for `truth, train` with folds."""
    if all(video.item.fold is not None for video in videos):
        return frame_auc(truth, held_out(videos, True)), np.nan, frame_auc(truth, held_out(videos, False))
    training, tested = ([v for v in videos if v.item.split == split] for split in ("train", "test"))
    return (
        frame_auc(truth, held_out(tested, True)),
        frame_auc(truth, scores(training, tested, True)),
        frame_auc(truth, scores(training, tested, False)),
    )


def chosen(items: Sequence[Item], features: Sequence[Features], truth: Truth, row: str) -> list[Video]:
    """The videos with the channels of a row."""
    parts, scaled = ROWS[row]
    true = {video.name: segment_truth(video) for video in truth.videos}
    return [
        Video(item, scaled(np.concatenate([video.part(part) for part in parts], axis=1)), true[item.path])
        for item, video in zip(items, features, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    arguments = parser.parse_args()
    index = FeatureIndex.open(arguments.features)
    features = index.load(index.items)
    truth = read_truth(arguments.data, index.items, features, categories_of(index.items))
    judged = {item.path for item in index.items if item.fold is not None or item.split == "test"}
    tests = Truth(truth.columns, tuple(video for video in truth.videos if video.name in judged))
    print(f"{'':28s} {'channels':>8s} {'truth, test':>12s} {'truth, train':>12s} {'labels':>8s}")
    for row in arguments.rows:
        videos = chosen(index.items, features, truth, row)
        figures = ceilings(videos, tests)
        cells = [f"{'-' if np.isnan(one) else format(one, '.3f'):>12s}" for one in figures[:2]]
        print(f"{row:28s} {videos[0].values.shape[1]:8d} {' '.join(cells)} {figures[2]:8.3f}", flush=True)


if __name__ == "__main__":
    main()
