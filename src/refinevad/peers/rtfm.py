"""Tian et al.: robust temporal feature magnitude learning (RTFM, ICCV 2021, arXiv 2101.10030).

A multi-scale temporal network adds context to the D channels of each segment: three convolutions over time of dilation
1, 2 and 4 (D / 4 channels each) beside a non-local self-attention block (D / 4), and a skip connection. The k segments
of largest l2 norm speak for a video: their mean norm is to be larger by a margin of 100 in anomalous videos than in
normal ones, and a classifier (512, 128, 1; dropout 0.7) learns by cross-entropy from their mean score.

The paper trains on 32 segments a video with k = 3, Adam, weight decay 5e-4, 32 and 32 videos a batch, at 1e-3.
Free choices where it is silent, or where we differ:
- k = floor(T / 16) + 1, which is the paper's 3 at its 32 segments
- a convolution of 3 segments and D to D channels joins the concatenated branches, and the attention works in D / 8
  channels: not from the paper's text, but the count of 24.72 M parameters published elsewhere needs both
- attention as the dot product over the number of segments (Wang et al. 2018); ReLU after each convolution; no BatchNorm
- the norm's hinge is the mean over all pairs of the batch and weighs 0.01, which brings 100 to the cross-entropy's size
- sparsity and smoothness as in Sultani et al., 8e-5 each, scaled to a bag of 32, of anomalous videos
- the D channels of other features are first projected to `width` where that is not 0
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.errors import InputError
from refinevad.peers.base import Head, HeadConfig, HeadOutput, is_anomalous
from refinevad.peers.selection import (
    cross_entropy_of,
    mean_of,
    mean_over,
    pairwise_hinge,
    smoothness,
    top_segments,
)
from refinevad.top_k import K_DIVISOR, bag_sizes

DILATIONS = (1, 2, 4)

BAG = 32  # segments of the paper's bags, for which sparsity and smoothness are weighed


@dataclass(frozen=True)
class RTFMConfig(HeadConfig):
    """Attributes beyond HeadConfig's.

    width: D, if not the features' own channels (0).
    hidden, bottleneck, dropout: of the classifier.
    margin, magnitude: between the norms, and its term's weight.
    sparsity, smoothness: weights of the two terms.
    """

    width: int = 0
    hidden: int = 512
    bottleneck: int = 128
    dropout: float = 0.7
    k_divisor: int = K_DIVISOR
    margin: float = 100.0
    magnitude: float = 0.01
    sparsity: float = 8e-5
    smoothness: float = 8e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.width or self.channels) < 8:
            raise InputError(f"rtfm needs at least 8 channels or a width of 8: got {self.width or self.channels}")


@dataclass(frozen=True)
class RTFMOutput(HeadOutput):
    """`magnitude`: l2 norm of each segment's features after the temporal network; 0 where padded."""

    magnitude: Float[Tensor, "video segment"]


class NonLocal(nn.Module):
    """Self-attention over time by dot products, with a residual, in a quarter of the channels."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        inner = max(1, width // 2)
        self.reduce = nn.Linear(channels, width, bias=False)
        self.query, self.key, self.value = (nn.Linear(width, inner) for _ in range(3))
        self.out = nn.Linear(inner, width)

    def forward(
        self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment width"]:
        reduced = torch.relu(self.reduce(x))
        likeness = self.query(reduced) @ self.key(reduced).mT
        attention = likeness.masked_fill(~mask[:, None, :], 0.0) / mask.sum(1)[:, None, None]
        answer: Tensor = reduced + self.out(attention @ self.value(reduced))
        return answer


class MultiScaleTemporalNetwork(nn.Module):
    """Pyramid of dilated convolutions beside self-attention, joined and added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        branch = channels // 4
        self.pyramid = nn.ModuleList(
            nn.Conv1d(channels, branch, 3, padding=dilation, dilation=dilation) for dilation in DILATIONS
        )
        attention = channels - len(DILATIONS) * branch
        self.attention = NonLocal(channels, attention)
        self.join = nn.Conv1d(channels, channels, 3, padding=1, bias=False)

    def forward(
        self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment channel"]:
        """`x` is 0 where padded, so that padding is what lies outside a video anyway."""
        branches = [torch.relu(convolution(x.mT)).mT for convolution in self.pyramid]
        both = torch.cat([*branches, self.attention(x, mask)], dim=-1) * mask[..., None]
        joined: Tensor = torch.relu(self.join(both.mT)).mT
        return (x + joined) * mask[..., None]


class RTFM(Head[RTFMOutput]):
    """Segments of large feature norm speak for their video."""

    def __init__(self, config: RTFMConfig) -> None:
        super().__init__(config)
        self.config = config
        width = config.width or config.channels
        self.project = nn.Linear(config.channels, width) if config.width else nn.Identity()
        self.temporal = MultiScaleTemporalNetwork(width)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Sequential(
            nn.Linear(width, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.bottleneck),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.bottleneck, 1),
        )

    def score(self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]) -> RTFMOutput:
        features = self.temporal(self.project(x) * mask[..., None], mask)
        # the norm of nothing has no gradient; 1e-12 gives it one
        magnitude = features.square().sum(-1).add(1e-12).sqrt()
        return RTFMOutput(self.classify(self.dropout(features)).squeeze(-1) * mask, None, magnitude * mask)

    def loss(
        self, output: RTFMOutput, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
    ) -> dict[str, Tensor]:
        """`mil`: cross-entropy of the selected segments' mean score; `magnitude`: the hinge on their mean norm;
        `sparsity` and `smoothness` of anomalous videos.
        """
        scores, anomalous = output.scores, is_anomalous(labels)
        chosen = top_segments(output.magnitude, mask, bag_sizes(mask, self.config.k_divisor))
        norm = mean_over(output.magnitude, chosen)
        video = mean_over(scores, chosen)
        scale = BAG / mask.sum(1)
        sparse = mean_over(scores, mask) * BAG
        return {
            "mil": cross_entropy_of(video, anomalous.to(video.dtype), torch.ones_like(anomalous)),
            "magnitude": self.config.magnitude * pairwise_hinge(norm[anomalous], norm[~anomalous], self.config.margin),
            "sparsity": self.config.sparsity * mean_of(sparse, anomalous),
            "smoothness": self.config.smoothness * mean_of(smoothness(scores, mask) * scale, anomalous),
        }
