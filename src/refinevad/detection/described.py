"""Events that a person describes, found without training: `detect --describe "smoke"`.

A segment is as anomalous as its vector is more like the descriptions than like sentences of ordinary life: a softmax
over all of them. Nothing is learnt; what a threshold means is told by quiet video of one's own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

import refinevad
from refinevad.detection.found import Detection
from refinevad.encoders.choice import EncoderChoice
from refinevad.encoders.words import Words
from refinevad.errors import InputError
from refinevad.features.extraction import extract
from refinevad.features.store import Features
from refinevad.features.workers import Workers
from refinevad.input_ranges import Ranges
from refinevad.scoring.events import Calibration, EventRule, calibrate, find_events
from refinevad.timeline import SegmentRule
from refinevad.top_k import top_mean

NORMAL = (  # ordinary life, as a camera sees it
    "an ordinary scene in which nothing happens",
    "an empty place",
    "people walking by",
    "people standing and talking",
    "people sitting",
    "cars driving on a road",
    "people shopping",
    "people at work",
)
K_DIVISOR = 16  # a video's own score, as in training by default


@dataclass(frozen=True)
class Describer:
    """Finds what sentences describe.

    Attributes:
        encoder: one with a text side.
        descriptions: of anomalies; each is a category.
        words: the descriptions' vectors, then those of ordinary life.
        rule: what a segment is.
        calibration: until quiet video tells, 0.5: a segment is more like a description than like ordinary life.
    """

    encoder: EncoderChoice
    descriptions: tuple[str, ...]
    words: Words
    rule: SegmentRule
    calibration: Calibration

    @property
    def video_encoder(self) -> EncoderChoice:
        """The encoder."""
        return self.encoder

    @property
    def made_for(self) -> Ranges:
        """Every channel is looked at."""
        return ()

    @classmethod
    def of(
        cls,
        encoder: EncoderChoice,
        descriptions: Sequence[str],
        normal: Sequence[str] = NORMAL,
        rule: SegmentRule | None = None,
    ) -> "Describer":
        """Raises InputError where the encoder cannot read, or there is nothing to read."""
        said = tuple(dict.fromkeys(" ".join(sentence.split()) for sentence in descriptions))
        if not said or not all(said) or not normal:
            raise InputError(
                "a description is a sentence, and there must be one of what is looked for and of the normal"
            )
        words = encoder.words([*said, *normal])
        return cls(encoder, said, words, rule or SegmentRule.default(), calibrate([], 0.0))

    def likeness(self, values: Float[np.ndarray, "segment channel"]) -> Float[np.ndarray, "segment description"]:
        """The share of each description among all sentences; 0 where a segment is without any content."""
        length = np.linalg.norm(values, axis=1, keepdims=True)
        cosine = (values / np.maximum(length, 1e-12)) @ self.words.vectors.T
        logits = self.words.scale * cosine.astype(np.float64)
        weight = np.exp(logits - logits.max(axis=1, keepdims=True))
        share = weight / weight.sum(axis=1, keepdims=True) * (length > 0)
        return np.asarray(share[:, : len(self.descriptions)])

    def calibrated(self, quiet: Sequence[Path], alerts_per_hour: float) -> "Describer":
        """The same with its threshold at the rate of alerts on quiet videos. Raises InputError for what is no video."""
        normal = []
        for path in quiet:
            features = extract(path, self.encoder, self.rule)
            normal.append((self.likeness(features.values).sum(axis=1), features.timeline))
        return replace(self, calibration=calibrate(normal, alerts_per_hour))

    def at(self, threshold: float | None) -> "Describer":
        """The same with the threshold moved; None: as it is. Raises InputError beyond [0, 1]."""
        return replace(self, calibration=self.calibration.at(threshold))

    def detect(
        self, path: Path, progress: Callable[[int], None] | None = None, workers: Workers | None = None
    ) -> Detection:
        """Look through one video file. Raises InputError where it cannot be read."""
        features = extract(path, self.encoder, self.rule, progress, workers=workers)
        return self.detect_features(features, path.name)

    def located(self, detection: Detection, path: Path, features: Features) -> Detection:
        """The detection: what sentences find is not looked for in the picture."""
        return detection

    def detect_features(self, features: Features, name: str) -> Detection:
        """Events of features that the encoder made."""
        shares, timeline = self.likeness(features.values), features.timeline
        scores = np.clip(shares.sum(axis=1), 0.0, 1.0)
        events = find_events(scores, shares, self.descriptions, timeline, EventRule.of(self.calibration))
        return Detection(
            video=name,
            duration_s=timeline.duration_s,
            frames=timeline.frames,
            rate_hz=float(features.provenance.source.get("rate_hz", 0.0)),
            timeline=timeline,
            scores=scores,
            categories=self.descriptions,
            category_scores=shares,
            events=tuple(events),
            threshold=self.calibration.threshold,
            low_threshold=self.calibration.low_threshold,
            alerts_per_hour=self.calibration.alerts_per_hour,
            video_score=float(top_mean(scores, K_DIVISOR)),
            model={"run": "described in words", "encoder": self.encoder.spec, "version": refinevad.__version__},
            start_s=float(features.provenance.source.get("start_s", 0.0)),
            notes=tuple(features.provenance.source.get("notes", ())),
        )
