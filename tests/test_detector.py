"""detect is the chain, step by step; and a model refuses what it was not trained on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fakes import BrokenEncoder, MeanEncoder, replaced
from refinevad.apps.cli import main
from refinevad.apps.live.engine.live_model import ModelShelf
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.detector import Detector
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.features.extraction import extract
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.scoring.events import EventRule, find_events
from refinevad.scoring.scores import score
from refinevad.scoring.windows import WindowRule
from refinevad.streaming import StreamingDetector
from refinevad.timeline import SegmentRule
from refinevad.video.reading import ClipReader
from videos import write_video

torch.set_num_threads(1)
RULE = SegmentRule.default()


def choice(encoder: MeanEncoder | None = None) -> EncoderChoice:
    return EncoderChoice("lite", encoder or MeanEncoder(), None)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = RefineVAD(RefineVADConfig(channels=4, categories=("fall", "fight"))).eval()
    signature = {"encoder": MeanEncoder().identity.as_dict(), "rule": RULE.as_dict()}
    folder = tmp_path_factory.mktemp("run")
    Checkpoint(model, "lite", signature, Calibration(0.4, 0.2, 6.0, True, 1.0)).save(folder)
    return folder


def test_detect_is_the_chain_step_by_step(run: Path, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=70)
    with replaced():
        detection = Detector.open(run).detect(path)
    encoder, checkpoint = MeanEncoder(), Checkpoint.load(run)
    reader = ClipReader(path, encoder.needs, RULE)
    values = np.concatenate([encoder.encode([clip]) for clip in reader])
    scored = score(checkpoint.model, values)
    np.testing.assert_allclose(detection.scores, scored.segments, atol=1e-6)
    np.testing.assert_allclose(detection.category_scores, scored.categories, atol=1e-6)
    assert detection.timeline.frame_bounds.tolist() == reader.timeline.frame_bounds.tolist() == [0, 16, 32, 48, 64, 70]
    categories = ("fall", "fight")
    wanted = find_events(scored.segments, scored.categories, categories, reader.timeline, EventRule(0.4, 0.2))
    assert list(detection.events) == wanted
    assert (detection.frames, detection.video, detection.categories) == (70, "v.mp4", categories)
    assert detection.duration_s == pytest.approx(2.8)
    assert detection.rate_hz == 25.0
    assert (detection.threshold, detection.low_threshold, detection.alerts_per_hour) == (0.4, 0.2, 6.0)
    assert detection.video_score == pytest.approx(float(scored.segments.max()))  # floor(5 / 16) + 1 = 1 segment


def test_a_moved_threshold_is_the_same_rule_in_detect_and_live(run: Path, tmp_path: Path) -> None:
    """Of (0.7, 0.55) the quiet level is 0.2: at 0.4 an event lasts above 0.2 + 0.7 * 0.2, whoever asks."""
    checkpoint = replace(Checkpoint.load(run), calibration=Calibration(0.7, 0.55, 6.0, True, 1.0))
    checkpoint.save(tmp_path / "run")
    video, found = write_video(tmp_path / "v.mp4", frames=40), tmp_path / "found"
    command = ["detect", str(video), "--model", str(tmp_path / "run"), "--out", str(found), "--threshold", "0.4"]
    with replaced():
        assert main(command) == 0
        live = ModelShelf().open(tmp_path / "run").at(0.4).checkpoint.calibration
    record = json.loads((found / "v.json").read_text())
    assert (record["threshold"], record["low_threshold"]) == (0.4, pytest.approx(0.34))
    assert (live.threshold, live.low_threshold) == (0.4, pytest.approx(0.34))


def test_a_video_is_scored_by_as_many_segments_as_spoke_for_it_in_training(run: Path, tmp_path: Path) -> None:
    """Of 5 segments, floor(5 / 2) + 1 = 3, not the field's floor(5 / 16) + 1 = 1."""
    checkpoint = replace(Checkpoint.load(run), training={"options": {"k_divisor": 2}})
    detection = Detector(checkpoint, "run", choice()).detect(write_video(tmp_path / "v.mp4", frames=70))
    assert detection.video_score == pytest.approx(float(np.sort(detection.scores)[2:].sum()) / 3)


def test_progress_counts_every_frame_once(run: Path, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=300)
    counts: list[int] = []
    Detector(Checkpoint.load(run), "run", choice()).detect(path, counts.append)
    assert sum(counts) == 300
    assert len(counts) > 1


def test_one_frame_is_detected_in(run: Path, tmp_path: Path) -> None:
    detection = Detector(Checkpoint.load(run), "run", choice()).detect(write_video(tmp_path / "v.mp4", frames=1))
    assert detection.scores.shape == (1,)
    assert np.isfinite(detection.scores).all()


def test_another_encoder_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="they differ in weights_sha256"):
        Detector(Checkpoint.load(run), "run", choice(MeanEncoder("1" * 64)))
    path = write_video(tmp_path / "v.mp4", frames=5)
    detector = Detector(Checkpoint.load(run), "run", choice())
    with pytest.raises(InputError, match=r"segments of 16 frames, the model was trained on 0\.64 seconds"):
        detector.detect_features(extract(path, choice(), SegmentRule(frames=16)), "v.mp4")


def test_an_encoder_that_gives_nan_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=5)
    with pytest.raises(InputError, match=r"encoder 'lite' gave NaN or infinite values for .*v\.mp4"):
        extract(path, choice(BrokenEncoder()), RULE)


def test_scores_that_are_no_numbers_are_said(run: Path, tmp_path: Path) -> None:
    """NaN is above no threshold: such a run would find nothing, and nobody would know."""
    checkpoint = Checkpoint.load(run)
    features = extract(write_video(tmp_path / "v.mp4", frames=50), choice(), RULE)
    with torch.no_grad():
        checkpoint.model.input_mean.fill_(float("nan"))
    with pytest.raises(InputError, match=r"gives no number for some segments of v\.mp4"):
        Detector(checkpoint, "run", choice()).detect_features(features, "v.mp4")
    stream = StreamingDetector(checkpoint, WindowRule(0.64, 0.0))
    with pytest.raises(InputError, match="gives no number after 0"):
        stream.push_segment(features.values[0], 0.0, 0.64)


@pytest.mark.parametrize("absent", ["model.safetensors", "config.json", "calibration.json"])
def test_an_unfinished_run_is_refused(absent: str, run: Path, tmp_path: Path) -> None:
    for name in {"model.safetensors", "config.json", "calibration.json"} - {absent}:
        (tmp_path / name).write_bytes((run / name).read_bytes())
    with pytest.raises(InputError, match=f"no finished run \\({absent} is missing\\)"):
        Checkpoint.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"{}"),
        ("config.json", b"{}"),
        ("config.json", b"[1]"),
        ("config.json", b"{"),
        ("calibration.json", b'{"threshold": 1}'),
        ("calibration.json", b"\xff"),
    ],
)
def test_a_damaged_run_is_refused(name: str, content: bytes, run: Path, tmp_path: Path) -> None:
    for other in ("model.safetensors", "config.json", "calibration.json"):
        (tmp_path / other).write_bytes((run / other).read_bytes())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError):
        Checkpoint.load(tmp_path)
