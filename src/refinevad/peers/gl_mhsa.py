"""Global and local multi-head self-attention (GL-MHSA) of UR-DMU, which BN-WVAD builds on too.

Each head answers twice: by softmax(q k) over all segments, and by a mask that falls with the distance in time,
softmax_j(-|i - j| / e^tau) over a value of its own; both answers are concatenated. Free choices: tau is learnt, one a
head, from 1; normalisation before each layer; the feed-forward layer is as wide as the block; an embedding convolution
of 3 segments with ReLU brings the features to the block's width.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor, nn


class GlobalLocalBlock(nn.Module):
    """One pre-norm layer of global and local attention, and a feed-forward layer."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 4 * width, bias=False)  # query, key, global value, local value
        self.tau = nn.Parameter(torch.ones(heads))
        self.out = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.Dropout(dropout),
        )

    def forward(
        self, h: Float[Tensor, "video segment width"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment width"]:
        videos, segments, width = h.shape
        parts = self.project(self.norm(h)).view(videos, segments, 4, self.heads, width // self.heads)
        query, key, value, local_value = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        # the softmax over distances: its weights are the same in every video, only which segments are real differs
        real = mask[:, None, :, None].to(h.dtype)
        near = self.nearness(segments).exp()
        local = near @ (local_value * real) / (near @ real).clamp_min(1e-6)
        both = torch.cat([seen, local], dim=-1).transpose(1, 2).reshape(videos, segments, 2 * width)
        h = h + self.dropout(self.out(both))
        encoded: Tensor = h + self.feed_forward(h)
        return encoded

    def nearness(self, segments: int) -> Float[Tensor, "head segment segment"]:
        """-|i - j| / e^tau of each head."""
        place = torch.arange(segments, device=self.tau.device, dtype=self.tau.dtype)
        return -(place[:, None] - place[None, :]).abs() / self.tau.exp()[:, None, None]


class Enhancer(nn.Module):
    """Features to `width` channels with global and local context."""

    def __init__(self, channels: int, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Conv1d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(GlobalLocalBlock(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"]
    ) -> Float[Tensor, "video segment width"]:
        """`x` is 0 where padded; so is what comes out."""
        h = torch.relu(self.embed(x.mT)).mT
        for block in self.blocks:
            h = block(h, mask)
        enhanced: Tensor = self.norm(h) * mask[..., None]
        return enhanced
