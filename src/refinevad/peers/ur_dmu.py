"""Zhou, Yu and Yang: dual memory units with uncertainty regulation (UR-DMU, AAAI 2023, arXiv 2302.05160).

Features pass a Transformer of global and local attention (gl_mhsa.py). Two memories of 60 prototypes, one normal, one
abnormal, are queried by S = sigmoid(x M^T / sqrt(d)) and read as S M; the mean of a segment's largest entries of S says
how well a memory knows it. What the normal memory returns gives mean and variance of a Gaussian, which is sampled in
training; at test the mean is used. Segment, sample and abnormal reading together are classified.

Loss: cross-entropy of the top-k score + 0.1 dual memory + 0.1 triplet + 0.001 KL + 0.0001 magnitude distance, k =
floor(T / 16) + 1 (13 of the paper's 200 segments). The paper trains with Adam at 1e-4, weight decay 5e-5, 64 and 64
videos a batch.
Free choices where it is silent, or where its text could not be had:
- a segment's memory score is the mean of its floor(60 / 16) + 1 largest entries
- dual memory: all segments of normal videos are known to the normal memory and unknown to the abnormal one; the top-k
  of anomalous videos are known to each (four cross-entropies)
- triplet: anchor the normal reading of normal videos, positive the normal reading of anomalous videos, negative their
  abnormal reading, each the mean of the top-k by that memory, of length 1; margin 1
- the KL term covers normal videos' segments, summed over channels; log-variances are held to +-10
- magnitude: the norm of sample + abnormal reading, top-k by norm, anomalous over normal by a margin of 100, all pairs
- memories start as normal noise of spread 1 / sqrt(width); layers, heads, dropout and the classifier's 128 hidden units
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from refinevad.peers.base import Head, HeadConfig, HeadOutput, is_anomalous
from refinevad.peers.gl_mhsa import Enhancer
from refinevad.peers.selection import cross_entropy_of, mean_of, mean_over, pairwise_hinge, top_segments
from refinevad.segment_model import normal_rows
from refinevad.top_k import K_DIVISOR, bag_sizes

TRIPLET_MARGIN = 1.0  # between readings of length 1; our choice


@dataclass(frozen=True)
class URDMUConfig(HeadConfig):
    """Attributes beyond HeadConfig's.

    width, layers, heads, dropout: of the Transformer.
    memory: prototypes of each memory.
    hidden: units of the classifier.
    dual_memory, triplet, kl, magnitude: weights of the terms.
    margin: of the magnitude distance.
    """

    width: int = 512
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1
    memory: int = 60
    hidden: int = 128
    k_divisor: int = K_DIVISOR
    dual_memory: float = 0.1
    triplet: float = 0.1
    kl: float = 1e-3
    magnitude: float = 1e-4
    margin: float = 100.0


@dataclass(frozen=True)
class URDMUOutput(HeadOutput):
    """What the memories say of each segment.

    Attributes:
        normal_known, abnormal_known: memory score of each segment, in [0, 1].
        normal_reading, abnormal_reading: what each memory returns.
        mean, log_variance: of the Gaussian that the normal reading stands for.
        magnitude: norm of sample + abnormal reading; 0 where padded.
    """

    normal_known: Float[Tensor, "video segment"]
    abnormal_known: Float[Tensor, "video segment"]
    normal_reading: Float[Tensor, "video segment width"]
    abnormal_reading: Float[Tensor, "video segment width"]
    mean: Float[Tensor, "video segment width"]
    log_variance: Float[Tensor, "video segment width"]
    magnitude: Float[Tensor, "video segment"]


class Memory(nn.Module):
    """A bank of learnt prototypes."""

    def __init__(self, slots: int, width: int) -> None:
        super().__init__()
        self.slots = nn.Parameter(normal_rows(slots, width, divisor=width**0.5))
        self.k = min(slots, slots // K_DIVISOR + 1)

    def forward(
        self, h: Float[Tensor, "video segment width"]
    ) -> tuple[Float[Tensor, "video segment"], Float[Tensor, "video segment width"]]:
        """Return (how well each segment is known, the reading)."""
        query = torch.sigmoid(h @ self.slots.T / h.shape[-1] ** 0.5)
        return query.topk(self.k, dim=-1).values.mean(-1), query @ self.slots


class URDMU(Head[URDMUOutput]):
    """Two memories, normal and abnormal, and a Gaussian for what is normal."""

    def __init__(self, config: URDMUConfig) -> None:
        super().__init__(config)
        self.config = config
        self.enhance = Enhancer(config.channels, config.width, config.layers, config.heads, config.dropout)
        self.normal = Memory(config.memory, config.width)
        self.abnormal = Memory(config.memory, config.width)
        self.mean = nn.Linear(config.width, config.width)
        self.log_variance = nn.Linear(config.width, config.width)
        self.classify = nn.Sequential(
            nn.Linear(2 * config.width, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, 1),
        )

    def score(self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]) -> URDMUOutput:
        h = self.enhance(x, mask)
        normal_known, normal_reading = self.normal(h)
        abnormal_known, abnormal_reading = self.abnormal(h)
        mean = self.mean(normal_reading)
        log_variance = self.log_variance(normal_reading).clamp(-10.0, 10.0)
        sample = mean
        if self.training:
            sample = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        both = sample + abnormal_reading
        logits = self.classify(torch.cat([h, both], dim=-1)).squeeze(-1)
        return URDMUOutput(
            logits * mask,
            None,
            normal_known,
            abnormal_known,
            normal_reading,
            abnormal_reading,
            mean,
            log_variance,
            both.square().sum(-1).add(1e-12).sqrt() * mask,
        )

    def loss(
        self, output: URDMUOutput, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
    ) -> dict[str, Tensor]:
        """`mil`, `dual_memory`, `triplet`, `kl` and `magnitude`, weighted."""
        anomalous, k = is_anomalous(labels), bag_sizes(mask, self.config.k_divisor)
        video = mean_over(output.scores, top_segments(output.logits, mask, k))
        norm = mean_over(output.magnitude, top_segments(output.magnitude, mask, k))
        return {
            "mil": cross_entropy_of(video, anomalous.to(video.dtype), torch.ones_like(anomalous)),
            "dual_memory": self.config.dual_memory * dual_memory_loss(output, anomalous, mask, k),
            "triplet": self.config.triplet * triplet_loss(output, anomalous, mask, k, TRIPLET_MARGIN),
            "kl": self.config.kl * kl_loss(output, anomalous, mask),
            "magnitude": self.config.magnitude * pairwise_hinge(norm[anomalous], norm[~anomalous], self.config.margin),
        }


def dual_memory_loss(
    output: URDMUOutput, anomalous: Bool[Tensor, "video"], mask: Bool[Tensor, "video segment"], k: Int[Tensor, "video"]
) -> Float[Tensor, ""]:
    """Each memory is to know its own: four cross-entropies, the mean over the videos they concern."""
    known, other = output.normal_known, output.abnormal_known
    ordinary = mask & ~anomalous[:, None]
    of_known = mean_over(known, top_segments(known, mask, k))
    of_other = mean_over(other, top_segments(other, mask, k))
    return (
        cross_entropy_of(known, torch.ones_like(known), ordinary)
        + cross_entropy_of(other, torch.zeros_like(other), ordinary)
        + cross_entropy_of(of_known, torch.ones_like(of_known), anomalous)
        + cross_entropy_of(of_other, torch.ones_like(of_other), anomalous)
    )


def triplet_loss(
    output: URDMUOutput,
    anomalous: Bool[Tensor, "video"],
    mask: Bool[Tensor, "video segment"],
    k: Int[Tensor, "video"],
    margin: float,
) -> Float[Tensor, ""]:
    """Mean over anomalous videos of max(0, |anchor - positive| - |anchor - negative| + margin)."""
    normal = mean_over(output.normal_reading, top_segments(output.normal_known, mask, k))
    abnormal = mean_over(output.abnormal_reading, top_segments(output.abnormal_known, mask, k))
    if anomalous.all() or not anomalous.any():
        return normal.sum() * 0 + abnormal.sum() * 0
    anchor = F.normalize(normal[~anomalous].mean(0, keepdim=True), dim=-1)
    positive = F.normalize(normal[anomalous], dim=-1)
    negative = F.normalize(abnormal[anomalous], dim=-1)
    return torch.relu(_distance(anchor, positive) - _distance(anchor, negative) + margin).mean()


def _distance(a: Float[Tensor, "#video width"], b: Float[Tensor, "video width"]) -> Float[Tensor, "video"]:
    return (a - b).square().sum(-1).add(1e-12).sqrt()


def kl_loss(
    output: URDMUOutput, anomalous: Bool[Tensor, "video"], mask: Bool[Tensor, "video segment"]
) -> Float[Tensor, ""]:
    """KL(N(mean, variance) || N(0, 1)), summed over channels, mean over the segments of normal videos."""
    spread = output.log_variance.exp()
    each = 0.5 * (output.mean.square() + spread - 1 - output.log_variance).sum(-1)
    return mean_of(each, mask & ~anomalous[:, None])
