"""What each path adds to a score: a segment's logit as a sum, and what lifts an event.

A score is the sigmoid of a logit that is a sum, and all that is done to it later (averages over time, blended windows)
is linear, so each summand can be followed to the end:

    logit = base + direct + refined + prompts + video

With `ridge` both paths are standardised over the training segments (joining.py): `base` is the logit of an
average training segment, and `direct` and `refined` are how far each path lifts a segment above it, or lowers it below.
Without, nothing is subtracted: `base` is 0, and a path's summand is its logit as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from refinevad.segment_model import PATHS as PATHS
from refinevad.segment_model import ModelConfig, SegmentModel


def names_of_paths(config: ModelConfig) -> dict[str, str]:
    """The paths that a model's scores come by, of `PATHS`, and what each is called."""
    return config.own_paths | ({"video": "the video as a whole"} if config.video_weight else {})


@dataclass(frozen=True)
class PathCurves:
    """A video's logits by path: `base` and `added`, whose columns are of `names`, add up to the logit of each segment.

    Attributes:
        names: of the paths, and what each is called.
        from_training: whether a segment at which every path adds 0 is an average training segment.
    """

    names: Mapping[str, str]
    base: Float[np.ndarray, "segment"]
    added: Float[np.ndarray, "segment path"]
    from_training: bool

    @classmethod
    def of(cls, model: SegmentModel, logits: Float[np.ndarray, "segment path"] | None) -> "PathCurves | None":
        """The curves of a model's scores; None for None."""
        if logits is None:
            return None
        names = names_of_paths(model.config)
        # what a whole video adds has no mean over the training segments
        standard = model.matched and "video" not in names
        return cls(names, logits[:, 0], logits[:, [PATHS.index(name) for name in names]], standard)

    @property
    def above(self) -> str:
        """What the curves are measured against."""
        return "an average training segment" if self.from_training else "this video's average segment"

    @property
    def lifted(self) -> Float[np.ndarray, "segment path"]:
        """How far each path lifts each segment above `above`, in logits."""
        if self.from_training or not len(self.added):
            return self.added
        return np.asarray(self.added - self.added.mean(axis=0))

    def lifts(self, first: int, last: int) -> dict[str, float]:
        """How far each path lifts the segments [first, last) on average."""
        return dict(zip(self.names, self.lifted[first:last].mean(axis=0).tolist(), strict=True))


def shares_of_variance(added: Float[np.ndarray, "segment path"]) -> Float[np.ndarray, "path"]:
    """Cov(path, sum) / Var(sum) of each path over segments: its share of what varies; they add up to 1.

    Below 0 for a path that runs against the sum; nan where the sum does not vary.
    """
    centred = added - added.mean(axis=0)
    whole = centred.sum(axis=1)
    variance = float(whole @ whole)
    if variance <= 1e-12 * max(1, len(added)):
        return np.full(added.shape[1], np.nan)
    return np.asarray(whole @ centred / variance)
