"""What people set up without training: shares of the picture that change, worked out by hand; and `bench peers`."""

import csv
from pathlib import Path

import numpy as np
import pytest

from cli_cases import call, make_recipe
from fakes import replaced
from refinevad.study.pixel_controls import background, difference, look
from refinevad.timeline import SegmentRule, Timeline
from videos import write_video

pytest.importorskip("cv2", reason="OpenCV is not installed")


def _picture(rows: int, level: int = 60) -> np.ndarray:
    """A grey picture whose first rows are bright."""
    picture = np.full((40, 32), level, np.uint8)
    picture[:rows] = 220
    return picture


def test_frame_difference_is_the_share_that_changed_by_more_than_25_levels() -> None:
    changed = difference()
    assert changed(_picture(0)) == 0.0  # there is none before it
    assert changed(_picture(10)) == 0.25
    assert changed(_picture(10)) == 0.0
    assert changed(_picture(10, 85)) == 0.0  # 25 levels are not more than 25
    assert changed(_picture(10, 111)) == 0.75


def test_background_is_what_stood_there_before() -> None:
    changed = background()
    assert [changed(_picture(0)) for _ in range(30)] == [0.0] * 30
    assert changed(_picture(10)) == pytest.approx(0.25, abs=0.01)
    assert changed(_picture(0)) == pytest.approx(0.0, abs=0.01)


def test_scores_lie_in_the_segments_that_things_move_in(tmp_path: Path) -> None:
    levels = [200 if frame > 25 and frame // 2 % 2 else 60 for frame in range(50)]
    pictures = (np.full((32, 32, 3), level, np.uint8) for level in levels)
    video = write_video(tmp_path / "a.mp4", pictures, frames=50)
    line = Timeline.uniform(50, 25.0, SegmentRule(seconds=0.5))
    looked = look(video, line, difference)
    # every other picture is looked at, and from the 26th on each of these is another than the one before
    assert looked.scores.tolist() == [0.0, 0.0, 1.0, 1.0]
    still = look(write_video(tmp_path / "b.mp4", (np.full((32, 32, 3), 60, np.uint8),) * 50), line, background)
    assert still.scores.tolist() == [0.0] * line.segments
    assert looked.cpu_s > 0


def test_bench_peers_judges_and_times_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make_recipe(tmp_path, tmp_path / "features")
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path))
    words = ["bench", "peers", recipe, "--heads", "sultani", "--workers", "1", "--out", tmp_path / "out"]
    tables = []
    for _ in range(2):  # finished seeds are read back, their times too
        with replaced():
            assert call(*words) == 0
        with (tmp_path / "out" / "peers.csv").open(newline="") as file:
            tables.append(list(csv.DictReader(file)))
    names = [row["what"] for row in tables[0]]
    assert names[:2] == ["frame difference", "OpenCV MOG2"]
    assert set(names[2:]) == {
        "sultani (`--head sultani`)",
        "ridge control (`--head linear`)",
        "refinevad, every option at its default",
    }
    trained = {row["what"]: row["CPU s to train"] for row in tables[0]}
    assert trained == {row["what"]: row["CPU s to train"] for row in tables[1]}
    assert trained["frame difference"] == "-"
    # in the one anomalous video the picture moves throughout, in the normal one it does, too: figures are in [0, 1]
    assert all(0 <= float(row["frame AUC"].split()[0]) <= 1 for row in tables[0])
    assert (tmp_path / "out" / "table.md").read_text().count("\n") == len(names) + 2
