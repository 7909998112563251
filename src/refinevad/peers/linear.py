"""The ridge control as a head (refinevad.ridge): a logistic regression of single segments, fitted in closed form.

No paper's: what any head that looks at whole videos has to be held against, and, where it is better, used. Its logits
are linear in the standardised channels; the average over neighbours is the Contender's `smoothing`.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.peers.base import Head, HeadConfig, HeadOutput, is_anomalous
from refinevad.ridge import Ridge


@dataclass(frozen=True)
class LinearConfig(HeadConfig):
    """Attributes beyond HeadConfig's.

    inverse_penalty: C; 0: the one for this many channels (training/ridge.py).
    """

    inverse_penalty: float = 0.0


class Linear(Head[HeadOutput]):
    """Scores each segment by itself, and shares it among the categories where there are several."""

    def __init__(self, config: LinearConfig) -> None:
        super().__init__(config)
        self.config = config
        self.anomaly = nn.Linear(config.channels, 1)
        several = len(config.categories) > 1
        self.shares = nn.Linear(config.channels, len(config.categories)) if several else None

    @torch.no_grad()
    def take(self, ridge: Ridge) -> None:
        """Take over the weights of a ridge; its mean and scale are for whoever standardises the input."""
        self.anomaly.weight.copy_(torch.from_numpy(np.ascontiguousarray(ridge.weight[None])))
        self.anomaly.bias.fill_(ridge.bias)
        if self.shares is not None:
            self.shares.weight.copy_(torch.from_numpy(np.ascontiguousarray(ridge.share_weight)))
            self.shares.bias.copy_(torch.from_numpy(np.ascontiguousarray(ridge.share_bias)))

    def score(self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]) -> HeadOutput:
        shares = None if self.shares is None else self.shares(x) * mask[..., None]
        return HeadOutput(self.anomaly(x).squeeze(-1) * mask, shares)

    def loss(
        self, output: HeadOutput, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
    ) -> dict[str, Tensor]:
        """What the closed form minimises, over C: `inherited`, the segments' log losses, and `penalty`, |w|^2 / 2 C.

        Held for the anomaly logit alone, before any average over time, and with C as the option says it.
        """
        target = is_anomalous(labels)[:, None].expand(mask.shape)[mask].to(output.logits.dtype)
        inherited = F.binary_cross_entropy_with_logits(output.logits[mask], target, reduction="sum")
        penalty = 0.5 * self.anomaly.weight.square().sum() / self.config.inverse_penalty
        return {"inherited": inherited, "penalty": penalty}
