"""A model as a graph that other programs run: a window's features in, its scores out.

What refinevad does to one window (scoring/scores.py: score_windows) is all in the graph: the channels that are read,
standardisation, the head, merging of equal segments, smoothing over a share of the length, the video's own evidence.
Cutting a long video into windows and blending them is the caller's (docs/export.md).
"""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.scoring.scores import SMOOTHING_LEAST, SMOOTHING_MOST
from refinevad.scoring.tokens import EQUAL
from refinevad.segment_model import SegmentModel
from refinevad.transformer import DISTANCE_BUCKETS, EncoderBlock, RelativePosition

INPUT = "features"
OUTPUTS = ("logits", "share_logits", "presence", "scores", "category_scores")
AXES = {
    "features": ("window", "segment", "channel"),
    "logits": ("window", "segment"),
    "share_logits": ("window", "segment", "category"),
    "presence": ("window", "category"),
    "scores": ("window", "segment"),
    "category_scores": ("window", "segment", "category"),
}
_REACH = int(4.0 * SMOOTHING_MOST + 0.5)  # segments to either side, of the widest Gaussian
_MOST_LENGTHS = 100_000  # 18 hours of segments; longer ones are averaged as these are


class ExportedHead(nn.Module):
    """A model's whole work on windows, all of one length; with `merge_runs` on a single one.

    The model is changed: what no exporter knows is replaced by what gives the same numbers.
    """

    undecided: Tensor

    def __init__(self, model: SegmentModel) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.config = model.config
        for block in self.model.modules():
            if isinstance(block, EncoderBlock) and block.position is not None:
                block.position = TracedPosition(block.position)  # type: ignore[assignment]
        share = self.config.relative_smoothing
        self.smooth = RelativeGaussian(share) if share else None
        self.register_buffer("undecided", torch.tensor(model.undecided), persistent=False)
        self.eval()  # exporters put a graph back into the mode they found it in

    def forward(
        self, features: Float[Tensor, "window segment channel"]
    ) -> tuple[
        Float[Tensor, "window segment"],
        Float[Tensor, "window segment category"],
        Float[Tensor, "window category"],
        Float[Tensor, "window segment"],
        Float[Tensor, "window segment category"],
    ]:
        """(logits, share_logits, presence, scores, category_scores); the last two are final where windows are alone."""
        rows, presence, video = self._of_tokens(features) if self.config.merge_runs else self._of_segments(features)
        if self.smooth is not None:
            rows = self.smooth(rows)
        logits = rows[..., 0] + self.config.video_weight * video[:, None]
        shares = rows[..., 1:]
        scores = torch.sigmoid(logits)
        return logits, shares, presence, scores, scores[..., None] * shares.softmax(-1)

    def _of_segments(
        self, x: Float[Tensor, "window segment channel"]
    ) -> tuple[Float[Tensor, "window segment row"], Float[Tensor, "window category"], Float[Tensor, "window"]]:
        """Rows (logit, share logits), presence, and the evidence of the whole window."""
        mask = torch.ones_like(x[..., 0], dtype=torch.bool)
        output = self.model(x, mask)
        rows = torch.cat([output.logits[..., None], output.share_logits], dim=-1)
        evidence = output.video_evidence if self.config.direct else output.logits.mean(1)
        return rows, output.presence, evidence

    def _of_tokens(
        self, x: Float[Tensor, "1 segment channel"]
    ) -> tuple[Float[Tensor, "1 segment row"], Float[Tensor, "1 category"], Float[Tensor, "1"]]:
        """The same with equal neighbours as one and empty segments left out (scoring/tokens.py)."""
        values = x[0]
        first = torch.ones_like(values[:1, 0], dtype=torch.bool)
        opens = torch.cat([first, (values[1:] - values[:-1]).abs().amax(1) > EQUAL])
        spoken = opens & values.ne(0).any(1)
        some = spoken.any()
        # where nothing is said the first segment stands in, so that there is a token; what it gives is not used
        kept = spoken | (torch.cat([first, torch.zeros_like(opens[1:])]) & ~some)
        of_tokens, presence, video = self._of_segments(values[kept.nonzero()[:, 0]][None])
        place, is_said = _places(opens, spoken)
        filling = of_tokens[0].mean(0)
        if self.config.empty == "zero":
            filling = torch.cat([self.undecided[None], filling[1:]])
        rows = torch.where(is_said[:, None], of_tokens[0][place], filling)
        return torch.where(some, rows, torch.zeros_like(rows))[None], presence * some, video * some


def _places(opens: Bool[Tensor, "segment"], spoken: Bool[Tensor, "segment"]) -> tuple[Tensor, Bool[Tensor, "segment"]]:
    """Each segment's token, and whether its run is one rather than empty."""
    run = opens.long().cumsum(0) - 1
    said_of_run = spoken[opens.nonzero()[:, 0]]
    token_of_run = said_of_run.long().cumsum(0) - 1
    return token_of_run[run].clamp_min(0), said_of_run[run]


class RelativeGaussian(nn.Module):
    """`scoring.scores.gaussian` with a deviation of this share of the length, as a sum over fixed offsets."""

    table: Tensor

    def __init__(self, share: float) -> None:
        super().__init__()
        lengths = np.arange(min(math.ceil(SMOOTHING_MOST / share) + 2, _MOST_LENGTHS))
        sigma = np.clip(share * lengths, SMOOTHING_LEAST, SMOOTHING_MOST)
        # in float64 as there, and looked up: a step of the reach is seen in the scores
        table = np.stack([sigma, np.floor(4.0 * sigma + 0.5)])
        self.register_buffer("table", torch.from_numpy(table).float(), persistent=False)

    def forward(self, values: Float[Tensor, "window segment row"]) -> Float[Tensor, "window segment row"]:
        """Averaged over time; the first and last segments stand in for what lies outside."""
        place = torch.ones_like(values[0, :, 0], dtype=torch.long).cumsum(0) - 1
        last = place[-1:]
        sigma, reach = self.table[:, (last + 1).clamp_max(self.table.shape[1] - 1)]
        offset = torch.arange(-_REACH, _REACH + 1, device=values.device)
        kernel = (-0.5 * (offset / sigma).square()).exp() * (offset.abs() <= reach)
        seen = (place[:, None] + offset).clamp_min(0).minimum(last)
        averaged: Tensor = (values[:, seen] * (kernel / kernel.sum())[:, None]).sum(2)
        return averaged


class TracedPosition(nn.Module):
    """`RelativePosition` in operations that exporters know, for any length."""

    powers: Tensor

    def __init__(self, position: RelativePosition) -> None:
        super().__init__()
        self.bias = position.bias
        self.register_buffer("powers", 2.0 ** torch.arange(DISTANCE_BUCKETS), persistent=False)

    def forward(self, segments: Any) -> Float[Tensor, "head segment segment"]:
        place = torch.arange(segments, device=self.bias.device)
        line = torch.arange(1 - segments, segments, device=self.bias.device)
        # the bit length of |distance| is how many powers of two it reaches
        length = (line.abs()[:, None] >= self.powers).long().sum(-1)
        of_line = self.bias[:, line.sign() * length + DISTANCE_BUCKETS]
        # `RelativePosition.forward`: query i, key j -> the line's place j - i
        return of_line[:, place[None, :] - place[:, None] + segments - 1]
