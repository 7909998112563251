"""Sultani et al.: deep MIL ranking (Real-World Anomaly Detection in Surveillance Videos, CVPR 2018, arXiv 1801.04264).

An MLP of 512, 32 and 1 units scores each segment: ReLU after the first layer, a sigmoid after the last, 60 % dropout
between. A hinge asks that the largest score of an anomalous video beats that of a normal one by 1; scores of anomalous
videos are to be sparse and smooth (both 8e-5).

The paper trains with Adagrad (0.001), 30 and 30 videos a batch, on L2-normalised C3D features averaged to 32 segments.
Free choices where it is silent, or where we differ:
- any number of segments: sparsity and smoothness are the paper's sums scaled to a bag of 32
- every anomalous video is ranked against every normal one of the batch (the paper: a bag against a bag)
- each segment's vector is scaled to length 1, as the paper's features are; the mean of several clips is not quite, and
  here it is
- weights start as PyTorch's linear layers do
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.peers.base import Head, HeadConfig, HeadOutput, is_anomalous
from refinevad.peers.selection import mean_of, pairwise_hinge, smoothness

BAG = 32  # segments of the paper's bags, for which sparsity and smoothness are weighed


@dataclass(frozen=True)
class SultaniConfig(HeadConfig):
    """Attributes beyond HeadConfig's.

    hidden, bottleneck: units of the first and the second layer.
    sparsity, smoothness: weights of the two terms on anomalous videos.
    """

    hidden: int = 512
    bottleneck: int = 32
    dropout: float = 0.6
    sparsity: float = 8e-5
    smoothness: float = 8e-5


class Sultani(Head[HeadOutput]):
    """Scores each segment by itself."""

    def __init__(self, config: SultaniConfig) -> None:
        super().__init__(config)
        self.config = config
        self.layers = nn.Sequential(
            nn.Linear(config.channels, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.bottleneck),
            nn.Dropout(config.dropout),
            nn.Linear(config.bottleneck, 1),
        )

    def score(self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]) -> HeadOutput:
        return HeadOutput(self.layers(F.normalize(x, dim=-1)).squeeze(-1) * mask, None)

    def loss(
        self, output: HeadOutput, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
    ) -> dict[str, Tensor]:
        """`ranking` (hinge on the largest scores), `sparsity` and `smoothness` of anomalous videos."""
        scores, anomalous = output.scores, is_anomalous(labels)
        largest = scores.masked_fill(~mask, 0.0).amax(1)  # scores are at least 0
        of_32 = BAG / mask.sum(1)
        sparse = torch.where(mask, scores, torch.zeros_like(scores)).sum(1) * of_32
        return {
            "ranking": pairwise_hinge(largest[anomalous], largest[~anomalous], 1.0),
            "sparsity": self.config.sparsity * mean_of(sparse, anomalous),
            "smoothness": self.config.smoothness * mean_of(smoothness(scores, mask) * of_32, anomalous),
        }
