"""The ridge control: a logistic regression on single segments, each of which inherited its video's label.

It knows nothing of what lies around a segment, so whoever looks at whole videos has to clear it. Here is what it says
of segments; training/ridge.py fits it, and the head `linear` (peers/linear.py) is the same numbers as a model.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from refinevad.standardising import standardised

RIDGE = "ridge control"  # its name beside a model
LINEAR = "linear"  # its name among the heads
CLIP = 4.0  # standardised channels are held to +-CLIP
SMOOTHING = 2  # logits are averaged over [t - SMOOTHING, t + SMOOTHING], of what there is


@dataclass(frozen=True)
class Ridge:
    """A linear model of single segments. `channel` counts the channels it is given, in their order.

    Attributes:
        mean, scale: of each channel over the training segments.
        weight, bias: the anomaly logit of a standardised and clipped segment.
        share_weight, share_bias: of each category's own logistic regression; a segment's shares among the categories
            are the softmax of their logits. With a single category both are 0.
        inverse_penalty: C, with which it was fitted.
    """

    mean: Float[np.ndarray, "channel"]
    scale: Float[np.ndarray, "channel"]
    weight: Float[np.ndarray, "channel"]
    bias: float
    share_weight: Float[np.ndarray, "category channel"]
    share_bias: Float[np.ndarray, "category"]
    inverse_penalty: float

    def standardised(self, values: Float[np.ndarray, "segment channel"]) -> Float[np.ndarray, "segment channel"]:
        """Channels to mean 0 and spread 1 over the training segments, clipped to +-CLIP; float64."""
        return np.asarray(standardised(values, self.mean, self.scale, CLIP))

    def logits(self, values: Float[np.ndarray, "segment channel"]) -> Float[np.ndarray, "segment"]:
        """Anomaly logit of each segment by itself, not averaged over time."""
        return np.asarray(self.standardised(values) @ self.weight + self.bias)

    def share_logits(self, values: Float[np.ndarray, "segment channel"]) -> Float[np.ndarray, "segment category"]:
        """Logits of a segment's shares among the categories, not averaged over time."""
        return np.asarray(self.standardised(values) @ self.share_weight.T + self.share_bias)
