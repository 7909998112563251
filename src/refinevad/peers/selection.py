"""Which segments speak for a video, and means over them: the top-k rules that the heads share."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float, Int
from torch import Tensor


def top_segments(
    criterion: Float[Tensor, "video segment"], mask: Bool[Tensor, "video segment"], k: Int[Tensor, "video"]
) -> Bool[Tensor, "video segment"]:
    """The k[v] real segments of each video with the largest criterion, the earlier one where two are equal."""
    ranked = criterion.detach().masked_fill(~mask, float("-inf")).sort(dim=1, descending=True, stable=True).indices
    rank = torch.empty_like(ranked).scatter_(
        1, ranked, torch.arange(ranked.shape[1], device=k.device).expand_as(ranked)
    )
    return (rank < k[:, None]) & mask


def mean_over(
    values: Float[Tensor, "video segment *rest"], chosen: Bool[Tensor, "video segment"]
) -> Float[Tensor, "video *rest"]:
    """Mean of each video's chosen segments; 0 where a video has none."""
    weight = chosen.view(*chosen.shape, *([1] * (values.ndim - 2)))
    total = torch.where(weight, values, torch.zeros_like(values)).sum(1)
    return total / weight.sum(1).clamp_min(1).to(values.dtype)


def mean_of(values: Float[Tensor, "..."], chosen: Bool[Tensor, "..."]) -> Float[Tensor, ""]:
    """Mean of the chosen values; 0, with gradient 0, where none is."""
    return torch.where(chosen, values, torch.zeros_like(values)).sum() / chosen.sum().clamp_min(1).to(values.dtype)


def smoothness(scores: Float[Tensor, "video segment"], mask: Bool[Tensor, "video segment"]) -> Float[Tensor, "video"]:
    """Sum over each video of (s_t - s_{t+1})^2, of real neighbours; 0 for a single segment."""
    both = mask[:, 1:] & mask[:, :-1]
    step = torch.where(both, scores[:, 1:] - scores[:, :-1], torch.zeros_like(scores[:, 1:]))
    return step.square().sum(1)


def pairwise_hinge(
    anomalous: Float[Tensor, "anomalous"], normal: Float[Tensor, "normal"], margin: float
) -> Float[Tensor, ""]:
    """Mean over all pairs of max(0, margin - anomalous + normal); 0 where a batch has only one kind."""
    if not len(anomalous) or not len(normal):
        return anomalous.sum() * 0 + normal.sum() * 0
    return torch.relu(margin - anomalous[:, None] + normal[None, :]).mean()


def cross_entropy_of(
    probability: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"], counted: Bool[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy of the counted probabilities; 0 where none is."""
    return mean_of(F.binary_cross_entropy(probability, target, reduction="none"), counted)
