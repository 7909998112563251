"""A plain Transformer with top-k MIL: the head no paper claims, and the one any of them has to beat.

A linear projection, fixed sinusoidal positions, a pre-norm Transformer encoder (Vaswani et al. 2017, pre-norm after
Xiong et al. 2020) and a linear head; binary cross-entropy between the mean of a video's k largest logits and its label,
k = floor(T / 16) + 1. All sizes are our choice.
"""

from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.peers.attention import TransformerBlock, sinusoids
from refinevad.peers.base import Head, HeadConfig, HeadOutput, is_anomalous
from refinevad.peers.selection import mean_over, top_segments
from refinevad.top_k import K_DIVISOR, bag_sizes


@dataclass(frozen=True)
class TransformerMILConfig(HeadConfig):
    """Attributes beyond HeadConfig's: width, layers, heads and dropout of the encoder; k_divisor of top-k."""

    width: int = 256
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1
    k_divisor: int = K_DIVISOR


class TransformerMIL(Head[HeadOutput]):
    """Every segment sees every other of its video."""

    def __init__(self, config: TransformerMILConfig) -> None:
        super().__init__(config)
        self.config = config
        self.project = nn.Linear(config.channels, config.width)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.width, config.heads, 4 * config.width, config.dropout) for _ in range(config.layers)
        )
        self.head = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, 1))

    def score(self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]) -> HeadOutput:
        h = self.project(x)
        h = h + sinusoids(h.shape[1], h.shape[2], h)
        for block in self.blocks:
            h = block(h, mask[:, None, :])
        return HeadOutput(self.head(h).squeeze(-1) * mask, None)

    def loss(
        self, output: HeadOutput, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
    ) -> dict[str, Tensor]:
        """`mil`: binary cross-entropy of the mean of the k largest logits."""
        chosen = top_segments(output.logits, mask, bag_sizes(mask, self.config.k_divisor))
        target = is_anomalous(labels).to(output.logits.dtype)
        return {"mil": F.binary_cross_entropy_with_logits(mean_over(output.logits, chosen), target)}
