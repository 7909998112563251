"""How a segment's direct and refined logits become one, and which part of the one is whose.

With `ridge` both paths are brought to one scale: each is standardised by its mean and spread over the training
segments, and their average is put on the refined path's scale. Otherwise they are added. Every pair here is
(direct, refined).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refinevad.evidence import masked_mean, presence_logit
from refinevad.model_config import RefineVADConfig
from refinevad.model_output import Output
from refinevad.smoothing import smooth


def direct_logit(
    evidence: Float[Tensor, "video segment category"], mask: Bool[Tensor, "video segment"], config: RefineVADConfig
) -> Float[Tensor, "video segment"]:
    """The direct path's logit that any category is there, averaged over time as `direct_smoothing` says."""
    return smooth(presence_logit(evidence)[..., None], mask, config.half_widths[0]).squeeze(-1)


def refined_logit(
    refined: Float[Tensor, "video segment"], mask: Bool[Tensor, "video segment"], config: RefineVADConfig
) -> Float[Tensor, "video segment"]:
    """The refined path's logit as it enters the score: less its mean (`centre_head`), averaged over time."""
    if config.centre_head:
        refined = refined - masked_mean(refined, mask)
    return smooth(refined[..., None], mask, config.half_widths[1]).squeeze(-1)


def both_logits(output: Output, mask: Bool[Tensor, "video segment"]) -> Float[Tensor, "real 2"]:
    """(direct, refined) of a batch's real segments, averaged over time as scores are: what `average` is fitted to."""
    config = output.config
    direct = direct_logit(output.evidence, mask, config)
    refined = smooth(output.refined[..., None], mask, config.half_widths[1]).squeeze(-1)
    return smooth(torch.stack([direct, refined], dim=-1), mask, config.smoothing)[mask]


def average(
    direct: Float[Tensor, "video segment"],
    refined: Float[Tensor, "video segment"],
    mean: Float[Tensor, "2"],
    scale: Float[Tensor, "2"],
    share: float,
) -> Float[Tensor, "video segment"]:
    """The average of both paths' logits on the refined one's scale; `share` is the refined one's part in it."""
    of_direct, of_refined = (direct - mean[0]) / scale[0], (refined - mean[1]) / scale[1]
    averaged: Tensor = (1 - share) * of_direct + share * of_refined
    return mean[1] + scale[1] * averaged


def summands(
    output: Output,
    mask: Bool[Tensor, "video segment"],
    matched: tuple[Float[Tensor, "2"], Float[Tensor, "2"]] | None,
    prior: Float[Tensor, "video segment"] | None,
) -> Float[Tensor, "video segment path"]:
    """What a segment's logit is the sum of, in the order of `PATHS` (paths.py); float64.

    `matched`: mean and scale of `average`, once both paths are on one scale. `prior`: the written prompts'.
    """
    config, nothing = output.config, torch.zeros_like(output.refined, dtype=torch.float64)
    refined = refined_logit(output.refined.double(), mask, config)
    direct = direct_logit(output.evidence.double(), mask, config) if config.direct else nothing
    base = nothing
    if not config.ridge:
        refined = config.head_weight * refined
    elif matched is not None:
        (mean, scale), share = (pair.double() for pair in matched), config.head_weight
        direct = scale[1] * (1 - share) * (direct - mean[0]) / scale[0]
        refined = share * (refined - mean[1])
        base = nothing + mean[1]
    else:  # the refined path counts alone
        direct = nothing
    prompted = nothing if prior is None else prior.double()
    return smooth(torch.stack([base, direct, refined, prompted, nothing], dim=-1), mask, config.smoothing)
