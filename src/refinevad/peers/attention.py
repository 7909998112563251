"""The Transformer block the heads share: pre-norm, padding-aware, with any restriction on who sees whom."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn


class TransformerBlock(nn.Module):
    """Pre-norm multi-head self-attention and a feed-forward layer, each with a residual."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, feed_forward),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(feed_forward, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, h: Float[Tensor, "video segment width"], visible: Bool[Tensor, "video #query segment"]
    ) -> Float[Tensor, "video segment width"]:
        """`visible` says which segments a query may look at; each query needs at least one."""
        videos, segments, width = h.shape
        heads = self.query_key_value(self.attention_norm(h)).view(videos, segments, 3, self.heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible[:, None])
        h = h + self.dropout(self.out(mixed.transpose(1, 2).reshape(videos, segments, width)))
        encoded: Tensor = h + self.dropout(self.feed_forward(h))
        return encoded


def sinusoids(segments: int, width: int, like: Tensor) -> Float[Tensor, "segment width"]:
    """Fixed positions of Vaswani et al. 2017: sines in the even channels, cosines in the odd ones; any length."""
    channel = torch.arange(width, device=like.device, dtype=torch.float64)
    rate = torch.exp(-torch.log(torch.tensor(10_000.0, dtype=torch.float64)) * (channel // 2 * 2) / width)
    angle = torch.arange(segments, device=like.device, dtype=torch.float64)[:, None] * rate
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).to(like.dtype)
