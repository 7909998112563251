"""Which parts of the lite encoder earn their place: a small linear multiple-instance head on each choice of parts.

    refinevad extract ../shared/data/survfights --encoder lite --out out/features/survfights
    python benchmarks/lite_parts.py out/features/survfights --data ../shared/data/survfights
    python benchmarks/lite_parts.py out/features/falls --data ../shared/data/falls      # 5 folds, as given there

Columns: validation video AUC (labels only; `-` with folds) and test frame AUC, mean and deviation over seeds. Parts
are to be chosen by the first column and by what cannot tell one camera from another, never by the second.
"""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from sklearn.metrics import roc_auc_score

from refinevad.apps.terminal import note, table
from refinevad.datasets.dataset import FeatureIndex, Item, categories_of, with_fold
from refinevad.features.store import Features
from refinevad.files.cells import write_cells
from refinevad.judging.set_truth import read_truth
from refinevad.judging.truth import Truth

MOTION = ("motion_mean", "motion_deviation", "motion_peak")
ROWS: dict[str, tuple[str, ...]] = {
    "trivial: frame difference": ("frame_difference",),
    "appearance": ("appearance",),
    "appearance change": ("change",),
    "motion, mean": ("motion_mean",),
    "motion, deviation": ("motion_deviation",),
    "motion": MOTION,
    "motion, deviation + change": ("motion_deviation", "change"),
    "motion + change (default)": (*MOTION, "change"),
    "motion + change + appearance": (*MOTION, "change", "appearance"),
}
SMOOTHING = torch.tensor([0.3, 0.7, 1.0, 0.7, 0.3])  # over 5 segments, 3.2 s
EPOCHS, RATE, DECAY, INSTANCES = 60, 2e-2, 1e-2, 16


@dataclass(frozen=True)
class Bags:
    """Padded segments of several videos: values [video, segment, channel], mask [video, segment]."""

    values: torch.Tensor
    mask: torch.Tensor

    @classmethod
    def of(cls, videos: Sequence[Float[np.ndarray, "segment channel"]]) -> "Bags":
        longest = max(len(video) for video in videos)
        values = torch.zeros(len(videos), longest, videos[0].shape[1])
        mask = torch.zeros(len(videos), longest)
        for row, video in enumerate(videos):
            values[row, : len(video)] = torch.from_numpy(video)
            mask[row, : len(video)] = 1
        return cls(values, mask)


def segment_logits(head: torch.nn.Linear, bags: Bags) -> torch.Tensor:
    """Smoothed logits [video, segment]; padding takes no part."""
    raw = head(bags.values)[..., 0] * bags.mask
    kernel = SMOOTHING[None, None]
    weight = torch.nn.functional.conv1d(bags.mask[:, None], kernel, padding=2)[:, 0]
    smooth = torch.nn.functional.conv1d(raw[:, None], kernel, padding=2)[:, 0] / weight.clamp_min(1e-6)
    return smooth.masked_fill(bags.mask == 0, -torch.inf)


def video_logits(segments: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of the T // 16 + 1 highest segments."""
    ordered = segments.sort(dim=1, descending=True).values
    count = (mask.sum(dim=1) / INSTANCES).floor() + 1
    chosen = torch.arange(mask.shape[1])[None] < count[:, None]
    return torch.where(chosen, ordered, 0.0).sum(dim=1) / count


def fit(bags: Bags, labels: Sequence[bool], seed: int) -> torch.nn.Linear:
    """Logistic regression on the videos' top segments, decayed towards zero."""
    torch.manual_seed(seed)
    head = torch.nn.Linear(bags.values.shape[2], 1)
    torch.nn.init.normal_(head.weight, std=0.01)
    step = RATE if bags.values.shape[2] < 1000 else RATE / 10
    optimizer = torch.optim.Adam(head.parameters(), lr=step)
    truth = torch.tensor(labels, dtype=torch.float32)
    for _ in range(EPOCHS):
        logits = video_logits(segment_logits(head, bags), bags.mask)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth)
        loss = loss + DECAY * head.weight.square().sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return head


def run(
    items: Sequence[Item], features: Sequence[Features], parts: Sequence[str], seed: int
) -> tuple[float, dict[str, np.ndarray]]:
    """(validation video AUC, segment scores of each test video) of one split."""
    values = [np.concatenate([video.part(part) for part in parts], axis=1).astype(np.float32) for video in features]
    stacked = np.concatenate([v for v, item in zip(values, items, strict=True) if item.split == "train"])
    mean, deviation = stacked.mean(axis=0), stacked.std(axis=0) + 1e-6
    scaled = [np.clip((video - mean) / deviation, -4, 4) for video in values]

    def chosen(split: str) -> list[int]:
        return [index for index, item in enumerate(items) if item.split == split]

    head = fit(Bags.of([scaled[i] for i in chosen("train")]), [items[i].anomalous for i in chosen("train")], seed)
    validation = float("nan")
    with torch.no_grad():
        if held := chosen("val"):
            bags = Bags.of([scaled[i] for i in held])
            videos = video_logits(segment_logits(head, bags), bags.mask)
            validation = float(roc_auc_score([items[i].anomalous for i in held], videos.numpy()))
        test = chosen("test")
        logits = segment_logits(head, Bags.of([scaled[i] for i in test])).numpy()
    return validation, {items[i].path: row[: len(scaled[i])] for i, row in zip(test, logits, strict=True)}


def frame_auc(truth: Truth, scores: dict[str, np.ndarray]) -> float:
    """AUC over all frames of all scored videos together."""
    predicted, actual = [], []
    for video in truth.videos:
        frames = np.zeros(video.timeline.frames, dtype=bool)
        for start, end in video.anomalous:
            frames[start:end] = True
        actual.append(frames)
        predicted.append(video.timeline.expand(scores[video.name].astype(np.float64)))
    return float(roc_auc_score(np.concatenate(actual), np.concatenate(predicted)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there, too (docs/results/data)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    index = FeatureIndex.open(arguments.features)
    features = index.load(index.items)
    folds = sorted({item.fold for item in index.items if item.fold is not None})
    splits = [with_fold(index.items, fold) for fold in folds] or [index.items]
    judged = [replace(item, split="test") for item in index.items] if folds else index.items
    pairs = [(i, f) for i, f in zip(judged, features, strict=True) if i.split == "test"]
    truth = read_truth(
        arguments.data, [i for i, _ in pairs], [f for _, f in pairs], categories_of(index.items), index.items
    )
    rows: list[tuple[str, ...]] = [("parts", "channels", "validation video AUC", "test frame AUC")]
    for name, parts in ROWS.items():
        validation, frames = [], []
        for seed in range(arguments.seeds):
            results = [run(items, features, parts, seed) for items in splits]
            validation.append(np.mean([result[0] for result in results]))
            frames.append(frame_auc(truth, dict(itertools.chain(*(result[1].items() for result in results)))))
        channels = sum(features[0].part(part).shape[1] for part in parts)
        held = "-" if folds else f"{np.mean(validation):.3f}"
        rows.append((name, str(channels), held, f"{np.mean(frames):.3f} ± {np.std(frames):.3f}"))
        note("  ".join(rows[-1]))
    print(table(rows))
    if arguments.csv is not None:
        write_cells(arguments.csv, rows)


if __name__ == "__main__":
    main()
