"""What tests of running cameras share: a tiny run, an ear for all the engine tells, films whose scores move."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fakes import MeanEncoder
from refinevad.apps.live.engine.live_model import LiveModel
from refinevad.apps.live.envelope import Envelope
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.status import CameraStatus, ScoreBatch
from refinevad.checkpoint import Checkpoint
from refinevad.encoders.choice import EncoderChoice
from refinevad.opened_run import OpenedRun
from refinevad.scoring.windows import WindowRule
from test_streaming import checkpoint_of, small_model
from videos import write_video

RULE = WindowRule(6.4, 1.28)
THRESHOLD = 0.6  # of the small model on the films below: several events


def checkpoint(threshold: float = THRESHOLD) -> Checkpoint:
    return checkpoint_of(small_model(), threshold)


def live_model(threshold: float = THRESHOLD, rule: WindowRule = RULE) -> LiveModel:
    opened = OpenedRun(checkpoint(threshold), EncoderChoice("lite", MeanEncoder(), None), "runs/a")
    return LiveModel(opened, ("runs/a", 0), rule)


def write_film(path: Path, seconds: int = 20, seed: int = 0, size: tuple[int, int] = (64, 48), rate: int = 25) -> Path:
    """Another grey each second; a keyframe every two seconds."""
    levels = np.repeat(np.random.default_rng(seed).integers(0, 255, seconds), rate)
    pictures = (np.full((size[1], size[0], 3), int(level), np.uint8) for level in levels)
    options = {"g": str(2 * rate), "crf": "20", "preset": "ultrafast"}
    return write_video(path, pictures, size=size, rate=rate, options=options)


@dataclass
class Ear:
    """A listener that keeps everything."""

    cameras: list[tuple[str, str, bool]] = field(default_factory=list)
    batches: list[ScoreBatch] = field(default_factory=list)
    events: list[Envelope] = field(default_factory=list)
    states: list[CameraStatus] = field(default_factory=list)

    def on_camera(self, camera: CameraConfig, model: str, added: bool) -> None:
        self.cameras.append((camera.name, model, added))

    def on_scores(self, batch: ScoreBatch) -> None:
        self.batches.append(batch)

    def on_event(self, envelope: Envelope) -> None:
        self.events.append(envelope)

    def on_state(self, status: CameraStatus) -> None:
        self.states.append(status)

    def scores(self, camera: str) -> list[float]:
        return [row.score for batch in self.batches if batch.camera == camera for row in batch.rows]

    def kinds(self, camera: str) -> list[str]:
        return [envelope["kind"] for envelope in self.events if envelope["camera"] == camera]

    def told_states(self, camera: str) -> list[str]:
        return [status.state for status in self.states if status.name == camera]
