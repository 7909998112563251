"""Where an event's score came from: cells by hand, the loss of a linear path to the last digit, files and commands."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fakes import MeanEncoder, replaced
from refinevad.apps.cli import main
from refinevad.apps.report.where_section import jpeg_size
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.detector import Detector
from refinevad.encoders.base import Clip, FrameNeeds
from refinevad.encoders.choice import EncoderChoice
from refinevad.locating import CONTEXT, Peak, locate
from refinevad.peers.contender import Contender, ContenderConfig
from refinevad.ridge import Ridge
from refinevad.scoring.where import Where, shares_of_gains
from refinevad.timeline import SegmentRule
from refinevad.video.left_out import CellGrid, leave_out
from refinevad.video.recording import Recording
from videos import film, write_video

torch.set_num_threads(1)
RULE = SegmentRule.default()


class MotionEncoder(MeanEncoder):
    """One number: how much successive grey frames differ, over the whole picture."""

    dim = 1
    needs = FrameNeeds(rgb_frames=0, gray_long_side=40, gray_hz=25.0)
    parts = {"frame_difference": (0, 1)}  # noqa: RUF012 - as the base class has it

    def encode(self, clips: Sequence[Clip]) -> np.ndarray:
        return np.array([[np.abs(np.diff(clip.gray.astype(float), axis=0)).mean()] for clip in clips], np.float32)


def choice(encoder: MeanEncoder) -> EncoderChoice:
    return EncoderChoice("lite", encoder, None)


def linear(weights: Sequence[float], bias: float = 0.0) -> Contender:
    """The head `linear` on channels that are taken as they come."""
    count = len(weights)
    model = Contender(ContenderConfig(channels=count, categories=("fight",), head="linear")).eval()
    none = np.zeros((1, count))
    model.take(Ridge(np.zeros(count), np.ones(count), np.array(weights), bias, none, np.zeros(1), 1.0))
    return model


def flickering(rows: slice, columns: slice, frames: int = 6) -> Clip:
    """Grey pictures of 40 x 24 in which every pixel of one part steps by 10 levels from frame to frame."""
    gray = np.full((frames, 24, 40), 100, np.uint8)
    gray[1::2, rows, columns] += 10
    empty = np.zeros((0, 0, 0, 3), np.uint8)
    return Clip(empty, np.zeros(0), gray, np.arange(frames) / 25, 0.0, 0.64, False)


def test_the_region_is_what_is_strong_and_joined_to_the_strongest_cell() -> None:
    """Of a strongest cell of 0.4 those of 0.12 and above; that at the right is strong, and touches none of them."""
    weights = np.zeros((3, 5))
    weights[0, 0], weights[1, 1], weights[1, 2], weights[2, 4] = 0.4, 0.13, 0.11, 0.36
    where = Where(weights)
    assert np.argwhere(where.region).tolist() == [[0, 0], [1, 1]]
    assert where.box == (0.0, 0.0, pytest.approx(2 / 5), pytest.approx(2 / 3))
    facts = where.facts()
    assert (facts["rows"], facts["columns"]) == (3, 5)
    assert facts["cells"] == [0.4, 0, 0, 0, 0, 0, 0.13, 0.11, 0, 0, 0, 0, 0, 0, 0.36]
    assert facts["box"] == [0.0, 0.0, 0.4, 0.6667]


def test_shares_are_of_what_speaks_for_the_score() -> None:
    assert shares_of_gains(("a", "b", "c"), np.array([3.0, -5.0, 1.0])) == {"a": 0.75, "b": 0.0, "c": 0.25}
    assert shares_of_gains(("a",), np.array([-1.0])) == {"a": 0.0}


def test_nothing_moves_in_a_cell_that_is_left_out_and_all_else_is_as_it_was() -> None:
    clip = flickering(slice(0, 24), slice(0, 40))
    clip = replace(clip, rgb=np.full((2, 8, 8, 3), 9, np.uint8), rgb_times=np.zeros(2))
    clip = replace(clip, hidden=np.zeros((24, 40), bool))
    clip.hidden[20:, 30:] = True
    cells = np.zeros((4, 8), bool)
    cells[1, 2] = True  # rows 6 to 11 and columns 10 to 14 of 24 x 40; rows 2, 3 and column 2 of 8 x 8
    found = leave_out(clip, CellGrid(4, 8, 2), cells)
    inside = np.zeros((24, 40), bool)
    inside[6:12, 10:15] = True
    assert (found.gray[:, inside] == clip.gray[0][inside]).all()
    assert np.array_equal(found.gray[:, ~inside], clip.gray[:, ~inside])
    assert np.array_equal(found.hidden, inside | clip.hidden)
    grey = np.zeros((8, 8), bool)
    grey[2:4, 2] = True
    assert (found.rgb[:, grey] == 127).all()
    assert (found.rgb[:, ~grey] == 9).all()


def test_the_grid_follows_the_picture_and_is_coarse_where_a_network_looks() -> None:
    clip = flickering(slice(0), slice(0))
    fine, coarse = FrameNeeds(rgb_frames=0), FrameNeeds(rgb_frames=2)
    assert CellGrid.of(clip, fine) == CellGrid(6, 10, 3)
    assert CellGrid.of(clip, coarse) == CellGrid(4, 6, 2)
    upright = replace(clip, gray=np.zeros((6, 40, 8), np.uint8))
    assert CellGrid.of(upright, fine) == CellGrid(10, 3, 3)  # a window has room
    assert CellGrid.of(replace(clip, gray=np.zeros((0, 0, 0), np.uint8), gray_times=np.zeros(0)), fine) is None


def test_a_linear_path_loses_to_the_last_digit_what_moves_in_a_window() -> None:
    """Each of the cells (0, 1) and (4, 8) flickers over all its 4 x 4 pixels; the second four times as much.

    So it costs each window that holds it four times as much, and changes four times as much: 16 to 1.
    """
    clip = flickering(slice(0, 4), slice(4, 8))
    clip.gray[1::2, 16:20, 32:36] += 40
    encoder, model = choice(MotionEncoder()), linear([2.0], bias=-1.0)
    vectors = encoder.encode_clips([clip])
    found = locate(model, encoder, Peak(clip, vectors))
    assert found is not None
    weights = np.zeros((6, 10))
    weights[0, 1], weights[4, 8] = 1 / 17, 16 / 17
    np.testing.assert_allclose(found.where.weights, weights, atol=1e-6)
    assert found.where.box == pytest.approx((0.8, 4 / 6, 0.9, 5 / 6))
    levels = 16 * np.array([10.0, 40.0]) / (24 * 40)  # mean step that either adds
    assert found.why.score == pytest.approx(1 / (1 + np.exp(1 - 2 * levels.sum())))
    assert found.why.without == pytest.approx(1 / (1 + np.exp(1 - 2 * levels[0])))
    assert found.why.paths == {"refined": 1.0}
    assert found.why.categories == {"fight": pytest.approx(1.0)}


def test_windows_cover_the_picture_one_cell_on_each() -> None:
    """Of 4 by 6 cells, 2 by 2 at a time: 3 by 5 windows; a cell inside is in four, a corner in one."""
    windows = list(CellGrid(4, 6, 2).windows())
    assert len(windows) == 15
    held = np.sum(windows, axis=0)
    assert (held[0, 0], held[0, 2], held[1, 2]) == (1, 2, 4)
    assert all(window.sum() == 4 for window in windows)


def test_what_changes_in_a_cell_is_its_mean_step() -> None:
    clip = flickering(slice(0, 4), slice(4, 6))  # half of the cell (0, 1) by 10
    wanted = np.zeros((6, 10))
    wanted[0, 1] = 5.0
    assert np.array_equal(CellGrid(6, 10, 3).changes(clip), wanted)
    one = replace(clip, gray=clip.gray[:1], gray_times=clip.gray_times[:1])
    assert (CellGrid(6, 10, 3).changes(one) == 1).all()


def test_no_place_is_named_where_none_carries_the_score() -> None:
    """What moves speaks against the score, or nothing moves."""
    clip, still = flickering(slice(0, 4), slice(4, 8)), flickering(slice(0), slice(0))
    encoder = choice(MotionEncoder())
    for one, model in ((clip, linear([-2.0])), (still, linear([2.0]))):
        assert locate(model, encoder, Peak(one, encoder.encode_clips([one]))) is None


def test_the_context_is_the_segments_before_and_ends_at_a_hole() -> None:
    values, clip = np.arange(60.0).reshape(30, 2), flickering(slice(0), slice(0))
    assert np.array_equal(Peak.of(clip, values, 20, [(0, 30)]).vectors, values[20 - CONTEXT : 21])
    assert np.array_equal(Peak.of(clip, values, 3, [(0, 30)]).vectors, values[:4])
    assert np.array_equal(Peak.of(clip, values, 20, [(0, 18), (18, 30)]).vectors, values[18:21])


@pytest.mark.parametrize(("codec", "name"), [("libx264", "v.mp4"), ("mpeg2video", "v.mpg"), ("mpeg4", "v.avi")])
def test_single_clips_are_those_of_the_whole_file(codec: str, name: str, tmp_path: Path) -> None:
    """Of a file that is cut at its key frames, and of one that has to be read through."""
    more = {} if codec == "libx264" else {"codec": codec, "options": {"g": "10", "qscale": "2"}}
    path = film(tmp_path / name, 120) if not more else write_video(tmp_path / name, frames=120, **more)
    needs = FrameNeeds(rgb_frames=1, rgb_size=(8, 8), gray_long_side=16, gray_hz=12.5)
    recording = Recording(path, needs, RULE)
    whole = list(recording.whole())
    wanted = {0, 3, len(whole) - 1}
    found = recording.some(wanted)
    assert set(found) == wanted
    for place in wanted:
        assert found[place].start_s == whole[place].start_s
        assert np.array_equal(found[place].gray, whole[place].gray)
        assert np.array_equal(found[place].rgb, whole[place].rgb)
    assert recording.some([]) == {}


def scene(corner: tuple[int, int], frames: int = 64) -> list[np.ndarray]:
    """A still picture of 80 x 48, in which from 0.64 to 1.92 s a square of 16 x 16 flickers."""
    pictures = [np.full((48, 80, 3), 90, np.uint8) for _ in range(frames)]
    top, left = corner
    for frame in range(16, 48, 2):
        pictures[frame][top : top + 16, left : left + 16] = 200
    return pictures


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    signature = {"encoder": MotionEncoder().identity.as_dict(), "rule": RULE.as_dict()}
    Checkpoint(linear([0.5], -2.0), "lite", signature, Calibration(0.5, 0.4, 6.0, True, 1.0)).save(folder)
    return folder


@pytest.mark.parametrize("corner", [(0, 0), (16, 64), (32, 32)])
def test_detect_tells_where_in_its_json_and_its_summary(
    run: Path, corner: tuple[int, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = write_video(tmp_path / "v.mp4", scene(corner), size=(80, 48))
    command = ["detect", str(video), "--model", str(run), "--out", str(tmp_path / "found"), "--json", "-"]
    with replaced(MotionEncoder):
        assert main(command) == 0
    (told,) = json.loads(capsys.readouterr().out)["videos"][0]["events"]
    (event,) = json.loads((tmp_path / "found" / "v.json").read_text())["events"]
    assert told["where"] == event["where"]
    assert told["why"] == event["why"]
    left, top, right, bottom = event["where"]["box"]
    assert (left, top) == pytest.approx((corner[1] / 80, corner[0] / 48), abs=0.1)
    assert (right, bottom) == pytest.approx(((corner[1] + 16) / 80, (corner[0] + 16) / 48), abs=0.1)
    assert sum(event["where"]["cells"]) == pytest.approx(1.0, abs=0.01)
    assert event["why"]["without"] < 0.2 < event["why"]["score"]


def test_the_report_draws_the_place_over_the_thumbnail(run: Path, tmp_path: Path) -> None:
    """The box of 80 x 48 pixels in the thumbnail's own; in words, too."""
    video = write_video(tmp_path / "v.mp4", scene((32, 64)), size=(80, 48))
    with replaced(MotionEncoder):
        assert main(["detect", str(video), "--model", str(run), "--out", str(tmp_path / "found")]) == 0
    page = (tmp_path / "found" / "v.html").read_text()
    (event,) = json.loads((tmp_path / "found" / "v.json").read_text())["events"]
    left, top, right, bottom = event["where"]["box"]
    box = (80 * left, 48 * top, 80 * (right - left), 48 * (bottom - top))
    drawn = '<rect class="box" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'.format(*box)
    assert '<svg class="where" viewBox="0 0 80 48"' in page
    assert drawn in page
    assert "It came from the lower right of the picture" in page


def test_a_picture_says_its_size_or_is_none() -> None:
    jpeg = cv2.imencode(".jpg", np.zeros((30, 70, 3), np.uint8))[1].tobytes()
    assert jpeg_size(jpeg) == (70, 30)
    for spoilt in (b"", b"\xff\xd8", jpeg[:100], b"no picture at all", jpeg[:4] + b"\0\0" + jpeg[6:]):
        assert jpeg_size(spoilt) is None


def test_nobody_looks_where_it_is_switched_off(run: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", scene((0, 0)), size=(80, 48))
    command = ["detect", str(video), "--model", str(run), "--out", str(tmp_path), "--no-where", "--no-report"]
    with replaced(MotionEncoder):
        assert main(command) == 0
        assert not Detector.open(run, where=False).detect(video).located
        whole = Detector.open(run).detect(video)
    (event,) = json.loads((tmp_path / "v.json").read_text())["events"]
    assert "where" not in event
    assert "why" not in event
    assert set(whole.located) == {0}
