"""The light Transformer between MoTAR and CORE: pre-norm self-attention over all segments of a video."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn

from refinevad.model_config import RefineVADConfig

DISTANCE_BUCKETS = 12  # relative positions up to 2**11 segments apart are told apart, by powers of two
LONG = 512  # segments from which writing the table of relative positions costs more than reversing the queries


class RelativePosition(nn.Module):
    """A learnt bias for each head and signed distance, by powers of two, so that any length can be scored."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(heads, 2 * DISTANCE_BUCKETS + 1))

    def forward(self, segments: int) -> Float[Tensor, "head segment segment"]:
        return self.backwards(segments).flip(1)

    def backwards(self, segments: int) -> Float[Tensor, "head segment segment"]:
        """The table with its last row first: a view, since each row is a stretch of one line of 2 T - 1 distances."""
        distance = torch.arange(1 - segments, segments, device=self.bias.device)
        # bit length of |distance|, exact in float64
        power = torch.frexp(distance.abs().double()).exponent.clamp(max=DISTANCE_BUCKETS)
        line = self.bias[:, distance.sign() * power + DISTANCE_BUCKETS]
        return line.unfold(1, segments, 1)


class EncoderBlock(nn.Module):
    """Pre-norm self-attention over all segments of a video, and a feed-forward layer."""

    def __init__(self, config: RefineVADConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(config.width)
        self.query_key_value = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.position = RelativePosition(config.heads) if config.positions == "relative" else None
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, 2 * config.width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(2 * config.width, config.width),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, h: Float[Tensor, "video segment width"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment width"]:
        videos, segments, width = h.shape
        heads = self.query_key_value(self.attention_norm(h)).view(videos, segments, 3, self.heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = self._attend(query, key, value, mask)
        h = h + self.dropout(self.out(mixed.transpose(1, 2).reshape(videos, segments, width)))
        encoded: Tensor = h + self.dropout(self.feed_forward(h))
        return encoded

    def _attend(
        self,
        query: Float[Tensor, "video head segment part"],
        key: Float[Tensor, "video head segment part"],
        value: Float[Tensor, "video head segment part"],
        mask: Bool[Tensor, "video segment"],
    ) -> Float[Tensor, "video head segment part"]:
        segments, visible = mask.shape[1], mask[:, None, None, :]
        if self.position is None:
            return F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        if segments < LONG or torch.is_grad_enabled() or query.device.type != "cpu" or not mask.all():
            bias = self.position(segments)[None].masked_fill(~visible, float("-inf"))
            return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        # the same numbers without the table, which for a window of 4,096 is 268 MB and slower to write than to use
        bias = self.position.backwards(segments)[None]
        return F.scaled_dot_product_attention(query.flip(2), key, value, attn_mask=bias).flip(2)
