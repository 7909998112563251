"""Zhou et al.: BatchNorm-based weakly supervised video anomaly detection (BN-WVAD, 2023, arXiv 2311.15367).

UR-DMU's Transformer gives 512 channels; two convolutions of one segment (32 and 16 channels), each with BatchNorm and
ReLU, lead to a classifier. What BatchNorm holds as mean and variance is the statistic of normality: a segment's
divergence of feature from mean (DFM), the Mahalanobis distance with diagonal variance to the running statistics, says
how abnormal it is. Score = classifier x (DFM of the first layer + of the second).

Loss: L_nor + 5 L_mpp(first) + 20 L_mpp(second). L_nor is the l2 norm of the classifier's scores over a normal video,
the classifier's only supervision. The mean-based pull-push loss pulls selected normal segments to the mean and pushes
selected anomalous ones away by a margin of 1. Segments are selected by DFM, at the level of the video and of the batch
(the union of both), for videos differ in how much of them is anomalous.
The paper trains on 200 segments a video with Adam at 1e-4, weight decay 5e-5, 64 and 64 videos a batch.
Free choices where it is silent, or where its text could not be had:
- DFM is the root of the quadratic form; the running statistics in it are constants, for the gradient
- shares selected: 10 % of each video, 20 % of the batch's segments of its kind (at least one segment each)
- anomalous and normal segments selected are paired by rank; those the shorter list cannot pair are left out
- each layer selects by its own DFM; normal segments are selected as anomalous ones are
- L_nor is scaled to the paper's 200 segments, so that it does not grow with a video
- a score without bound does not fit the interface: `logits` are log(classifier x DFM), and `scores` s / (1 + s), which
  keep the paper's order
- statistics leave padding out; a batch of a single segment is normalised by the running ones
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.errors import InputError
from refinevad.peers.base import Head, HeadConfig, HeadOutput, is_anomalous
from refinevad.peers.gl_mhsa import Enhancer
from refinevad.peers.selection import mean_of, mean_over, top_segments

LAYER_CHANNELS = (32, 16)
BAG = 200  # the paper's segments a video, to which L_nor is scaled
MOMENTUM = 0.1  # of the running statistics, as PyTorch has it


@dataclass(frozen=True)
class BNWVADConfig(HeadConfig):
    """Attributes beyond HeadConfig's.

    width, layers, heads, dropout: of the Transformer.
    sample_share, batch_share: of segments selected in each video and over the batch.
    first_mpp, second_mpp, margin: weights of the two pull-push terms, and their margin.
    """

    width: int = 512
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1
    sample_share: float = 0.1
    batch_share: float = 0.2
    first_mpp: float = 5.0
    second_mpp: float = 20.0
    margin: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("sample_share", "batch_share"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"head option {name} must be above 0 and at most 1: got {getattr(self, name)}")


@dataclass(frozen=True)
class BNWVADOutput(HeadOutput):
    """`class_logits`: of the classifier alone; `divergence`: DFM of both layers; both 0 where padded."""

    class_logits: Float[Tensor, "video segment"]
    divergence: Float[Tensor, "layer video segment"]


class SegmentNorm(nn.Module):
    """BatchNorm over the real segments of a batch, which also measures how far a segment is from the running mean."""

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_variance", torch.ones(channels))

    def forward(
        self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]
    ) -> tuple[Float[Tensor, "video segment channel"], Float[Tensor, "video segment"]]:
        """Return (normalised features, DFM); both 0 where padded."""
        real = x[mask]
        statistics = self.training and len(real) > 1
        normal = F.batch_norm(
            real, self.running_mean, self.running_variance, self.weight, self.bias, statistics, MOMENTUM
        )
        # a copy: the buffers move on at the next step, before this one's gradient may be taken
        mean, variance = self.running_mean.clone(), self.running_variance.clone()
        distance = ((real - mean).square() / (variance + 1e-5)).sum(-1).add(1e-12).sqrt()
        return _placed(normal, mask), _placed(distance, mask)


def _placed(values: Float[Tensor, "real *rest"], mask: Bool[Tensor, "video segment"]) -> Tensor:
    """Values of the real segments back in their places, 0 elsewhere."""
    out = values.new_zeros(*mask.shape, *values.shape[1:])
    out[mask] = values
    return out


class BNWVAD(Head[BNWVADOutput]):
    """What lies far from BatchNorm's mean is abnormal."""

    def __init__(self, config: BNWVADConfig) -> None:
        super().__init__(config)
        self.config = config
        self.enhance = Enhancer(config.channels, config.width, config.layers, config.heads, config.dropout)
        first, second = LAYER_CHANNELS
        self.reduce = nn.ModuleList([nn.Linear(config.width, first), nn.Linear(first, second)])
        self.norms = nn.ModuleList(SegmentNorm(channels) for channels in LAYER_CHANNELS)
        self.classify = nn.Linear(second, 1)

    def score(self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]) -> BNWVADOutput:
        h = self.enhance(x, mask)
        divergence = []
        for reduce, norm in zip(self.reduce, self.norms, strict=True):
            h, distance = norm(reduce(h), mask)
            h = torch.relu(h)
            divergence.append(distance)
        class_logits = self.classify(h).squeeze(-1)
        far = torch.stack(divergence)
        logits = F.logsigmoid(class_logits) + far.sum(0).clamp_min(1e-6).log()
        return BNWVADOutput(logits * mask, None, class_logits * mask, far)

    def loss(
        self, output: BNWVADOutput, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
    ) -> dict[str, Tensor]:
        """`normal`, `first_mpp` and `second_mpp`, weighted."""
        anomalous = is_anomalous(labels)
        power = mean_over(torch.sigmoid(output.class_logits).square(), mask)
        size = (BAG * power).add(1e-12).sqrt()
        first, second = (pull_push_loss(far, anomalous, mask, self.config) for far in output.divergence)
        return {
            "normal": mean_of(size, ~anomalous),
            "first_mpp": self.config.first_mpp * first,
            "second_mpp": self.config.second_mpp * second,
        }


def pull_push_loss(
    divergence: Float[Tensor, "video segment"],
    anomalous: Bool[Tensor, "video"],
    mask: Bool[Tensor, "video segment"],
    config: BNWVADConfig,
) -> Float[Tensor, ""]:
    """Mean of max(0, margin + DFM of a normal segment - DFM of an anomalous one) over pairs of equal rank."""
    push = selected(divergence, mask & anomalous[:, None], config)
    pull = selected(divergence, mask & ~anomalous[:, None], config)
    pairs = min(len(push), len(pull))
    if not pairs:
        return divergence.sum() * 0
    return torch.relu(config.margin + pull[:pairs] - push[:pairs]).mean()


def selected(
    divergence: Float[Tensor, "video segment"], candidates: Bool[Tensor, "video segment"], config: BNWVADConfig
) -> Float[Tensor, "selected"]:
    """DFM, largest first, of the candidates that are among the largest of their video or of the batch."""
    lengths = candidates.sum(1)
    k = (lengths * config.sample_share).ceil().long()
    of_video = top_segments(divergence, candidates, k)
    together = (candidates.sum() * config.batch_share).ceil().long()
    of_batch = top_segments(divergence.reshape(1, -1), candidates.reshape(1, -1), together[None]).view_as(candidates)
    return divergence[of_video | of_batch].sort(descending=True).values
