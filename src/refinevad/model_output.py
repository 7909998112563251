"""What one pass of RefineVAD over padded videos yields: logits, and what they were made of."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Float
from torch import Tensor

from refinevad.model_config import RefineVADConfig


@dataclass(frozen=True)
class Output:
    """What one pass yields; `logits` before the sigmoid, for stable losses. Padded segments hold 0.

    Attributes:
        logits: anomaly logit of each segment.
        coarse: softmax of the coarse score a_t over time: the pooling weights.
        category_logits: z, (absent, present) for each category of the video.
        mixture: w, the video's soft categories (without the label), summing to 1.
        segment_logits: presence logit of each category in each segment.
        shift_ratio: r_t.
        embedding: the pooled video vector.
        refined: the refined head's own logit, before any average over time.
        evidence: d_t, what each segment says by itself (zeros without the direct path).
        video_evidence: the mean evidence's log-odds that the video holds any category (zeros without it).
    """

    logits: Float[Tensor, "video segment"]
    coarse: Float[Tensor, "video segment"]
    category_logits: Float[Tensor, "video category 2"]
    mixture: Float[Tensor, "video category"]
    segment_logits: Float[Tensor, "video segment category"]
    shift_ratio: Float[Tensor, "video segment"]
    embedding: Float[Tensor, "video width"]
    refined: Float[Tensor, "video segment"]
    evidence: Float[Tensor, "video segment category"]
    video_evidence: Float[Tensor, "video"]
    config: RefineVADConfig

    @property
    def scores(self) -> Float[Tensor, "video segment"]:
        """Anomaly score of each segment, in [0, 1]."""
        return torch.sigmoid(self.logits)

    @property
    def presence(self) -> Float[Tensor, "video category"]:
        """p_c: probability that the category occurs in the video."""
        return self.category_logits.softmax(-1)[..., 1]

    @property
    def share_logits(self) -> Float[Tensor, "video segment category"]:
        """Logits of a segment's share among categories: the video's mixture, or with a per-segment posterior."""
        if not self.config.segment_posterior:
            return self.mixture[:, None, :].clamp_min(1e-6).log().expand_as(self.segment_logits)
        if self.config.direct:
            present = self.category_logits[..., 1] - self.category_logits[..., 0]
            return present[:, None, :] + self.segment_logits
        return self.mixture[:, None, :].clamp_min(1e-6).log() + F.logsigmoid(self.segment_logits)

    @property
    def category_scores(self) -> Float[Tensor, "video segment category"]:
        """Score of each category at each segment: score_t shared out among the categories."""
        return self.scores[..., None] * self.share_logits.softmax(-1)
