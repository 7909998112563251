"""Running cameras with the encoders that come along: the scores of the same file offline."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cases import config, random_model
from refinevad.apps.live.engine.engine import Engine, EngineOptions
from refinevad.apps.live.engine.live_model import ModelShelf
from refinevad.apps.live.settings.config import watch_config
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.detector import Detector
from refinevad.encoders.choice import open_encoder
from refinevad.scoring.windows import WindowRule
from refinevad.timeline import SegmentRule
from videos import write_video
from watch_cases import Ear


def write_run(folder: Path, parts: Sequence[str], spread: float = 0.05, spec: str = "lite") -> Path:
    """A run that reads these parts of an encoder, none: all of it; weights random, of this spread."""
    encoder = open_encoder(spec)
    inputs = tuple(encoder.parts[part] for part in parts)
    options = config(channels=encoder.dim, categories=("fall", "fight"), direct=True, inputs=inputs)
    signature = {"encoder": encoder.identity.as_dict(), "rule": SegmentRule.default().as_dict()}
    checkpoint = Checkpoint(random_model(options, 5, spread), spec, signature, Calibration(0.5, 0.4, 6.0, True, 1.0))
    checkpoint.save(folder)
    return folder


@pytest.mark.parametrize(
    ("parts", "spread", "spec"),
    [
        ((), 0.05, "lite"),
        (("motion_mean", "change"), 0.02, "lite"),
        (("motion_mean", "motion_peak"), 0.05, "lite"),
        ((), 0.05, "vectors"),
    ],
)
def test_two_cameras_score_as_detect_does(parts: tuple[str, ...], spread: float, spec: str, tmp_path: Path) -> None:
    write_run(tmp_path / "run", parts, spread, spec)
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


def test_runs_that_read_the_same_parts_share_an_encoder_that_makes_no_others(tmp_path: Path) -> None:
    shelf = ModelShelf()
    motion, twin = (shelf.open(write_run(tmp_path / name, ["motion_mean"])) for name in ("one", "two"))
    whole = shelf.open(write_run(tmp_path / "whole", []))
    assert motion.encoder is twin.encoder
    assert motion.encoder.needs.rgb_frames == 0
    assert whole.encoder.needs.rgb_frames == 2
    assert motion.encoder.identity == whole.encoder.identity


def test_a_run_put_in_place_of_one_that_needs_other_frames_gets_them(tmp_path: Path) -> None:
    """The camera's process is started anew: the motion run's sends no colour frames."""
    film = write_video(tmp_path / "film.mp4", frames=120, size=(160, 96))
    ear = Ear()
    engine = Engine(EngineOptions(window_s=3.2, delay_s=1.28, fast=True), listeners=[ear])
    engine.add(watch_config([str(film)], write_run(tmp_path / "motion", ["motion_mean"])).cameras[0])
    engine.set_model("film", write_run(tmp_path / "whole", []))
    engine.start()
    assert engine.wait(200.0)
    engine.stop()
    wanted = Detector.open(tmp_path / "whole", WindowRule(3.2, 1.28)).detect(film)
    np.testing.assert_allclose(ear.scores("film"), wanted.scores, atol=1e-4)
