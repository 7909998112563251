"""The whole set of figures on small truths: seconds in place of frames, and what is not defined."""

import numpy as np
import pytest

from refinevad.judging.predictions import VideoPrediction
from refinevad.judging.protocol import evaluate_predictions
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.timeline import SegmentRule, Timeline

RULE = SegmentRule(seconds=1.0)


def video(name: str, rate_hz: float, seconds: int, anomalous_s: tuple[int, int] | None) -> VideoTruth:
    timeline = Timeline.uniform(round(rate_hz * seconds), rate_hz, RULE)
    spans = () if anomalous_s is None else ((round(anomalous_s[0] * rate_hz), round(anomalous_s[1] * rate_hz)),)
    return VideoTruth(name, () if anomalous_s is None else ("x",), timeline, (), spans)


def test_seconds_weigh_videos_of_different_rates_alike() -> None:
    # one second of anomaly each: at 30 a second above all normal seconds, at 10 a second below all
    truth = Truth(("normal", "x"), (video("fast", 30.0, 2, (1, 2)), video("slow", 10.0, 2, (1, 2))))
    scores = {"fast": [0.5, 0.9], "slow": [0.5, 0.1]}
    figures = evaluate_predictions({n: VideoPrediction.of(np.array(s)) for n, s in scores.items()}, truth, "strict")
    assert figures["auc"] == pytest.approx(30 / 40)
    assert figures["auc_time_weighted"] == pytest.approx(0.5)
    assert figures["frame_rate_hz"] == pytest.approx([10.0, 30.0])
    # 30 x 30 pairs of the one are won, 10 x 10 of the other lost; of seconds one pair each
    assert figures["within_auc"] == pytest.approx(900 / 1000)
    assert figures["within_auc_time_weighted"] == pytest.approx(0.5)
    assert figures["macro_within_auc"] == figures["macro_within_auc_time_weighted"] == pytest.approx(0.5)
    assert figures["within_weight"] == pytest.approx(1000 / 1600)
    assert figures["within_weight_time_weighted"] == pytest.approx(0.5)
    # threshold 0.9 finds the fast video's event and no normal frame; the next lets every normal frame through
    assert figures["recall_at_fpr"] == pytest.approx(dict.fromkeys(["0.01", "0.02", "0.03", "0.05"], 30 / 40))
    assert figures["recall_at_fpr_time_weighted"]["0.01"] == pytest.approx(0.5)


def test_seconds_equal_frames_where_all_rates_are_alike() -> None:
    truth = Truth(
        ("normal", "x"), (video("a", 25.0, 4, (1, 3)), video("b", 25.0, 3, None), video("c", 25.0, 2, (0, 1)))
    )
    rng = np.random.default_rng(1)
    predictions = {v.name: VideoPrediction.of(rng.random(v.timeline.segments)) for v in truth.videos}
    figures = evaluate_predictions(predictions, truth, "strict")
    timed = {name: value for name, value in figures.items() if name.endswith("_time_weighted")}
    assert len(timed) == 12
    for name, value in timed.items():
        assert value == pytest.approx(figures[name.removesuffix("_time_weighted")]), name


def test_scores_stretched_over_a_video_keep_its_seconds() -> None:
    # three scores over 2 s at 30 and over 2 s at 10 frames a second, the last third anomalous
    thirds = (VideoTruth("a", ("x",), Timeline.uniform(60, 30.0, RULE), (), ((40, 60),)),)
    truth = Truth(("normal", "x"), (*thirds, video("b", 10.0, 3, None)))
    predictions = {"a": VideoPrediction.of(np.array([0.1, 0.3, 0.2])), "b": VideoPrediction.of(np.array([0.1] * 3))}
    figures = evaluate_predictions(predictions, truth, "strict", "stretch")
    # 20 of 70 normal frames score 0.3 and win; of 1.33 + 3 normal seconds it is 0.67
    assert figures["auc"] == pytest.approx(50 / 70)
    assert figures["auc_time_weighted"] == pytest.approx(1 - (2 / 3) / (4 / 3 + 3))


def test_what_is_not_defined_is_none() -> None:
    normal = Truth(("normal", "x"), (video("a", 25.0, 4, None), video("b", 25.0, 3, None)))
    scored = {"a": VideoPrediction.of(np.full(4, 0.2)), "b": VideoPrediction.of(np.full(3, 0.3))}
    figures = evaluate_predictions(scored, normal, "strict")
    for name in ("within_auc", "macro_within_auc", "cross_auc", "within_weight", "video_mean_auc"):
        assert figures[name] is None
        assert figures[f"{name}_time_weighted"] is None
    assert set(figures["recall_at_fpr"].values()) == {None}
    # whole videos are anomalous or normal: no pair lies in one video
    apart = Truth(("normal", "x"), (video("a", 25.0, 4, (0, 4)), video("b", 25.0, 3, None)))
    figures = evaluate_predictions(scored, apart, "strict")
    assert (figures["within_auc"], figures["macro_within_auc"]) == (None, None)
    assert (figures["within_weight"], figures["cross_auc"]) == (0.0, 0.0)
    # a single video has no pair of two videos, by frames or by seconds of uneven segments
    alone = Truth(("normal", "x"), (video("a", 29.97, 4, (1, 3)),))
    figures = evaluate_predictions({"a": VideoPrediction.of(np.array([0.1, 0.3, 0.2, 0.4]))}, alone, "strict")
    assert (figures["cross_auc"], figures["cross_auc_time_weighted"]) == (None, None)
    assert figures["within_auc"] == figures["auc"]
