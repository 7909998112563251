"""The whole chain offline: video -> features -> scores -> events. The oracle of every faster or streamed path."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

import refinevad
from refinevad.checkpoint import Checkpoint
from refinevad.encoders.choice import EncoderChoice, open_encoder, require_at_hand
from refinevad.errors import InputError
from refinevad.events import Event, EventRule, find_events
from refinevad.extraction import extract
from refinevad.features import Features, Provenance, require_same_signature
from refinevad.scores import score_timeline
from refinevad.side_by_side import Workers
from refinevad.timeline import SegmentRule, Timeline
from refinevad.top_k import top_mean
from refinevad.windows import WindowRule


@dataclass(frozen=True)
class Detection:
    """Everything found in one video. Scores in [0, 1], times in seconds from its first frame.

    Attributes:
        start_s: seconds by which a player's clock is ahead: its sound may begin before the picture.
        notes: what a person should know of the video: a sentence each, none of a clean one.
    """

    video: str
    duration_s: float
    frames: int
    rate_hz: float
    timeline: Timeline
    scores: Float[np.ndarray, "segment"]
    categories: tuple[str, ...]
    category_scores: Float[np.ndarray, "segment category"]
    events: tuple[Event, ...]
    threshold: float
    low_threshold: float
    alerts_per_hour: float
    video_score: float
    model: Mapping[str, Any]
    start_s: float = 0.0
    notes: tuple[str, ...] = ()


class Detector:
    """A trained run, ready for videos, which it scores under a window rule: its own, where none is given.

    `allow_download`: an encoder that the run names may be fetched from a model hub.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        run: str,
        encoder: EncoderChoice | None = None,
        window: WindowRule | None = None,
        allow_download: bool = False,
    ) -> None:
        self.checkpoint, self.run, self.window = checkpoint, run, window or checkpoint.window
        self.rule = SegmentRule(**checkpoint.signature["rule"])
        if encoder is None:
            require_at_hand(checkpoint.encoder, allow_download, f"run {run}")
            encoder = open_encoder(checkpoint.encoder)
        self.encoder = encoder
        require_same_signature(
            checkpoint.signature,
            Provenance(self.encoder.identity.as_dict(), self.rule.as_dict()),
            f"encoder '{checkpoint.encoder}' as installed here",
        )

    @classmethod
    def open(cls, run: Path, window: WindowRule | None = None, allow_download: bool = False) -> "Detector":
        """Raises InputError where `run` is no finished run, or its encoder is not to be had here."""
        return cls(Checkpoint.load(run), str(run), window=window, allow_download=allow_download)

    def detect(
        self, path: Path, progress: Callable[[int], None] | None = None, workers: Workers | None = None
    ) -> Detection:
        """Analyse one video; `progress` and `workers` as `extract` has them.

        Raises:
            InputError: the video cannot be read.
            RefineVADError: a worker was killed.
        """
        encoder = self.encoder.reading(self.checkpoint.model.config.made_for)
        features = extract(path, encoder, self.rule, progress, workers=workers)
        return self.detect_features(features, path.name)

    def detect_features(self, features: Features, name: str) -> Detection:
        """Events of features already extracted.

        Raises:
            InputError: they are of another encoder or rule, or the model gives no score for them.
        """
        require_same_signature(self.checkpoint.signature, features.provenance, name)
        scored = score_timeline(self.checkpoint.model, features.values, features.timeline, self.window)
        if not np.isfinite(scored.segments).all():  # which is above no threshold: nothing would be found
            raise InputError(f"the model gives no number for some segments of {name}; check the run's weights")
        calibration, categories = self.checkpoint.calibration, self.checkpoint.model.config.categories
        events = find_events(
            scored.segments, scored.categories, categories, features.timeline, EventRule.of(calibration)
        )
        return Detection(
            video=name,
            duration_s=features.timeline.duration_s,
            frames=features.timeline.frames,
            rate_hz=float(features.provenance.source.get("rate_hz", 0.0)),
            timeline=features.timeline,
            scores=scored.segments,
            categories=categories,
            category_scores=scored.categories,
            events=tuple(events),
            threshold=calibration.threshold,
            low_threshold=calibration.low_threshold,
            alerts_per_hour=calibration.alerts_per_hour,
            video_score=float(top_mean(scored.segments, self.checkpoint.k_divisor)),
            model={"run": self.run, "encoder": self.checkpoint.encoder, "version": refinevad.__version__},
            start_s=float(features.provenance.source.get("start_s", 0.0)),
            notes=tuple(features.provenance.source.get("notes", ())),
        )
