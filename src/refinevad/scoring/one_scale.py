"""Scores of a model on the scale of another of its kind, so that one threshold means the same of both.

A model whose paths are matched puts its logits on the scale of its refined path over its own training segments
(joining.py), which is the wider the fewer videos taught it. Models of a cross-fit therefore score a like segment
differently. Their logits are laid upon each other by mean and spread over training segments; order does not change.
"""

from typing import overload

import numpy as np
from jaxtyping import Float

from refinevad.segment_model import SegmentModel

_LEAST = float(np.finfo(np.float64).tiny)
_MOST = float(np.nextafter(1.0, 0.0))


@overload
def on_scale_of(to: SegmentModel, of: SegmentModel, scores: float) -> float: ...
@overload
def on_scale_of(
    to: SegmentModel, of: SegmentModel, scores: Float[np.ndarray, "_segment"]
) -> Float[np.ndarray, "_segment"]: ...
def on_scale_of(
    to: SegmentModel, of: SegmentModel, scores: float | Float[np.ndarray, "_segment"]
) -> float | Float[np.ndarray, "_segment"]:
    """Scores in [0, 1] that `of` gave, as `to` would put them; unchanged where either has no scale of its own."""
    ours, theirs = to.logit_scale, of.logit_scale
    if ours is None or theirs is None or ours == theirs:
        return scores
    held = np.clip(np.asarray(scores, dtype=np.float64), _LEAST, _MOST)
    logits = np.log(held) - np.log1p(-held)
    moved = 1 / (1 + np.exp(-np.clip(ours[0] + ours[1] * (logits - theirs[0]) / theirs[1], -700, 700)))
    return float(moved) if isinstance(scores, float) else np.asarray(moved)
