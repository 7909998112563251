"""The losses, each a pure function of (output, labels, mask): L = L_MIL + a L_GMM + b L_cat (+ our additions)."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor

from refinevad.evidence import labels_as_targets
from refinevad.joining import direct_logit
from refinevad.model_output import Output
from refinevad.smoothing import smooth
from refinevad.top_k import K_DIVISOR, bag_sizes

PSEUDO_HIGH, PSEUDO_LOW = 0.4, 0.35  # shares of an anomalous video's segments that a teacher is sure of
_SPREAD_FLOOR = 1.0  # a category's Gaussian is never narrower than a segment


def top_k_mean(
    values: Float[Tensor, "video segment *rest"],
    mask: Bool[Tensor, "video segment"],
    divisor: int = K_DIVISOR,
) -> Float[Tensor, "video *rest"]:
    """Mean of each video's k largest values over real segments."""
    k = bag_sizes(mask, divisor)
    shape = (*mask.shape, *([1] * (values.ndim - 2)))
    ordered = values.masked_fill(~mask.view(shape), float("-inf")).topk(int(k.max()), dim=1).values
    place = torch.arange(ordered.shape[1], device=k.device)
    counted = (place[None] < k[:, None]).view(*ordered.shape[:2], *([1] * (values.ndim - 2)))
    return ordered.masked_fill(~counted, 0.0).sum(1) / k.view(-1, *([1] * (values.ndim - 2)))


def mil_loss(
    output: Output,
    labels: Float[Tensor, "video category"],
    mask: Bool[Tensor, "video segment"],
    divisor: int = K_DIVISOR,
) -> Float[Tensor, ""]:
    """L_MIL: binary cross-entropy between a video's top-k mean logit and whether it is anomalous."""
    anomalous = (labels.sum(-1) > 0).to(output.logits.dtype)
    return F.binary_cross_entropy_with_logits(top_k_mean(output.logits, mask, divisor), anomalous)


def category_loss(output: Output, labels: Float[Tensor, "video category"]) -> Float[Tensor, ""]:
    """L_cat: cross-entropy between (absent, present) logits and the labels; normal is the absence of all."""
    log_p = output.category_logits.log_softmax(-1)
    return -(labels * log_p[..., 1] + (1 - labels) * log_p[..., 0]).mean()


def posterior_loss(
    output: Output,
    labels: Float[Tensor, "video category"],
    mask: Bool[Tensor, "video segment"],
    divisor: int = K_DIVISOR,
) -> Float[Tensor, ""]:
    """MIL for each category on the per-segment posterior (ours): its top-k mean logit against the label."""
    return F.binary_cross_entropy_with_logits(top_k_mean(output.segment_logits, mask, divisor), labels)


def category_mixture(output: Output, mask: Bool[Tensor, "video segment"]) -> Float[Tensor, "video segment"]:
    """s_gmm[t] = sum_c w_c G_c(t): each category's attention over time, moment-matched to a Gaussian.

    Attention of category c is the pooling weight times its presence in the segment, normalised over time (our
    reading; the paper's is open). G_c(t) = exp(-(t - mu_c)^2 / (2 sigma_c^2)), at most 1.
    """
    attention = output.coarse[..., None] * torch.sigmoid(output.segment_logits) * mask[..., None]
    attention = attention / attention.sum(1, keepdim=True).clamp_min(1e-9)
    t = torch.arange(mask.shape[1], device=mask.device, dtype=attention.dtype)[None, :, None]
    mu = (attention * t).sum(1, keepdim=True)
    variance = (attention * (t - mu) ** 2).sum(1, keepdim=True) + _SPREAD_FLOOR**2
    gaussians = torch.exp(-((t - mu) ** 2) / (2 * variance))
    return torch.einsum("vsc,vc->vs", gaussians, output.mixture) * mask


def gmm_loss(
    output: Output, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
) -> Float[Tensor, ""]:
    """L_GMM: mean squared distance between scores and the category mixture, over anomalous videos' segments.

    Normal videos have no event to complete; a batch without anomalous ones gives 0.
    """
    weight = mask * (labels.sum(-1, keepdim=True) > 0)
    distance = (output.scores - category_mixture(output, mask)) ** 2
    return (distance * weight).sum() / weight.sum().clamp_min(1)


def pseudo_labels(
    teacher: Float[Tensor, "video segment"],
    labels: Float[Tensor, "video category"],
    mask: Bool[Tensor, "video segment"],
    high: float = PSEUDO_HIGH,
    low: float = PSEUDO_LOW,
) -> tuple[Bool[Tensor, "video segment"], Bool[Tensor, "video segment"]]:
    """(anomalous, normal) segments by a teacher's scores (ours).

    In an anomalous video the `high` share of the segments that score highest counts as anomalous, at least one; the
    `low` share that scores lowest as normal; what lies between is neither. A normal video is normal.
    """
    lengths = mask.sum(-1, keepdim=True)
    order = teacher.masked_fill(~mask, float("-inf")).argsort(dim=-1, descending=True, stable=True)
    rank = order.argsort(dim=-1)
    anomalous = labels.sum(-1, keepdim=True) > 0
    most = (high * lengths).round().clamp_min(1)
    top = mask & anomalous & (rank < most)
    bottom = mask & anomalous & (rank >= torch.maximum(lengths - (low * lengths).round(), most))
    return top, bottom | (mask & ~anomalous)


def _sure_of(
    output: Output, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
) -> tuple[Bool[Tensor, "video segment"], Bool[Tensor, "video segment"]]:
    """`pseudo_labels` by the direct path, averaged over time as it is in the score; it takes no gradient."""
    direct = direct_logit(output.evidence.detach(), mask, output.config)
    teacher = smooth(direct[..., None], mask, output.config.smoothing).squeeze(-1)
    return pseudo_labels(teacher, labels, mask)


def pseudo_label_loss(
    output: Output, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the refined logits with what the direct path, averaged over time, is surest of (ours)."""
    anomalous, normal = _sure_of(output, labels, mask)
    chosen = (anomalous | normal).to(output.refined.dtype)
    each = F.binary_cross_entropy_with_logits(output.refined, anomalous.to(output.refined.dtype), reduction="none")
    return ((each * chosen).sum(1) / chosen.sum(1).clamp_min(1)).mean()


def naming_loss(
    output: Output, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
) -> Float[Tensor, ""]:
    """Cross-entropy of a segment's shares among the categories with its video's, over pseudo-anomalous segments (ours).

    A batch without anomalous videos, or a single category, gives 0.
    """
    anomalous, _ = _sure_of(output, labels, mask)
    target = labels / labels.sum(-1, keepdim=True).clamp_min(1)
    each = -(output.segment_logits.log_softmax(-1) * target[:, None]).sum(-1) * anomalous
    return (each.sum(1) / anomalous.sum(1).clamp_min(1)).mean()


def inheritance_loss(
    output: Output, labels: Float[Tensor, "video category"], mask: Bool[Tensor, "video segment"]
) -> Float[Tensor, ""]:
    """Every segment inherits its video's label (ours, for the direct path): cross-entropy of softmax([0, d_t]).

    Wrong for the quiet segments of an anomalous video, but what they share with normal videos cancels out.
    """
    evidence = output.evidence
    log_p = torch.cat([torch.zeros_like(evidence[..., :1]), evidence], dim=-1).log_softmax(-1)
    each = -(log_p * labels_as_targets(labels)[:, None, :]).sum(-1) * mask
    return (each.sum(1) / mask.sum(1)).mean()
