"""Evidence a segment carries by itself, beside MoTAR and CORE: a linear reading, and likeness to written prompts.

Both are ours, not the paper's. RefineVAD refines what a segment means by its neighbours and its video; on small or
weak features that refinement alone learns which videos, not when. A path without context keeps the moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.ridge import CLIP, Ridge
from refinevad.standardising import standardised

_QUIET = -2.5  # an untrained path says: nothing here
_NO_CATEGORY = 0.0  # the logit of "none of the categories", which d_t is measured against


@dataclass(frozen=True)
class Prompts:
    """Sentences that describe categories, embedded by the encoder that made the features.

    Attributes:
        vectors: one embedding a sentence, in the features' space.
        owner: which category a sentence describes; the number of categories itself for normal life.
        center: mean of the training segments, taken off before likeness is measured.
    """

    vectors: Float[Tensor, "prompt channel"]
    owner: tuple[int, ...]
    center: Float[Tensor, "channel"]


class DirectEvidence(nn.Module):
    """d_t = W x_t + b: a logit for each category against none of them, from the segment alone."""

    def __init__(self, channels: int, categories: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, categories)
        nn.init.zeros_(self.linear.weight)
        nn.init.constant_(self.linear.bias, _QUIET)

    def forward(self, x: Float[Tensor, "video segment channel"]) -> Float[Tensor, "video segment category"]:
        evidence: Tensor = self.linear(self.dropout(x))
        return evidence


class RidgeEvidence(nn.Module):
    """A penalised linear model as the direct path: fitted before training (training/ridge.py: fit_teacher), then kept.

    d_c = l + log share_c, where l is its anomaly logit, so that the evidence's presence logit is l itself.
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor
    share_weight: Tensor
    share_bias: Tensor

    def __init__(self, channels: int, categories: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("weight", torch.zeros(channels))
        self.register_buffer("bias", torch.zeros(()))
        self.register_buffer("share_weight", torch.zeros(categories, channels))
        self.register_buffer("share_bias", torch.zeros(categories))

    @torch.no_grad()
    def take(self, ridge: Ridge) -> None:
        """Take over the numbers of a ridge fitted to the channels the model looks at."""
        for name in ("mean", "scale", "weight", "share_weight", "share_bias"):
            getattr(self, name).copy_(torch.from_numpy(np.ascontiguousarray(getattr(ridge, name))))
        self.bias.fill_(ridge.bias)

    def forward(self, x: Float[Tensor, "video segment channel"]) -> Float[Tensor, "video segment category"]:
        """Evidence of segments as they come, not standardised."""
        standard = standardised(x, self.mean, self.scale, CLIP)
        shares = (standard @ self.share_weight.T + self.share_bias).log_softmax(-1)
        return (standard @ self.weight + self.bias)[..., None] + shares


class PromptPrior(nn.Module):
    """How much more a segment is like the prompts of a category than like those of normal life.

    S_c = max over the category's prompts of the cosine with the centred segment; prior = max_c S_c - max over the
    normal prompts. Both are standardised with the training set's statistics. An empty segment has neither.
    """

    vectors: Tensor
    center: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int, categories: int, owner: Sequence[int]) -> None:
        super().__init__()
        self.owner, self.categories = tuple(owner), categories
        self.register_buffer("vectors", torch.zeros(len(owner), channels))
        self.register_buffer("center", torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(categories + 1))
        self.register_buffer("scale", torch.ones(categories + 1))

    @torch.no_grad()
    def fit(
        self,
        prompts: Prompts,
        x: Float[Tensor, "video segment channel"],
        mask: Bool[Tensor, "video segment"],
    ) -> None:
        """Take the prompts, and the statistics of their likeness from training segments that are not empty."""
        self.vectors.copy_(prompts.vectors)
        self.center.copy_(prompts.center)
        likeness = torch.cat(self._raw(x), dim=-1)[mask & x.ne(0).any(-1)]
        self.mean.copy_(likeness.mean(0))
        self.scale.copy_(likeness.std(0).clamp_min(1e-6))

    def forward(
        self, x: Float[Tensor, "video segment channel"]
    ) -> tuple[Float[Tensor, "video segment category"], Float[Tensor, "video segment"]]:
        """Return (S, prior), standardised."""
        spoken = x.ne(0).any(-1, keepdim=True)
        likeness = (torch.cat(self._raw(x), dim=-1) - self.mean) / self.scale * spoken
        return likeness[..., :-1], likeness[..., -1]

    def _raw(
        self, x: Float[Tensor, "video segment channel"]
    ) -> tuple[Float[Tensor, "video segment category"], Float[Tensor, "video segment 1"]]:
        cosine = F.normalize(x - self.center, dim=-1) @ F.normalize(self.vectors - self.center, dim=-1).T
        of = [self._owned(cosine, category) for category in range(self.categories + 1)]
        categories = torch.stack(of[:-1], dim=-1)
        return categories, (categories.amax(-1) - of[-1])[..., None]

    def _owned(self, cosine: Float[Tensor, "video segment prompt"], owner: int) -> Float[Tensor, "video segment"]:
        places = [place for place, name in enumerate(self.owner) if name == owner]
        return cosine[..., places].amax(-1)


def presence_logit(evidence: Float[Tensor, "*shape category"]) -> Float[Tensor, "*shape"]:
    """Log-odds that some category is there rather than none: log sum_c exp(d_c) against exp(0)."""
    return evidence.logsumexp(-1) - _NO_CATEGORY


def masked_mean(
    values: Float[Tensor, "video segment *rest"], mask: Bool[Tensor, "video segment"]
) -> Float[Tensor, "video 1 *rest"]:
    """Mean over each video's real segments."""
    weight = mask.view(*mask.shape, *([1] * (values.ndim - 2))).to(values.dtype)
    return (values * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)


def labels_as_targets(labels: Float[Tensor, "video category"]) -> Float[Tensor, "video target"]:
    """Probabilities over (none, each category): several labels share equally, no label is none."""
    none = (labels.sum(-1, keepdim=True) == 0).to(labels.dtype)
    return torch.cat([none, labels / labels.sum(-1, keepdim=True).clamp_min(1.0)], dim=-1)
