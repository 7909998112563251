"""Intervals over videos: each resample is held against the same videos laid out frame by frame, copies and all."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from refinevad.errors import InputError
from refinevad.judging.metrics import Runs
from refinevad.judging.predictions import VideoPrediction
from refinevad.judging.resampling import Bootstrap, Sampled, interval, paired
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.timeline import SegmentRule, Timeline

RULE = SegmentRule(frames=4)
# a video: scores of few levels, and where its anomaly begins and ends (in quarters of it), if it has one
videos = st.lists(
    st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.none() | st.tuples(st.integers(0, 3))),
    min_size=2,
    max_size=6,
)


def made(drawn: Sequence[tuple[list[int], tuple[int] | None]]) -> tuple[Truth, dict[str, VideoPrediction]]:
    truths, predictions = [], {}
    for place, (levels, begins) in enumerate(drawn):
        frames = 4 * len(levels) - 1  # the last segment is short
        anomalous = () if begins is None else ((begins[0] * frames // 4, frames - begins[0] // 2),)
        labels = () if begins is None else ("x",)
        timeline = Timeline.uniform(frames, 25.0, RULE)
        truths.append(VideoTruth(f"v{place}", labels, timeline, (), anomalous))
        predictions[f"v{place}"] = VideoPrediction.of(np.array([level / 3 for level in levels]))
    return Truth(("normal", "x"), tuple(truths)), predictions


def frame_by_frame(truth: Truth, predictions: dict[str, VideoPrediction], counts: Sequence[int]) -> dict[str, float]:
    """The figures of a set that holds each video `counts` times, from frames alone."""
    copies = [
        (
            video.timeline.expand(predictions[video.name].scores),
            np.array([any(a <= f < b for a, b in video.anomalous) for f in range(video.timeline.frames)]),
            bool(video.labels),
            float(np.sort(predictions[video.name].scores)[-1]),  # up to 15 segments: the top one
        )
        for video, count in zip(truth.videos, counts, strict=True)
        for _ in range(count)
    ]
    scores = np.concatenate([s for s, _, _, _ in copies])
    anomalous = np.concatenate([a for _, a, _, _ in copies])
    inside = [(s, a) for s, a, _, _ in copies if 0 < a.sum() < len(a)]
    pairs = np.array([a.sum() * (~a).sum() for _, a in inside], dtype=float)
    areas = np.array([roc_auc_score(a, s) for s, a in inside])
    labelled = [(s, a) for s, a, label, _ in copies if label]
    means = np.concatenate([np.full(len(s), np.round(s.mean(), 12)) for s, _, _, _ in copies])
    both = 0 < anomalous.sum() < len(anomalous)
    every = float(anomalous.sum()) * float((~anomalous).sum())
    figures = {
        "auc": _auc(anomalous, scores),
        "ap": float(average_precision_score(anomalous, scores)) if anomalous.any() else math.nan,
        "ano_auc": _auc(np.concatenate([a for _, a in labelled]), np.concatenate([s for s, _ in labelled]))
        if labelled
        else math.nan,
        "video_auc": _auc(np.array([label for _, _, label, _ in copies]), np.array([top for _, _, _, top in copies])),
        "video_mean_auc": _auc(anomalous, means),
        "within_auc": float((pairs * areas).sum() / pairs.sum()) if inside else math.nan,
        "macro_within_auc": float(areas.mean()) if inside else math.nan,
        "within_weight": pairs.sum() / every if every else math.nan,
    }
    outside = every - pairs.sum()
    figures["cross_auc"] = (figures["auc"] * every - (pairs * areas).sum()) / outside if outside > 0 else math.nan
    for rate in (0.01, 0.02, 0.03, 0.05):
        false, found = roc_curve(anomalous, scores, drop_intermediate=False)[:2] if both else ((), ())
        reached = [f for x, f in zip(false, found, strict=True) if x <= rate]
        figures[f"recall_at_fpr/{rate}"] = max(reached) if both else math.nan
    return figures


def _auc(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(roc_auc_score(truth, scores)) if 0 < truth.sum() < len(truth) else math.nan


@settings(max_examples=60, deadline=None)
@given(videos)
def test_each_resample_equals_its_videos_frame_by_frame(drawn: list[tuple[list[int], tuple[int] | None]]) -> None:
    truth, predictions = made(drawn)
    bootstrap = Bootstrap.of(truth, resamples=4)
    found = bootstrap.figures(predictions)
    for row, counts in enumerate([[1] * len(truth.videos), *bootstrap.counts.tolist()]):
        expected = frame_by_frame(truth, predictions, counts)
        assert set(found) == set(expected)
        for name, value in expected.items():
            ours = found[name].value if row == 0 else found[name].samples[row - 1]
            assert ours == pytest.approx(value, nan_ok=True), (name, counts)


def plain_set(videos: int = 12) -> tuple[Truth, dict[str, VideoPrediction]]:
    """Half anomalous; scores that tell it with noise."""
    rng = np.random.default_rng(5)
    truth, _ = made([([0] * 10, (2,) if place % 2 else None) for place in range(videos)])
    return truth, {
        v.name: VideoPrediction.of(rng.random(10) + 0.4 * (np.arange(10) >= 5) * bool(v.labels)) for v in truth.videos
    }


def test_all_rows_are_drawn_alike() -> None:
    truth, predictions = plain_set()
    bootstrap = Bootstrap.of(truth, resamples=50, seed=3)
    assert np.array_equal(bootstrap.counts, Bootstrap.of(truth, resamples=50, seed=3).counts)
    assert not np.array_equal(bootstrap.counts, Bootstrap.of(truth, resamples=50, seed=4).counts)
    assert (bootstrap.counts.sum(1) == len(truth.videos)).all()
    # scores that rank alike give the very same samples, so that their difference is exactly nothing
    ranked_alike = {name: VideoPrediction.of(2 * p.scores + 1) for name, p in predictions.items()}
    gap = paired(bootstrap.figures(predictions)["auc"], bootstrap.figures(ranked_alike)["auc"])
    assert gap is not None
    assert (gap.mean, gap.low, gap.high, gap.ahead) == (0.0, 0.0, 0.0, False)


def test_a_group_is_drawn_whole() -> None:
    truth, predictions = plain_set()
    # v0, v1, v2 of one source, v3 and v4 of another; the rest stand alone, also one whose name is a group's
    groups = {"v0": "a", "v1": "a", "v2": "a", "v3": "v5", "v4": "v5"}
    bootstrap = Bootstrap.of(truth, groups, resamples=200)
    assert bootstrap.units == 2 + 7
    counts = bootstrap.counts
    assert (counts[:, 0] == counts[:, 1]).all()
    assert (counts[:, 0] == counts[:, 2]).all()
    assert (counts[:, 3] == counts[:, 4]).all()
    assert not (counts[:, 3] == counts[:, 5]).all()
    units = counts[:, [0, 3, 5, 6, 7, 8, 9, 10, 11]]
    assert (units.sum(1) == 9).all()
    # twice the same videos as sources of two hold no more knowledge than once: the interval is as wide
    doubled = Truth(
        truth.columns,
        tuple(
            VideoTruth(f"{v.name}{copy}", v.labels, v.timeline, v.spans, v.anomalous)
            for v in truth.videos
            for copy in "ab"
        ),
    )
    twins = {f"{name}{copy}": p for name, p in predictions.items() for copy in "ab"}
    single = Bootstrap.of(truth, resamples=300).figures(predictions)["auc"]
    whole = Bootstrap.of(doubled, {v.name: v.name[:-1] for v in doubled.videos}, resamples=300).figures(twins)["auc"]
    assert whole.samples == pytest.approx(single.samples)


def test_interval_and_difference_by_hand() -> None:
    ours = Sampled(0.5, np.arange(1001) / 1000)
    assert interval(ours) == pytest.approx((0.025, 0.975))
    gap = paired(ours, Sampled(0.2, np.arange(1001) / 1000 - 0.3))
    assert gap is not None
    assert (gap.mean, gap.low, gap.high) == pytest.approx((0.3, 0.3, 0.3))
    assert gap.ahead
    behind = paired(Sampled(0.1, np.zeros(5)), Sampled(0.2, np.full(5, 0.2)))
    assert behind is not None
    assert behind.ahead  # it differs; the sign says that it is behind
    assert behind.mean == pytest.approx(-0.1)
    even = paired(ours, Sampled(0.5, np.full(1001, 0.5)))
    assert even is not None
    assert not even.ahead


def test_a_figure_that_many_resamples_lack_has_no_interval() -> None:
    samples = np.where(np.arange(100) < 10, np.nan, 0.5)
    assert interval(Sampled(0.5, samples)) == (0.5, 0.5)
    assert interval(Sampled(0.5, np.where(np.arange(100) < 11, np.nan, 0.5))) is None
    assert interval(Sampled(math.nan, np.full(100, 0.5))) is None
    assert paired(Sampled(0.5, samples), Sampled(math.nan, samples)) is None


def test_a_single_unit_has_figures_and_no_interval() -> None:
    truth, predictions = plain_set()
    one = Bootstrap.of(truth, dict.fromkeys(predictions, "camera"), resamples=20).figures(predictions)
    assert one["auc"].value == Bootstrap.of(truth, resamples=20).figures(predictions)["auc"].value
    assert interval(one["auc"]) is None


def test_any_runs_by_video_have_an_area() -> None:
    truth, _ = plain_set(4)
    bootstrap = Bootstrap.of(truth, resamples=300)
    one, none = np.array([1]), np.array([0])
    runs = {"v0": Runs(np.array([0.9]), one, none), "v2": Runs(np.array([0.1]), none, one)}
    area = bootstrap.area(runs)
    assert area.value == 1.0
    drawn = (bootstrap.counts[:, 0] > 0) & (bootstrap.counts[:, 2] > 0)
    assert np.array_equal(np.isfinite(area.samples), drawn)


def test_what_cannot_be_drawn_or_compared_is_refused() -> None:
    with pytest.raises(InputError, match="at least one video"):
        Bootstrap.of(Truth(("normal", "x"), ()))
    with pytest.raises(InputError, match="same resamples"):
        paired(Sampled(0.5, np.zeros(5)), Sampled(0.5, np.zeros(6)))


def test_a_ratio_is_of_sums_over_the_drawn_videos() -> None:
    truth, _ = plain_set(4)
    bootstrap = Bootstrap.of(truth, resamples=30)
    found = bootstrap.ratio({"v0": 2, "v3": 1}, {"v0": 2, "v1": 4, "v3": 1})
    assert found.value == pytest.approx(3 / 7)
    for sample, (a, b, _, d) in zip(found.samples, bootstrap.counts, strict=True):
        whole = 2 * a + 4 * b + d
        assert sample == pytest.approx((2 * a + d) / whole if whole else math.nan, nan_ok=True)
    assert bootstrap.as_dict() == {"resamples": 30, "seed": 0, "units": 4, "level": 0.95}
