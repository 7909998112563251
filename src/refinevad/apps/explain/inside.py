"""A run and its test videos -> what the model did inside each: embedding, shift ratio, motion, shares."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from refinevad.checkpoint import Checkpoint
from refinevad.datasets.dataset import Item
from refinevad.features.store import Features, require_same_signature
from refinevad.judging.controls import MOTION_PART
from refinevad.judging.truth import Truth
from refinevad.model import RefineVAD
from refinevad.scoring.scores import Scores, score_timeline
from refinevad.scoring.tokens import merge_runs
from refinevad.scoring.windows import windows
from refinevad.timeline import Timeline

NORMAL = "normal"
FRAME_DIFFERENCE, FEATURE_STEP = "frame difference", "feature step"


@dataclass(frozen=True, eq=False)
class Inside:
    """One test video, seen from inside the model.

    Attributes:
        name, labels: as in the data set; no labels: normal.
        scores: the model's, as in use: smoothed, and under the window rule it was trained under.
        seen: the segments that stand for what the model took in: all of them, or with `merge_runs` the first of
            each run of equal ones, empty ones left out.
        motion: of each seen segment: frame difference, or the length of the feature step that leads to it.
        embedding: CORE's pooled video vector; None for a video without anything to take in.
        truth: true intervals in seconds, [start, end).
    """

    name: str
    labels: tuple[str, ...]
    timeline: Timeline
    scores: Scores
    seen: Int[np.ndarray, "seen"]
    motion: Float[np.ndarray, "seen"]
    embedding: Float[np.ndarray, "width"] | None
    truth: tuple[tuple[float, float], ...]

    @property
    def label(self) -> str:
        return " + ".join(self.labels) or NORMAL

    @property
    def shift_ratio(self) -> Float[np.ndarray, "seen"]:
        """r_t of each seen segment."""
        return np.asarray(self.scores.shift_ratio[self.seen])

    @property
    def middles(self) -> Float[np.ndarray, "segment"]:
        """Second in the middle of each segment."""
        return np.asarray((self.timeline.time_bounds[:-1] + self.timeline.ends_s) / 2)

    @property
    def anomalous(self) -> Bool[np.ndarray, "segment"]:
        """Segments whose middle lies in a true interval."""
        middles = self.middles
        inside = np.zeros(len(middles), dtype=bool)
        for start, end in self.truth:
            inside |= (middles >= start) & (middles < end)
        return inside

    @property
    def shares(self) -> Float[np.ndarray, "segment category"]:
        """How each segment's score is shared out among the categories; rows sum to 1."""
        total = self.scores.categories.sum(axis=1, keepdims=True)
        return np.asarray(self.scores.categories / np.maximum(total, 1e-12))


@dataclass(frozen=True, eq=False)
class Explained:
    """Everything the figures are drawn from.

    Attributes:
        gate_curve: (z, r): the gate's answer to a motion z standard deviations above the training mean.
        motion_name: what `Inside.motion` is, in words.
    """

    checkpoint: Checkpoint
    videos: tuple[Inside, ...]
    motion_name: str
    gate_curve: tuple[Float[np.ndarray, "point"], Float[np.ndarray, "point"]]

    @property
    def categories(self) -> tuple[str, ...]:
        return self.checkpoint.refinevad.config.categories

    @property
    def prototypes(self) -> Float[np.ndarray, "category width"]:
        return np.asarray(self.checkpoint.refinevad.core.prototypes.detach().double().cpu().numpy())


def look_inside(checkpoint: Checkpoint, items: Sequence[Item], features: Sequence[Features], truth: Truth) -> Explained:
    """Run the model over test videos and keep what the figures show.

    Raises:
        InputError: features of another encoder or segment rule.
    """
    model = checkpoint.refinevad
    by_name = {video.name: video for video in truth.videos}
    parts = features[0].provenance.parts if features else {}
    videos = []
    for item, video in zip(items, features, strict=True):
        require_same_signature(checkpoint.signature, video.provenance, item.path)
        tokens = merge_runs(video.values) if model.config.merge_runs else None
        values = video.values if tokens is None else tokens.values
        place = np.arange(len(values)) if tokens is None else tokens.place
        seen = np.searchsorted(np.maximum.accumulate(place), np.arange(len(values)))
        videos.append(
            Inside(
                item.path,
                item.labels,
                video.timeline,
                score_timeline(model, video.values, video.timeline, checkpoint.window),
                seen,
                video.part(MOTION_PART)[seen, 0].astype(np.float64) if MOTION_PART in parts else step_length(values),
                embed(model, values) if len(values) else None,
                by_name[item.path].events_s,
            )
        )
    name = FRAME_DIFFERENCE if MOTION_PART in parts else FEATURE_STEP
    return Explained(checkpoint, tuple(videos), name, _gate_curve(model))


def step_length(values: Float[np.ndarray, "segment channel"]) -> Float[np.ndarray, "segment"]:
    """|x_t - x_{t-1}|; the first segment takes the second's, as the model's own motion does."""
    if len(values) < 2:
        return np.zeros(len(values))
    steps = np.linalg.norm(np.diff(values.astype(np.float64), axis=0), axis=1)
    return np.concatenate([steps[:1], steps])


@torch.inference_mode()
def embed(model: RefineVAD, values: Float[np.ndarray, "segment channel"]) -> Float[np.ndarray, "width"]:
    """CORE's pooled vector of one video; of one longer than a window, the windows' mean by length."""
    total, length = np.zeros(model.config.width), 0
    for window in windows(np.arange(len(values) + 1.0)):
        held = window.end - window.start
        x = torch.from_numpy(np.ascontiguousarray(values[window.start : window.end], dtype=np.float32))[None]
        output = model(x, torch.ones(1, held, dtype=torch.bool))
        total += held * output.embedding[0].double().numpy()
        length += held
    return total / length


@torch.inference_mode()
def _gate_curve(model: RefineVAD) -> tuple[Float[np.ndarray, "point"], Float[np.ndarray, "point"]]:
    motion = torch.linspace(-3.0, 3.0, 61)
    ratio = torch.sigmoid(model.gate.ratio(motion[:, None]))[:, 0]
    return motion.double().numpy(), ratio.double().numpy()
