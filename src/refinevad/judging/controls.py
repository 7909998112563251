"""What any result is held against: chance, and the simplest signal there is. Neither is trained."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from refinevad.features.store import Features

MOTION_PART, CAPTION_PART = "frame_difference", "captions"
SMOOTHING_S = 3.0
REFERENCE_VIDEOS = 200  # training videos whose mean the caption control takes


def chance(features: Sequence[Features], seed: int = 0) -> list[Float[np.ndarray, "_segment"]]:
    """A uniform random score for each segment."""
    generator = np.random.default_rng(seed)
    return [generator.random(video.timeline.segments) for video in features]


def trivial(
    features: Sequence[Features], reference: Sequence[Features]
) -> Mapping[str, list[Float[np.ndarray, "_segment"]]]:
    """The trivial control these features allow, by name; none for encoders without a motion or caption part.

    With grey frames: mean frame difference, smoothed over 3 s. With captions: distance from the mean of the
    `reference` (training) segments that have one; a segment without captions takes the video's mean distance.
    """
    parts = features[0].provenance.parts if features else {}
    if MOTION_PART in parts:
        return {"trivial motion": [_smooth(video, video.part(MOTION_PART)[:, 0]) for video in features]}
    if CAPTION_PART in parts:
        total = np.sum([video.part(CAPTION_PART).astype(np.float64).sum(0) for video in reference], axis=0)
        count = sum(int(video.part(CAPTION_PART).any(axis=1).sum()) for video in reference)
        return {"distance from the mean": [_distance(video, total / max(count, 1)) for video in features]}
    return {}


def _smooth(video: Features, values: Float[np.ndarray, "segment"]) -> Float[np.ndarray, "segment"]:
    """Average over about 3 s; scaled below 1 so that it is a score."""
    segments = max(len(values), 1)
    width = min(max(1, round(SMOOTHING_S * segments / max(video.timeline.shown_s, 1e-9))), segments)
    kernel = np.ones(width)
    values = np.maximum(values.astype(np.float64), 0.0)
    mean = np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
    return mean / (1.0 + mean)


def _distance(video: Features, center: Float[np.ndarray, "channel"]) -> Float[np.ndarray, "segment"]:
    vectors = video.part(CAPTION_PART).astype(np.float64)
    spoken = vectors.any(axis=1)
    distance = np.linalg.norm(vectors - center, axis=1)
    distance[~spoken] = distance[spoken].mean() if spoken.any() else 0.0
    return np.asarray(distance / (1.0 + distance))
