"""A run is opened in one way: recordings, streams and cameras get the same model, encoder, thresholds and refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fakes import MeanEncoder, replaced
from refinevad.apps.live.engine.live_model import ModelShelf
from refinevad.checkpoint import Checkpoint
from refinevad.detector import Detector
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.opened_run import EncoderShelf, OpenedRun
from refinevad.scoring.windows import WindowRule
from refinevad.streaming import StreamingDetector
from test_streaming import checkpoint_of, small_model

OPENERS = {
    "recording": lambda run, **options: Detector.open(run, **options).checkpoint,
    "stream": lambda run, **options: StreamingDetector.open(run, **options).checkpoint,
    "camera": lambda run, threshold=None: ModelShelf().open(run).at(threshold).checkpoint,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    checkpoint_of(small_model(), 0.5).save(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("opener", OPENERS)
def test_the_same_run_is_opened_and_the_same_is_refused(opener: str, run: Path, tmp_path: Path) -> None:
    with replaced():
        assert OPENERS[opener](run).calibration == Checkpoint.load(run).calibration
        with pytest.raises(InputError, match=r"absent is no finished run"):
            OPENERS[opener](tmp_path / "absent")
    with (
        replaced(lambda: MeanEncoder("1" * 64)),
        pytest.raises(InputError, match=r"'lite' as installed here .*they differ in weights_sha256"),
    ):
        OPENERS[opener](run)
    checkpoint = replace(Checkpoint.load(run), encoder="clip:some/hub")
    checkpoint.save(tmp_path / "hub")
    with pytest.raises(InputError, match="--allow-download"):
        OPENERS[opener](tmp_path / "hub")


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(("threshold", "low"), [(0.6, 0.47), (0.3, 0.26), (0.0, 0.0), (1.0, 0.75)])
def test_another_threshold_takes_the_lower_one_along(opener: str, threshold: float, low: float, run: Path) -> None:
    # calibrated to 0.5 and 0.4, which tell a quiet level of 1/6: low = 1/6 + 0.7 * (threshold - 1/6), at most threshold
    with replaced():
        calibration = OPENERS[opener](run, threshold=threshold).calibration
    assert (calibration.threshold, calibration.low_threshold) == (threshold, pytest.approx(low))
    assert not calibration.certified


@pytest.mark.parametrize("opener", ["recording", "stream"])
@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_threshold_that_no_score_can_have_is_refused(opener: str, threshold: float, run: Path) -> None:
    with replaced(), pytest.raises(InputError, match=r"must lie in \[0, 1\]"):
        OPENERS[opener](run, threshold=threshold)


@pytest.mark.parametrize("opener", ["recording", "stream"])
def test_a_device_that_is_not_here_is_refused(opener: str, run: Path) -> None:
    with replaced(), pytest.raises(InputError, match="use cpu"):
        OPENERS[opener](run, device="cuda:99")


def test_a_run_of_features_made_elsewhere_scores_features_alone(tmp_path: Path) -> None:
    checkpoint = replace(checkpoint_of(small_model()), encoder="features:sensor")
    checkpoint.save(tmp_path)
    detector, stream = Detector.open(tmp_path), StreamingDetector.open(tmp_path)
    found = detector.detect_features(np.ones((5, 4), np.float32))
    assert found.scores.shape == (5,)
    for ask in (
        lambda: detector.detect("v.mp4"),
        lambda: detector.detect_frames([]),
        lambda: ModelShelf().open(tmp_path),
    ):
        with pytest.raises(InputError, match=r"its features were made elsewhere \('features:sensor'\)"):
            ask()
    with pytest.raises(InputError, match="push segments of features"):
        stream.push_frame(np.zeros((8, 8, 3), np.uint8), 0.0)


def test_encoders_are_opened_once_and_narrowed_once_for_all_that_read_the_same() -> None:
    opened: list[str] = []

    class Narrow(MeanEncoder):
        def reading(self, spans):
            return self if not spans else MeanEncoder()

    def open_one(spec: str) -> EncoderChoice:
        opened.append(spec)
        return EncoderChoice(spec, Narrow(), None)

    shelf = EncoderShelf(open_one)
    first, again, whole = shelf.reading("a", ((0, 1),)), shelf.reading("a", ((0, 1),)), shelf.reading("a", ())
    assert first is again
    assert whole.vision is not first.vision
    assert opened == ["a"]
    shelf.reading("b", ())
    assert opened == ["a", "b"]


@pytest.mark.parametrize(
    ("trained", "asked", "expected"),
    [
        (WindowRule(), (None, None), (60.0, 5.0)),
        (WindowRule(), (3.0, None), (3.0, 3.0)),  # a score waits no longer than its window lasts
        (WindowRule(), (None, 7.0), (60.0, 7.0)),
        (WindowRule(20.0, 2.0), (None, None), (20.0, 2.0)),
        (WindowRule(20.0, 2.0), (40.0, None), (40.0, 2.0)),
        (WindowRule(20.0, 2.0), (40.0, 0.0), (40.0, 0.0)),
    ],
)
def test_the_rule_of_a_stream(
    trained: WindowRule, asked: tuple[float | None, float | None], expected: tuple[float, float]
) -> None:
    rule = trained.live(*asked)
    assert (rule.window_s, rule.delay_s) == expected


@pytest.mark.parametrize("asked", [(0.0, None), (-1.0, None), (5.0, 6.0), (None, -1.0)])
def test_a_rule_that_no_stream_can_have(asked: tuple[float | None, float | None]) -> None:
    with pytest.raises(InputError, match=r"window|delay"):
        WindowRule().live(*asked)


def test_an_encoder_of_another_run_is_refused_when_the_parts_meet() -> None:
    with pytest.raises(InputError, match="they differ in weights_sha256"):
        OpenedRun(checkpoint_of(small_model()), EncoderChoice("lite", MeanEncoder("1" * 64), None))
