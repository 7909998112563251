"""features -> scores: a model's segment scores for a video of any length, by one window rule."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from refinevad.model import RefineVAD
from refinevad.tokens import merge_runs

WINDOW_SEGMENTS = 4096  # 44 minutes of 0.64 s segments are scored at once; longer videos in overlapping windows
OVERLAP_SEGMENTS = 512
SMOOTHING_LEAST, SMOOTHING_MOST = 2.0, 40.0  # segments a relative Gaussian is held to


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


@dataclass(frozen=True)
class _Raw:
    """Logits before smoothing, of segments or of tokens; `video` is the whole video's evidence."""

    logits: Float[np.ndarray, "segment"]
    shares: Float[np.ndarray, "segment category"]
    shift_ratio: Float[np.ndarray, "segment"]
    presence: Float[np.ndarray, "category"]
    video: float


def windows(segments: int, window: int = WINDOW_SEGMENTS, overlap: int = OVERLAP_SEGMENTS) -> list[tuple[int, int]]:
    """Half-open stretches that cover `segments`; one where a window holds the video, else overlapping."""
    if segments <= window:
        return [(0, segments)]
    step = window - overlap
    count = -(-(segments - window) // step)
    return [*((i * step, i * step + window) for i in range(count)), (segments - window, segments)]


def score(
    model: RefineVAD,
    values: Float[np.ndarray, "segment channel"],
    window: int = WINDOW_SEGMENTS,
    overlap: int = OVERLAP_SEGMENTS,
) -> Scores:
    """Score one video's segments; a longer one than `window` in windows, blended linearly where they overlap."""
    config = model.config
    if config.merge_runs:
        tokens = merge_runs(values)
        if not len(tokens.values):  # nothing to go by: undecided everywhere
            raw = _undecided(len(values), len(config.categories))
        else:
            part = _logits(model, tokens.values, window, overlap)
            raw = _Raw(
                tokens.expand(part.logits, 0.0),
                tokens.expand(part.shares, part.shares.mean(0)),
                tokens.expand(part.shift_ratio, 0.0),
                part.presence,
                part.video,
            )
    else:
        raw = _logits(model, values, window, overlap)
    logits, shares = raw.logits, raw.shares
    if config.relative_smoothing and len(values):
        sigma = float(np.clip(config.relative_smoothing * len(values), SMOOTHING_LEAST, SMOOTHING_MOST))
        logits, shares = gaussian(logits[:, None], sigma)[:, 0], gaussian(shares, sigma)
    scores = 1.0 / (1.0 + np.exp(-(logits + config.video_weight * raw.video)))
    shares = np.exp(shares - shares.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return Scores(scores, scores[:, None] * shares, raw.presence, raw.shift_ratio)


@torch.inference_mode()
def _logits(model: RefineVAD, values: Float[np.ndarray, "segment channel"], window: int, overlap: int) -> _Raw:
    segments, categories = len(values), len(model.config.categories)
    device = next(model.parameters()).device
    total, weight = np.zeros((segments, categories + 2)), np.zeros((segments, 1))
    presence, video = np.zeros(categories), 0.0
    for start, end in windows(segments, window, overlap):
        x = torch.from_numpy(np.ascontiguousarray(values[start:end], dtype=np.float32))[None].to(device)
        output = model(x, torch.ones(1, end - start, dtype=torch.bool, device=device))
        piece = torch.cat([output.logits[..., None], output.shift_ratio[..., None], output.share_logits], dim=-1)[0]
        blend = _blend(end - start, overlap, start > 0, end < segments)[:, None]
        total[start:end] += blend * piece.double().cpu().numpy()
        weight[start:end] += blend
        presence = np.maximum(presence, output.presence[0].double().cpu().numpy())
        video += float(output.video_evidence[0]) * float(blend.sum())
    video /= float(weight.sum())
    total /= weight
    return _Raw(total[:, 0], total[:, 2:], total[:, 1], presence, video)


def _undecided(segments: int, categories: int) -> _Raw:
    return _Raw(np.zeros(segments), np.zeros((segments, categories)), np.zeros(segments), np.zeros(categories), 0.0)


def gaussian(values: Float[np.ndarray, "segment channel"], sigma: float) -> Float[np.ndarray, "segment channel"]:
    """Gaussian average over time, cut at 4 sigma; the first and last segments stand in for what lies outside."""
    reach = int(4.0 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel, "valid") for column in padded.T], axis=1)


def _blend(length: int, overlap: int, fade_in: bool, fade_out: bool) -> Float[np.ndarray, "segment"]:
    ramp = (np.arange(length) + 1.0) / (overlap + 1.0)
    rising = np.minimum(ramp, 1.0) if fade_in else np.ones(length)
    falling = np.minimum(ramp, 1.0)[::-1] if fade_out else np.ones(length)
    return np.minimum(rising, falling)
