"""Within, cross and the video-mean control: every pair of frames by hand, and figures known of published truth."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from refinevad.judging.metrics import Runs, roc_auc
from refinevad.judging.predictions import align, read_predictions
from refinevad.judging.truth_files import read_truth_json
from refinevad.judging.within import video_means, within_cross

Video = list[tuple[int, bool]]
# few levels: ties everywhere; some videos hold one kind of frame alone
sets = st.lists(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=8), min_size=1, max_size=5)


def runs_of(video: Video) -> Runs:
    return Runs.from_frames(np.array([float(score) for score, _ in video]), np.array([truth for _, truth in video]))


def brute(videos: list[Video], same: bool) -> tuple[float, int]:
    """(share won, number) of the pairs of an anomalous and a normal frame in one video, or in two."""
    frames = [(place, score, truth) for place, video in enumerate(videos) for score, truth in video]
    pairs = [
        1.0 if s > t else 0.5 if s == t else 0.0
        for (a, s, positive), (b, t, negative) in product(frames, frames)
        if positive and not negative and (a == b) == same
    ]
    return (sum(pairs) / len(pairs) if pairs else math.nan), len(pairs)


@given(sets)
def test_within_and_cross_are_the_pairs_inside_and_between_videos(videos: list[Video]) -> None:
    split = within_cross([runs_of(video) for video in videos])
    (within, inside), (cross, between) = brute(videos, same=True), brute(videos, same=False)
    assert split.within == pytest.approx(within, nan_ok=True)
    assert split.cross == pytest.approx(cross, nan_ok=True)
    weight = inside / (inside + between) if inside + between else math.nan
    assert split.weight == pytest.approx(weight, nan_ok=True)
    mixed = [v for v in videos if len({truth for _, truth in v}) == 2]
    areas = [roc_auc_score([truth for _, truth in v], [score for score, _ in v]) for v in mixed]
    assert split.macro == pytest.approx(np.mean(areas) if areas else math.nan, nan_ok=True)


@given(sets)
def test_micro_is_the_weighted_sum_of_both(videos: list[Video]) -> None:
    runs = [runs_of(video) for video in videos]
    split, micro = within_cross(runs), roc_auc(Runs.join(runs))
    parts = [(split.weight, split.within), (1 - split.weight, split.cross)]
    told = sum(weight * area for weight, area in parts if weight > 0)
    assert told == pytest.approx(micro) or (math.isnan(micro) and math.isnan(split.weight))


@given(sets)
def test_the_control_gives_every_frame_its_videos_mean(videos: list[Video]) -> None:
    means = [np.mean([score for score, _ in video]) for video in videos]
    frames = [(means[place], truth) for place, video in enumerate(videos) for _, truth in video]
    if len({truth for _, truth in frames}) < 2:
        return
    expected = roc_auc_score([truth for _, truth in frames], np.round([score for score, _ in frames], 12))
    found = [Runs(np.round(r.scores, 12), r.positives, r.negatives) for r in video_means([runs_of(v) for v in videos])]
    assert roc_auc(Runs.join(found)) == pytest.approx(expected)


def test_means_are_over_frames_not_segments() -> None:
    # 30 frames at 0.2, 10 at 1.0
    (mean,) = video_means([Runs(np.array([0.2, 1.0]), np.array([0, 10]), np.array([30, 0]))])
    assert mean.scores.tolist() == pytest.approx([0.4])
    assert (mean.positives.tolist(), mean.negatives.tolist()) == ([10], [30])


@pytest.mark.parametrize(("folder", "percent"), [("ucf-crime", 0.39), ("xd-violence", 0.07)])
def test_a_benchmarks_auc_hardly_looks_inside_videos(data_root: Path, folder: str, percent: float) -> None:
    truth = read_truth_json(data_root / folder / "test_truth.json")
    videos = [Runs.from_segments(np.zeros(1), np.array([0, v.timeline.frames]), v.anomalous) for v in truth.videos]
    assert 100 * within_cross(videos).weight == pytest.approx(percent, abs=0.005)


def test_the_video_mean_beats_the_golden_predictions(data_root: Path) -> None:
    truth = read_truth_json(data_root / "xd-violence" / "test_truth.json")
    aligned = align(read_predictions(data_root / "goldens" / "xd_pred_7.npz"), truth).videos
    videos = [Runs.from_segments(v.prediction.scores, v.frame_bounds, v.truth.anomalous) for v in aligned]
    assert roc_auc(Runs.join(videos)) == pytest.approx(0.812, abs=0.0005)
    assert roc_auc(Runs.join(video_means(videos))) == pytest.approx(0.881, abs=0.0005)
