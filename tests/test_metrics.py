"""Frame and video figures against scikit-learn and by hand."""

import math
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from refinevad.errors import InputError
from refinevad.judging.metrics import (
    Runs,
    ap_trapezoid,
    average_precision,
    calibration_error,
    category_accuracy,
    false_alarm_rate,
    overlap,
    recall_at,
    roc_auc,
    video_auc,
)
from refinevad.top_k import top_mean

# Few levels: ties everywhere.
frames = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({truth for _, truth in rows}) == 2
)


def _arrays(rows: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([level / 5 for level, _ in rows]), np.array([truth for _, truth in rows])


@given(frames)
def test_areas_equal_scikit_learn_with_ties(rows: list[tuple[int, bool]]) -> None:
    scores, truth = _arrays(rows)
    runs = Runs.from_frames(scores, truth)
    precision, recall, _ = precision_recall_curve(truth, scores)
    assert roc_auc(runs) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert average_precision(runs) == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert ap_trapezoid(runs) == pytest.approx(auc(recall, precision), abs=1e-12)


@given(frames, st.integers(1, 9))
def test_runs_of_segments_equal_their_frames(rows: list[tuple[int, bool]], length: int) -> None:
    scores, truth = _arrays(rows)
    segment_scores = scores[::length]
    bounds = np.append(np.arange(0, len(scores), length), len(scores))
    per_frame = np.repeat(segment_scores, np.diff(bounds))
    edges = np.flatnonzero(np.diff(truth.astype(int), prepend=0, append=0)).reshape(-1, 2)
    runs = Runs.from_segments(segment_scores, bounds, [(int(s), int(e)) for s, e in edges])
    assert runs.frames == len(truth)
    assert roc_auc(runs) == pytest.approx(roc_auc_score(truth, per_frame), abs=1e-12)
    assert average_precision(runs) == pytest.approx(average_precision_score(truth, per_frame), abs=1e-12)


def test_auc_by_hand() -> None:
    # pairs (anomalous, normal): 3 > 1, 3 > 2, 2 > 1, 2 = 2: (1 + 1 + 1 + 0.5) / 4
    runs = Runs.from_frames(np.array([3.0, 2.0, 1.0, 2.0]), np.array([True, True, False, False]))
    assert roc_auc(runs) == pytest.approx(0.875)
    assert roc_auc(Runs(-runs.scores, runs.positives, runs.negatives)) == pytest.approx(0.125)


def test_runs_without_frames_change_nothing() -> None:
    runs = Runs(np.array([0.9, 0.5, 0.1]), np.array([0, 3, 0]), np.array([0, 0, 5]))
    assert average_precision(runs) == ap_trapezoid(runs) == roc_auc(runs) == 1.0


def test_a_missing_kind_of_frame_gives_nan() -> None:
    normal = Runs.from_frames(np.array([0.1, 0.2]), np.array([False, False]))
    assert math.isnan(roc_auc(normal))
    assert math.isnan(average_precision(normal))
    assert math.isnan(ap_trapezoid(normal))
    assert math.isnan(false_alarm_rate(Runs.join([])))


def test_nan_scores_are_refused() -> None:
    with pytest.raises(InputError, match="NaN"):
        Runs.from_frames(np.array([np.nan, 0.2]), np.array([False, True]))


def test_overlap_counts_half_open_frames() -> None:
    # segments [0, 16), [16, 32), [32, 40); ranges [10, 20) and [31, 50)
    assert overlap(np.array([0, 16, 32, 40]), [(10, 20), (31, 50)]).tolist() == [6, 5, 8]


def test_false_alarms_are_strictly_above_the_threshold() -> None:
    normal = Runs(np.array([0.5, 0.6, 0.1]), np.array([0, 0, 0]), np.array([10, 5, 25]))
    assert false_alarm_rate(normal) == pytest.approx(5 / 40)


def test_calibration_by_hand() -> None:
    # bin of 0.9: 10 frames, 5 anomalous: gap 0.4; bin of 0.1: 30 frames, 3 anomalous: gap 0
    runs = Runs(np.array([0.9, 0.1]), np.array([5, 3]), np.array([5, 27]))
    assert calibration_error(runs) == pytest.approx(10 / 40 * 0.4)
    assert math.isnan(calibration_error(Runs(np.array([1.5]), np.array([1]), np.array([0]))))


def test_top_mean_takes_one_in_sixteen_and_one_more() -> None:
    assert float(top_mean(np.arange(15.0))) == 14.0  # k = 0 + 1
    assert float(top_mean(np.arange(32.0))) == pytest.approx((31 + 30 + 29) / 3)  # k = 2 + 1


def test_video_auc_orders_bags() -> None:
    scores = [np.array([0.1, 0.9]), np.array([0.2, 0.3]), np.array([0.5, 0.0])]
    assert video_auc(scores, [True, False, False]) == 1.0
    assert video_auc(scores, [False, False, True]) == 0.5


def test_category_accuracy_counts_any_label() -> None:
    probabilities = [np.array([[0.7, 0.2, 0.1]]), np.array([[0.1, 0.8, 0.1]]), np.array([[0.1, 0.1, 0.8]])]
    result = category_accuracy(probabilities, [[0], [0, 1], [1]], categories=3)
    assert result.accuracy == pytest.approx(2 / 3)
    assert result.confusion.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]


def test_a_million_frames_in_no_time() -> None:
    rng = np.random.default_rng(0)
    runs = Runs(rng.random(70_000), rng.integers(0, 16, 70_000), np.full(70_000, 16))
    began = time.process_time()
    roc_auc(runs)
    average_precision(runs)
    ap_trapezoid(runs)
    assert time.process_time() - began < 0.5


def test_imports_neither_torch_nor_scikit_learn() -> None:
    modules = ["metrics", "within", "resampling", "localisation", "alerts", "truth", "annotation", "predictions"]
    modules += ["protocol", "resampled_events"]
    code = "\n".join(f"import refinevad.judging.{module}" for module in modules)
    code += "\nimport refinevad.datasets.benchmarks"
    code += "\nimport sys; sys.exit(bool({'torch', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(frames, st.sampled_from([0.0, 0.01, 0.05, 0.2, 1 / 3, 0.5, 1.0]))
def test_recall_at_a_false_positive_rate_is_the_best_threshold_within_it(
    rows: list[tuple[int, bool]], rate: float
) -> None:
    scores, truth = _arrays(rows)
    # every threshold one could set, and the one above all scores
    points = [((scores >= t)[~truth].mean(), (scores >= t)[truth].mean()) for t in [*scores, np.inf]]
    expected = max(recall for false, recall in points if false <= rate + 1e-9)
    assert recall_at(Runs.from_frames(scores, truth), rate) == pytest.approx(expected)


@given(frames)
def test_seconds_weigh_what_so_many_frames_would(rows: list[tuple[int, bool]]) -> None:
    scores, truth = _arrays(rows)
    runs = Runs.from_frames(scores, truth)
    seconds = np.arange(1, len(rows) + 1) / 4  # each frame as long as its place, in quarters of a second
    timed = runs.timed(seconds)
    repeated = np.repeat(np.arange(len(rows)), np.arange(1, len(rows) + 1))
    as_frames = Runs.from_frames(scores[repeated], truth[repeated])
    for figure in (roc_auc, average_precision, ap_trapezoid):
        assert figure(timed) == pytest.approx(figure(as_frames), abs=1e-12)
