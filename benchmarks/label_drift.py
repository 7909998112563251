"""How far v + e_y drives training away from use: a video's top-k score with its label's prototype and without it.

    refinevad bench ablation recipes/survfights.toml --seeds 0 1 2 3 4 --variants recipes/ablation/5_gmm.toml \\
        --out out/bench/ablation/survfights
    python benchmarks/label_drift.py out/bench/ablation/survfights/5_gmm --recipe recipes/survfights.toml

Training videos alone, no temporal truth; dropout is off in both columns, so that e_y is all that differs. Where the
score with e_y is far above the one without, the head has learnt to read the label rather than the video.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from refinevad.checkpoint import Checkpoint
from refinevad.datasets.bag import label_vector
from refinevad.datasets.dataset import Item
from refinevad.features.store import Features
from refinevad.judging.metrics import video_auc
from refinevad.training.experiment import extract_features, split_items
from refinevad.training.losses import top_k_mean
from refinevad.training.recipe import read_recipe


@torch.no_grad()
def video_scores(checkpoint: Checkpoint, videos: Sequence[Features], items: Sequence[Item], told: bool) -> np.ndarray:
    """Mean of each video's top-k segment scores; `told` adds e_y as in training."""
    model = checkpoint.refinevad
    model.eval()
    model.core.training = told  # of CORE itself alone: its dropout stays off
    found = []
    for features, item in zip(videos, items, strict=True):
        labels = torch.from_numpy(label_vector(item.labels, model.config.categories))[None]
        values = torch.from_numpy(features.values)[None]
        mask = torch.ones(values.shape[:2], dtype=torch.bool)
        found.append(float(top_k_mean(model(values, mask, labels).scores, mask)))
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder with seed0, seed1, ...")
    parser.add_argument("--recipe", type=Path, required=True)
    args = parser.parse_args()
    index = extract_features(read_recipe(args.recipe), args.runs / "features").index
    print("| seed | anomalous, with e_y | anomalous, without | normal | video AUC with e_y | without |")
    print("|---|---|---|---|---|---|")
    for folder in sorted(args.runs.glob("seed*")):
        recipe = read_recipe(args.recipe).with_seed(int(folder.name.removeprefix("seed")))
        items = [item for item in split_items(recipe, index, None) if item.split == "train"]
        videos = index.load(items)
        checkpoint = Checkpoint.load(folder)
        anomalous = np.array([item.anomalous for item in items])
        told, untold = (video_scores(checkpoint, videos, items, told) for told in (True, False))
        areas = [video_auc([np.array([score]) for score in scores], list(anomalous)) for scores in (told, untold)]
        print(
            f"| {recipe.train.seed} | {told[anomalous].mean():.3f} | {untold[anomalous].mean():.3f} "
            f"| {untold[~anomalous].mean():.3f} | {areas[0]:.3f} | {areas[1]:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
