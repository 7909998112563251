"""features -> scores: a model's segment scores for a video of any length, by one window rule."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from refinevad.model import RefineVAD

WINDOW_SEGMENTS = (
    4096  # 44 minutes of 0.64 s segments are scored at once; longer videos in overlapping windows
)
OVERLAP_SEGMENTS = 512


@dataclass(frozen=True)
class Scores:
    """What a model says of one video; all in [0, 1].

    Attributes:
        segments: anomaly score of each segment.
        categories: score of each category at each segment.
        presence: probability that a category occurs in the video (the largest over windows).
        shift_ratio: r_t of MoTAR, how much each segment borrowed.
    """

    segments: Float[np.ndarray, "segment"]
    categories: Float[np.ndarray, "segment category"]
    presence: Float[np.ndarray, "category"]
    shift_ratio: Float[np.ndarray, "segment"]

    @property
    def video(self) -> float:
        """A video's score: the mean of its top floor(T / 16) + 1 segments, as in training."""
        k = len(self.segments) // 16 + 1
        return float(np.sort(self.segments)[::-1][:k].mean())


def windows(
    segments: int, window: int = WINDOW_SEGMENTS, overlap: int = OVERLAP_SEGMENTS
) -> list[tuple[int, int]]:
    """Half-open stretches that cover `segments`; one where a window holds the video, else overlapping."""
    if segments <= window:
        return [(0, segments)]
    step = window - overlap
    count = -(-(segments - window) // step)
    return [*((i * step, i * step + window) for i in range(count)), (segments - window, segments)]


@torch.inference_mode()
def score(
    model: RefineVAD,
    values: Float[np.ndarray, "segment channel"],
    window: int = WINDOW_SEGMENTS,
    overlap: int = OVERLAP_SEGMENTS,
) -> Scores:
    """Score one video's segments; a longer one than `window` in windows, blended linearly where they overlap."""
    segments, categories = len(values), len(model.config.categories)
    device = next(model.parameters()).device
    total = np.zeros((segments, categories + 2))
    weight = np.zeros((segments, 1))
    presence = np.zeros(categories)
    for start, end in windows(segments, window, overlap):
        x = torch.from_numpy(np.ascontiguousarray(values[start:end], dtype=np.float32))[None].to(device)
        output = model(x, torch.ones(1, end - start, dtype=torch.bool, device=device))
        piece = torch.cat(
            [output.scores[..., None], output.shift_ratio[..., None], output.category_scores], dim=-1
        )[0]
        blend = _blend(end - start, overlap, start > 0, end < segments)[:, None]
        total[start:end] += blend * piece.double().cpu().numpy()
        weight[start:end] += blend
        presence = np.maximum(presence, output.presence[0].double().cpu().numpy())
    total /= weight
    return Scores(total[:, 0], total[:, 2:], presence, total[:, 1])


def _blend(length: int, overlap: int, fade_in: bool, fade_out: bool) -> Float[np.ndarray, "segment"]:
    ramp = (np.arange(length) + 1.0) / (overlap + 1.0)
    rising = np.minimum(ramp, 1.0) if fade_in else np.ones(length)
    falling = np.minimum(ramp, 1.0)[::-1] if fade_out else np.ones(length)
    return np.minimum(rising, falling)
