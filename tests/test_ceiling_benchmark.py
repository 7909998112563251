"""benchmarks/ceiling.py on features made by hand: what each column may know shows in its figure."""

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refinevad.datasets.dataset import Item
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.timeline import SegmentRule, Timeline

FOLDER = Path(__file__).parents[1] / "benchmarks"
SEGMENTS, FRAMES = 12, 16


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    sys.path.insert(0, str(FOLDER))  # its neighbour lite_parts is imported by name, as when it is run
    try:
        return runpy.run_path(str(FOLDER / "ceiling.py"))
    finally:
        sys.path.remove(str(FOLDER))


def video_truth(name: str, anomalous: tuple[tuple[int, int], ...]) -> VideoTruth:
    timeline = Timeline.uniform(SEGMENTS * FRAMES, 25.0, SegmentRule(frames=FRAMES))
    return VideoTruth(name, ("fight",) if anomalous else (), timeline, (), anomalous)


def videos_of(script: dict[str, Any], folds: bool = False) -> tuple[list[Any], Truth]:
    """Channel 0 tells segments apart in training and test, with opposite signs; the third quarter is anomalous."""
    rng = np.random.default_rng(0)
    videos, truths = [], []
    for number in range(40):
        split = "train" if number < 20 else "test"
        truth = video_truth(f"{number}.mp4", ((6 * FRAMES, 9 * FRAMES),) if number % 2 else ())
        true = script["segment_truth"](truth)
        sign = 1 if split == "train" or folds else -1
        values = np.stack([sign * true + 0.1 * rng.normal(size=SEGMENTS), rng.normal(size=SEGMENTS)], axis=1)
        item = Item(truth.name, truth.labels, split, number // 8 if folds else None)
        videos.append(script["Video"](item, values.astype(np.float32), true))
        truths.append(truth)
    return videos, Truth(("normal", "fight"), tuple(truths if folds else truths[20:]))


def test_a_segment_is_anomalous_from_half_of_its_frames(script: dict[str, Any]) -> None:
    """Frames 8 to 39 of segments of 16: half of the first, the second, half of the third."""
    found = script["segment_truth"](video_truth("a.mp4", ((8, 40),)))
    assert found.tolist() == [True, True, True] + [False] * 9
    assert script["segment_truth"](video_truth("a.mp4", ((9, 39),))).tolist() == [False, True] + [False] * 10


def test_what_does_not_carry_over_shows_between_the_columns(script: dict[str, Any]) -> None:
    """Test videos among themselves are told apart; by training videos, whose sign is the other, the wrong way."""
    own, carried, labels = script["ceilings"](*videos_of(script))
    assert own > 0.9
    assert carried < 0.2
    assert labels < 0.2


def test_folds_leave_out_the_column_of_training_videos(script: dict[str, Any]) -> None:
    videos, truth = videos_of(script, folds=True)
    own, carried, labels = script["ceilings"](videos, truth)
    assert own > 0.9
    assert np.isnan(carried)
    assert labels > 0.9


def test_no_model_sees_its_own_video(script: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    videos, _ = videos_of(script)
    seen: list[str] = []

    def spy(training: list[Any], tested: list[Any], by_truth: bool) -> dict[str, np.ndarray]:
        assert not {video.item.path for video in training} & {video.item.path for video in tested}
        assert len(training) + len(tested) == 20
        seen.extend(video.item.path for video in tested)
        return {}

    monkeypatch.setitem(script["held_out"].__globals__, "scores", spy)
    script["held_out"](videos[20:], True)
    assert sorted(seen) == sorted(video.item.path for video in videos[20:])


def test_folds_hold_each_label_alike(script: dict[str, Any]) -> None:
    videos, _ = videos_of(script)
    groups = script["folds"](videos[20:])
    for label in (True, False):
        counts = np.bincount([g for g, v in zip(groups, videos[20:], strict=True) if v.item.anomalous is label])
        assert counts.tolist() == [2] * 5


def test_scales_by_hand(script: dict[str, Any]) -> None:
    values = np.array([[1.0], [4.0], [2.0], [2.0]])
    np.testing.assert_allclose(script["step"](values)[:, 1], [0, 3, 2, 0])
    np.testing.assert_allclose(script["largest"](values)[:, 1], [4, 4, 4, 4])
    np.testing.assert_allclose(script["deviation"](values)[[0, 3], 1], [np.std([1, 4, 2]), np.std([4, 2, 2])])
    assert script["twice"](values).tolist() == [[1, 1], [4, 4], [2, 2], [2, 2]]
