"""Running cameras with the default encoder: the scores of the same file offline."""

from pathlib import Path

import numpy as np

from cases import config, random_model
from refinevad.apps.live.config import watch_config
from refinevad.apps.live.engine import Engine, EngineOptions
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.detector import Detector
from refinevad.encoders.lite import LiteEncoder
from refinevad.timeline import SegmentRule
from refinevad.windows import WindowRule
from videos import write_video
from watch_cases import Ear


def test_two_cameras_with_the_default_encoder_score_as_detect_does(tmp_path: Path) -> None:
    encoder = LiteEncoder(threads=1)
    model = random_model(config(channels=encoder.dim, categories=("fall", "fight"), direct=True), 5, 0.05)
    signature = {"encoder": encoder.identity.as_dict(), "rule": SegmentRule.default().as_dict()}
    Checkpoint(model, "lite", signature, Calibration(0.5, 0.4, 6.0, True, 1.0)).save(tmp_path / "run")
    films = [
        write_video(tmp_path / f"{name}.mp4", frames=80, size=size)
        for name, size in (("wide", (160, 96)), ("tall", (96, 128)))
    ]
    ear = Ear()
    engine = Engine(EngineOptions(window_s=3.2, delay_s=1.28, fast=True), listeners=[ear])
    for camera in watch_config([str(film) for film in films], tmp_path / "run").cameras:
        engine.add(camera)
    engine.start()
    assert engine.wait(200.0)
    engine.stop()
    detector = Detector.open(tmp_path / "run", WindowRule(3.2, 1.28))
    for film in films:
        wanted = detector.detect(film)
        assert np.ptp(wanted.scores) > 0.01
        np.testing.assert_allclose(ear.scores(film.stem), wanted.scores, atol=1e-4)
