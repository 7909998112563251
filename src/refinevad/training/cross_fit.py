"""Every labelled video validated by a model that never saw it: what a run's threshold and validation rest on.

The labelled videos are dealt into folds. For each fold a model is trained on the others, by the run's own settings,
and scores the fold's videos. The run's own model is then trained on all of them. So no labelled video is kept from
training, and calibration has as many hours of normal video as there are.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Float

from refinevad.datasets.dataset import Item
from refinevad.datasets.folders import SPLITS
from refinevad.errors import InputError
from refinevad.judging.metrics import Runs, roc_auc
from refinevad.top_k import top_mean
from refinevad.training.validation import Validation

LEAST_FOLDS = 2


def deal(items: Sequence[Item], folds: int, seed: int) -> list[list[Item]]:
    """Deal items into folds, each with its share of every kind of video.

    Fewer folds where normal or anomalous videos are fewer than that; none where either are fewer than two, or for 0.
    """
    count = min(folds, *(sum(item.anomalous == side for item in items) for side in (False, True)))
    if count < LEAST_FOLDS:
        return []
    groups: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        groups.setdefault(item.labels, []).append(item)
    order: list[Item] = []
    for labels, group in sorted(groups.items()):
        group = sorted(group, key=lambda item: item.path)
        random.Random(f"{seed}:{labels}").shuffle(group)
        order += group  # normal videos, which have no label, come first
    return [order[fold::count] for fold in range(count)]


def by_split(items: Sequence[Item]) -> list[list[Item]]:
    """The items of each split as a fold: splits that share no camera stay apart, which dealt folds would mix.

    Raises:
        InputError: a split without normal or without anomalous videos, or a single split.
    """
    folds = [[item for item in items if item.split == split] for split in SPLITS]
    found = [fold for fold in folds if fold]
    if len(found) < LEAST_FOLDS or any({item.anomalous for item in fold} != {True, False} for fold in found):
        raise InputError(
            "splits can be folds where there are two or more, each with normal and anomalous videos; "
            'leave splits = "folds" out of the recipe'
        )
    return found


def without(items: Sequence[Item], fold: Sequence[Item]) -> list[Item]:
    """The items outside a fold as training items, those inside as validation items."""
    held = {item.path for item in fold}
    return [replace(item, split="val" if item.path in held else "train") for item in items]


def validation_of(curves: Sequence[Float[np.ndarray, "_segment"]], anomalous: Sequence[bool]) -> Validation:
    """Video AUC and cross-entropy of the videos' top-k scores; videos without a segment do not count."""
    kept = [place for place, curve in enumerate(curves) if len(curve)]
    scores = np.array([float(top_mean(curves[place])) for place in kept])
    truth = np.array([anomalous[place] for place in kept])
    loss = F.binary_cross_entropy(torch.from_numpy(scores), torch.from_numpy(truth.astype(np.float64)))
    return Validation(roc_auc(Runs.from_frames(scores, truth)), float(loss))
