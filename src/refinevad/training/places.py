"""Should a model look at what a place looks like? Told from the training videos themselves, by their labels alone.

Appearance carries an event where cameras stay the same, and misleads where each place shows one kind of video only or
the cameras will be others. So videos are grouped by place, by how their segments look at the median, and:

1. videos that join several places cannot be grouped: motion alone;
2. places that show normal videos alone or anomalous ones alone give the label away by themselves: motion alone;
3. otherwise two ridges, on motion and on motion with appearance, are judged on videos they were not fitted on, whole
   places held out where several show both kinds; appearance is taken where it is clearly better.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from refinevad.datasets.dataset import Item
from refinevad.features.store import Features
from refinevad.judging.metrics import Runs, roc_auc
from refinevad.ridge import SMOOTHING
from refinevad.top_k import top_mean
from refinevad.training.plain_controls import average
from refinevad.training.ridge import fit_ridge

APPEARANCE = "appearance"
# cosine of two segments' or videos' appearance; EfficientNet's pooled features are never negative, so unlike is 0.3
ONE_PLACE, SAME_PLACE = 0.6, 0.85
LEAST_MIXED = 0.5  # share of videos that must lie at places with both kinds of video
CLEARLY = 0.05  # of video AUC
FOLDS, MOST_VIDEOS, LEAST_VIDEOS = 4, 200, 8


@dataclass(frozen=True)
class InputChoice:
    """Parts of the features that a model is to look at, and why, in one sentence."""

    parts: tuple[str, ...]
    why: str


def choose_inputs(items: Sequence[Item], features: Sequence[Features], usual: Sequence[str]) -> InputChoice | None:
    """The `usual` parts, or these and appearance; None where the features have no appearance beside them.

    Of large sets an even sample of videos is looked at. Deterministic.
    """
    kept = [place for place, video in enumerate(features) if video.timeline.segments]
    kept = kept[:: max(1, -(-len(kept) // MOST_VIDEOS))]
    if not kept or not {APPEARANCE, *usual} <= set(features[kept[0]].provenance.parts):
        return None
    anomalous = np.array([items[place].anomalous for place in kept])
    looks = [features[place].part(APPEARANCE).astype(np.float64) for place in kept]
    motion = [np.concatenate([features[place].part(name) for name in usual], axis=1) for place in kept]
    if len(kept) < LEAST_VIDEOS or float(np.median([steadiness(video) for video in looks])) < ONE_PLACE:
        return InputChoice(tuple(usual), "motion alone: videos join several places, so places cannot be told apart")
    places = group_by_place(looks)
    mixed = mixed_places(places, anomalous)
    if mixed.mean() < LEAST_MIXED:
        return InputChoice(
            tuple(usual),
            f"motion alone: most of the {places.max() + 1} places show one kind of video, so places mislead",
        )
    folds = deal_places(places, mixed, anomalous)
    both = [np.concatenate(pair, axis=1) for pair in zip(motion, looks, strict=True)]
    without, with_looks = held_out_auc(motion, anomalous, folds), held_out_auc(both, anomalous, folds)
    held = "on places held out" if len(np.unique(places[mixed])) > 1 else "on videos held out at one place"
    figures = f"{held} video AUC {with_looks:.2f} with appearance, {without:.2f} without"
    if with_looks > without + CLEARLY:
        return InputChoice((*usual, APPEARANCE), f"motion and appearance: {figures}")
    return InputChoice(tuple(usual), f"motion alone: {figures}")


def steadiness(looks: Float[np.ndarray, "segment channel"]) -> float:
    """How alike a video's segments look: the tenth percentile of the cosines of all pairs; 1 with one segment."""
    unit = _unit(looks[:: max(1, len(looks) // 64)])
    if len(unit) < 2:
        return 1.0
    return float(np.quantile((unit @ unit.T)[np.triu_indices(len(unit), 1)], 0.1))


def group_by_place(videos: Sequence[Float[np.ndarray, "_segment channel"]]) -> Int[np.ndarray, "video"]:
    """A number for each video's place: videos whose median looks are alike are linked, and links add up."""
    unit = _unit(np.stack([np.median(looks, axis=0) for looks in videos]))
    linked = unit @ unit.T >= SAME_PLACE
    places = np.full(len(videos), -1)
    for video in range(len(videos)):
        if places[video] >= 0:
            continue
        number, reached = places.max() + 1, [video]
        while reached:
            here = reached.pop()
            if places[here] < 0:
                places[here] = number
                reached += np.flatnonzero(linked[here] & (places < 0)).tolist()
    return places


def mixed_places(places: Int[np.ndarray, "video"], anomalous: Bool[np.ndarray, "video"]) -> Bool[np.ndarray, "video"]:
    """Whether a video's place shows both normal and anomalous ones."""
    both = {place for place in places.tolist() if len(set(anomalous[places == place].tolist())) == 2}
    return np.array([place in both for place in places.tolist()])


def deal_places(
    places: Int[np.ndarray, "video"], mixed: Bool[np.ndarray, "video"], anomalous: Bool[np.ndarray, "video"]
) -> Int[np.ndarray, "video"]:
    """The fold of each video: whole places where several are mixed, else the videos of each kind in turn."""
    if len(np.unique(places[mixed])) < 2:
        turn = np.where(anomalous, np.cumsum(anomalous), np.cumsum(~anomalous)) - 1
        return np.asarray(turn % FOLDS)
    sizes = np.bincount(places)
    load, fold_of = np.zeros(FOLDS), np.zeros(len(sizes), dtype=np.int64)
    for place in np.argsort(-sizes, kind="stable"):
        fold_of[place] = int(np.argmin(load))
        load[fold_of[place]] += sizes[place]
    return np.asarray(fold_of[places])


def held_out_auc(
    videos: Sequence[Float[np.ndarray, "_segment channel"]],
    anomalous: Bool[np.ndarray, "video"],
    folds: Int[np.ndarray, "video"],
) -> float:
    """Mean over folds of the video AUC of a ridge fitted on the other folds; folds without both kinds do not count."""
    found = []
    for fold in np.unique(folds):
        inside = np.flatnonzero(folds == fold)
        outside = np.flatnonzero(folds != fold)
        if len(set(anomalous[inside].tolist())) < 2 or len(set(anomalous[outside].tolist())) < 2:
            continue
        labels = [np.array([float(anomalous[place])]) for place in outside.tolist()]
        ridge = fit_ridge([videos[place] for place in outside.tolist()], labels)
        scores = [float(top_mean(average(ridge.logits(videos[place]), SMOOTHING))) for place in inside.tolist()]
        found.append(roc_auc(Runs.from_frames(np.array(scores), anomalous[inside])))
    return float(np.mean(found)) if found else 0.5


def _unit(vectors: Float[np.ndarray, "row channel"]) -> Float[np.ndarray, "row channel"]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))
