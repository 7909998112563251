"""How much of a frame AUC is *when* and how much is *which video*: within, cross, and the video-mean control.

AUC over all frames counts pairs of an anomalous and a normal frame, in one video or in two (arXiv 2608.21854):
AUC = w Within + (1 - w) Cross, where w is the share of the pairs whose two frames lie in one video.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from refinevad.judging.metrics import Runs, roc_auc

ROUNDING = 1e-9  # pairs of seconds are not whole numbers: less than this share of them is none


@dataclass(frozen=True)
class Pairs:
    """Each video's pairs of an anomalous and a normal frame; a tie counts half.

    `auc` is NaN, and `won` 0, in a video that is not mixed.
    """

    positives: Float[np.ndarray, "video"]
    negatives: Float[np.ndarray, "video"]
    auc: Float[np.ndarray, "video"]

    @classmethod
    def of(cls, videos: Sequence[Runs]) -> "Pairs":
        """From the runs of each video."""
        positives = np.array([runs.positives.sum() for runs in videos], dtype=np.float64)
        negatives = np.array([runs.negatives.sum() for runs in videos], dtype=np.float64)
        return cls(positives, negatives, np.array([roc_auc(runs) for runs in videos], dtype=np.float64))

    @property
    def count(self) -> Float[np.ndarray, "video"]:
        return np.asarray(self.positives * self.negatives)

    @property
    def won(self) -> Float[np.ndarray, "video"]:
        return np.where(self.count > 0, self.count * np.nan_to_num(self.auc), 0.0)


@dataclass(frozen=True)
class WithinCross:
    """AUC over the pairs inside videos, its plain mean over mixed videos, AUC over the others, and w.

    NaN where nothing defines it: `within` and `macro` without a mixed video, `cross` without a pair of two videos,
    `weight` without frames of both kinds.
    """

    within: float
    macro: float
    cross: float
    weight: float


def within_cross(videos: Sequence[Runs]) -> WithinCross:
    """Split the AUC over all frames of `videos`."""
    pairs = Pairs.of(videos)
    inside, every = float(pairs.count.sum()), float(pairs.positives.sum() * pairs.negatives.sum())
    won_inside = float(pairs.won.sum())
    won = roc_auc(Runs.join(videos)) * every
    mixed = pairs.auc[pairs.count > 0]
    return WithinCross(
        within=won_inside / inside if inside else float("nan"),
        macro=float(mixed.mean()) if len(mixed) else float("nan"),
        cross=(won - won_inside) / (every - inside) if every - inside > ROUNDING * every else float("nan"),
        weight=inside / every if every else float("nan"),
    )


def video_means(videos: Sequence[Runs]) -> list[Runs]:
    """The control that knows nothing of time: each score replaced by the mean over its video's frames."""
    means = []
    for runs in videos:
        counts = runs.positives + runs.negatives
        total = float(counts.sum())
        mean = float(runs.scores.astype(np.float64) @ counts) / total if total else 0.0
        means.append(Runs(np.array([mean]), runs.positives.sum(keepdims=True), runs.negatives.sum(keepdims=True)))
    return means
