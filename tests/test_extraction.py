"""Decoding and encoding side by side against one after the other: the same bits and errors, nothing left behind."""

import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fakes import BrokenEncoder, MeanEncoder
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.detector import Detector
from refinevad.encoders.choice import EncoderChoice
from refinevad.encoders.lite import LiteEncoder
from refinevad.errors import InputError
from refinevad.features.encoding import CLIPS_AT_ONCE
from refinevad.features.extraction import extract
from refinevad.features.store import Features
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.timeline import SegmentRule
from refinevad.video.frames import Clip
from videos import spoil_packets, write_headers_only, write_video

RULE = SegmentRule.default()


class RaisingEncoder(MeanEncoder):
    """Raises at its second call."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error, self.calls = error, 0

    def encode(self, clips: Sequence[Clip]) -> np.ndarray:
        self.calls += 1
        if self.calls == 2:
            raise self.error
        return super().encode(clips)


def choice(encoder: MeanEncoder | LiteEncoder | None = None) -> EncoderChoice:
    return EncoderChoice("lite", encoder or MeanEncoder(), None)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def scene(frames: int, size: tuple[int, int] = (160, 96)) -> list[np.ndarray]:
    """Blocks that slide at their own speeds, with a cut half way."""
    rng = np.random.default_rng(3)
    width, height = size
    pictures = []
    for part in range(2):
        blocks = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        for index in range(frames // 2):
            moved = np.roll(blocks, (part + 1) * index, axis=1)
            moved[height // 3 : height // 2] = np.roll(blocks, 3 * index, axis=1)[height // 3 : height // 2]
            pictures.append(moved)
    return pictures


def assert_equal(one: Features, other: Features) -> None:
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.timeline.time_bounds, other.timeline.time_bounds)
    np.testing.assert_array_equal(one.timeline.frame_bounds, other.timeline.frame_bounds)
    assert one.provenance == other.provenance


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "v.mp4"
    return write_video(path, scene(160), size=(160, 96), options={"crf": "23", "bf": "3", "g": "50"})


@pytest.mark.parametrize("ahead", [1, 3, 16])
@pytest.mark.parametrize("frames", [1, 16, 16 * CLIPS_AT_ONCE, 16 * CLIPS_AT_ONCE + 1, 400])
def test_side_by_side_is_one_after_the_other(frames: int, ahead: int, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=frames)
    counted: list[int] = []
    overlapped = extract(path, choice(), RULE, counted.append, ahead)
    assert_equal(overlapped, extract(path, choice(), RULE, ahead=0))
    assert sum(counted) == frames


def test_the_default_encoder_gives_the_same_bits_on_any_number_of_threads(film: Path) -> None:
    in_turn = extract(film, choice(LiteEncoder(threads=1)), RULE, ahead=0)
    assert in_turn.values.any(axis=0).mean() > 0.25
    assert_equal(extract(film, choice(LiteEncoder(threads=3)), RULE), in_turn)


def test_parts_nobody_reads_are_left_out_and_the_others_stay_the_same(film: Path) -> None:
    encoder = LiteEncoder(threads=2)
    whole = extract(film, choice(encoder), RULE)
    appearance, change = encoder.parts["appearance"], encoder.parts["change"]
    for spans in ([], [(0, encoder.dim)], [change, (appearance[0], appearance[0] + 1)]):
        assert choice(encoder).reading(spans).vision is encoder
    narrow = choice(encoder).reading([(0, change[1])])
    assert narrow.identity == encoder.identity
    found = extract(film, narrow, RULE).values
    np.testing.assert_array_equal(found[:, : appearance[0]], whole.values[:, : appearance[0]])
    assert whole.values[:, slice(*appearance)].any()
    assert not found[:, slice(*appearance)].any()


def test_without_the_image_network_no_colour_frame_is_made_and_motion_is_the_same(film: Path) -> None:
    encoder = LiteEncoder(threads=2)
    whole = extract(film, choice(encoder), RULE)
    narrow = choice(encoder).reading([encoder.parts["motion_deviation"], encoder.parts["motion_peak"]])
    assert narrow.identity == encoder.identity
    assert narrow.needs == replace(encoder.needs, rgb_frames=0)
    found = extract(film, narrow, RULE).values
    motion = encoder.parts["frame_difference"][0]
    np.testing.assert_array_equal(found[:, :motion], whole.values[:, :motion])
    assert not found[:, motion:].any()  # nor the control, which nobody reads
    assert whole.values[:, motion:].any()


@pytest.mark.parametrize("merge", [False, True])
def test_detect_scores_as_from_all_features(merge: bool, film: Path) -> None:
    encoder = choice(LiteEncoder(threads=1))
    torch.manual_seed(0)
    spans = (encoder.parts["motion_mean"], encoder.parts["change"])
    config = RefineVADConfig(encoder.dim, ("fight",), inputs=spans, merge_runs=merge)
    signature = {"encoder": encoder.identity.as_dict(), "rule": RULE.as_dict()}
    checkpoint = Checkpoint(RefineVAD(config).eval(), "lite", signature, Calibration(0.4, 0.2, 6.0, True, 1.0))
    detector = Detector(checkpoint, "run", encoder)
    wanted = detector.detect_features(extract(film, encoder, RULE, ahead=0), film.name)
    found = detector.detect(film)
    np.testing.assert_array_equal(found.scores, wanted.scores)
    np.testing.assert_array_equal(found.category_scores, wanted.category_scores)


# --- faults -----------------------------------------------------------------------------------------------------


def test_a_damaged_middle_is_told_of_as_in_turn(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", frames=400, codec="mjpeg", pixels="yuvj420p")
    spoil_packets(path, range(200, 205))
    told, found = [], []
    for ahead in (0, 4):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.append(extract(path, choice(), RULE, ahead=ahead))
        told.append([(one.category.__name__, str(one.message)) for one in caught])
    assert told[0] == told[1]
    assert "5 damaged packets" in told[0][0][1]
    assert_equal(found[1], found[0])


def test_a_warning_that_is_an_error_reaches_the_caller(tmp_path: Path) -> None:
    path = spoil_packets(write_video(tmp_path / "v.avi", frames=100, codec="mjpeg", pixels="yuvj420p"), range(40, 45))
    with pytest.raises(UserWarning, match="5 damaged packets"):  # pyproject.toml: warnings are errors here
        extract(path, choice(), RULE)


def test_a_video_without_frames_is_refused_as_in_turn(tmp_path: Path) -> None:
    spoilt = write_video(tmp_path / "v.avi", frames=10, codec="mjpeg", pixels="yuvj420p")
    sentences = []
    for path in (spoil_packets(spoilt, range(10)), write_headers_only(tmp_path / "empty.mkv")):
        for ahead in (0, 4):
            with pytest.raises(InputError) as caught:
                extract(path, choice(), RULE, ahead=ahead)
            sentences.append(str(caught.value))
    assert sentences[0] == sentences[1]
    assert sentences[2] == sentences[3]
    assert "no frame could be decoded" in sentences[0]


@pytest.mark.parametrize("error", [InputError("weights are gone"), KeyboardInterrupt(), MemoryError()])
def test_an_encoder_that_raises_leaves_no_thread_and_no_file_open(error: BaseException, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=1200)
    threads, files = threading.active_count(), open_files()
    with pytest.raises(type(error)) as caught:
        extract(path, choice(RaisingEncoder(error)), RULE, ahead=3)
    assert caught.value is error
    assert threading.active_count() == threads
    assert open_files() == files


def test_a_progress_that_raises_leaves_no_thread(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=600)
    threads, files = threading.active_count(), open_files()

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(path, choice(), RULE, stop, ahead=2)
    assert (threading.active_count(), open_files()) == (threads, files)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="NaN or infinite"):
        extract(write_video(tmp_path / "v.mp4", frames=5), choice(BrokenEncoder()), RULE)
