"""An average over time, within each video of a padded batch."""

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Bool, Float
from torch import Tensor


def smooth(
    values: Float[Tensor, "video segment channel"], mask: Bool[Tensor, "video segment"], half_width: int
) -> Float[Tensor, "video segment channel"]:
    """Average over [t - half_width, t + half_width], of real segments only; padded ones come out 0."""
    real = mask[..., None].to(values.dtype)
    if half_width == 0:
        return values * real
    size = 2 * half_width + 1
    total = F.avg_pool1d((values * real).mT, size, stride=1, padding=half_width).mT
    count = F.avg_pool1d(real.mT, size, stride=1, padding=half_width).mT
    return total / count.clamp_min(1e-9) * real
