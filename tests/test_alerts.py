"""Alerts and event-level figures, by hand and by a loop over thresholds."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_sweeps import alerts_per_hour_at_recall
from refinevad.errors import InputError
from refinevad.judging.alerts import (
    Curve,
    EventScore,
    detection_delays,
    event_score,
    extract_events,
    interval_iou,
    match_events,
    sweep_alerts,
)


def _curve(scores: Sequence[float]) -> Curve:
    """One-second segments."""
    return Curve(np.array(scores, dtype=np.float64), np.arange(len(scores) + 1.0))


def test_events_join_across_short_gaps() -> None:
    curve = _curve([0.9, 0.1, 0.8, 0.1, 0.1, 0.7, 0.7])
    assert extract_events(curve, 0.5, gap_s=0.0) == [(0, 1, 0.9), (2, 3, 0.8), (5, 7, 0.7)]
    assert extract_events(curve, 0.5, gap_s=2.0) == [(0, 3, 0.9), (5, 7, 0.7)]
    assert extract_events(curve, 0.5, gap_s=2.1) == [(0, 7, 0.9)]
    assert extract_events(curve, 0.95) == []


def test_iou_by_hand() -> None:
    assert interval_iou((0.0, 4.0), (2.0, 6.0)) == pytest.approx(2 / 6)
    assert interval_iou((0.0, 1.0), (1.0, 2.0)) == 0
    assert interval_iou((1.0, 1.0), (1.0, 1.0)) == 0


def test_matching_is_one_to_one_and_best_score_first() -> None:
    truth = [(0.0, 10.0)]
    predicted = [(0.0, 10.0, 0.5), (0.0, 9.0, 0.9)]
    assert match_events(predicted, truth) == [(1, 0)]
    # the stronger one takes the event it overlaps most; the other gets what is left
    assert match_events([(4.0, 14.0, 0.9), (0.0, 5.0, 0.5)], [(0.0, 8.0), (5.0, 14.0)]) == [(0, 1), (1, 0)]
    assert match_events([(0.0, 2.9, 0.9)], truth) == []  # IoU 0.29


def test_event_f1_by_hand() -> None:
    predicted = {"a": [(0.0, 10.0, 0.9), (50.0, 60.0, 0.8)], "b": [(0.0, 1.0, 0.7)]}
    truths = {"a": [(0.0, 8.0)], "c": [(5.0, 9.0)]}
    score = event_score(predicted, truths)
    assert score == EventScore(matched=1, predicted=3, true=2)
    assert (score.precision, score.recall, score.f1) == pytest.approx((1 / 3, 1 / 2, 2 / 5))
    assert EventScore(0, 0, 0).f1 == 0


def test_delay_is_from_the_true_start_to_the_first_alert_that_opens_inside() -> None:
    truth = [(10.0, 20.0), (30.0, 40.0), (50.0, 60.0), (70.0, 80.0)]
    alerts = [(15.0, 16.0, 1.0), (13.0, 14.0, 1.0), (29.0, 35.0, 1.0), (45.0, 55.0, 1.0), (80.0, 81.0, 1.0)]
    assert detection_delays(alerts, truth, early_s=2.0) == [3.0, 0.0, None, None]
    assert detection_delays(alerts, truth, early_s=5.0) == [3.0, 0.0, 0.0, None]


def test_false_alerts_at_recall_by_hand() -> None:
    curves = {
        "a": _curve([0.0, 0.0, 0.0, 0.0, 0.9, 0.9, 0.0, 0.0]),
        "b": _curve([0.0, 0.8, 0.0, 0.0, 0.0, 0.0, 0.6, 0.0]),
        "c": _curve([0.7, 0.0]),
    }
    truths = {"a": [(4.0, 6.0)], "b": [(6.0, 7.0)]}
    # both events need a threshold of 0.6 or lower, where the alerts at 0.8 and 0.7 are false: 2 in half an hour
    assert alerts_per_hour_at_recall(curves, truths, hours=0.5, recall=0.8, gap_s=0.0, early_s=0.0) == 4
    assert alerts_per_hour_at_recall(curves, truths, hours=0.5, recall=0.5, gap_s=0.0, early_s=0.0) == 0


def test_an_alarm_that_never_ends_earns_nothing() -> None:
    curves = {"a": _curve([1.0] * 20)}
    assert math.isinf(alerts_per_hour_at_recall(curves, {"a": [(10.0, 12.0)]}, hours=1.0))


def test_neighbouring_videos_do_not_share_alerts() -> None:
    curves = {"a": _curve([0.0, 1.0]), "b": _curve([1.0, 0.0])}
    sweep = sweep_alerts(curves, {"a": [(1.0, 2.0)]}, hours=1.0, gap_s=5.0)
    assert sweep.alerts_per_hour[0] == 2
    assert sweep.false_per_hour[0] == 1


def _closed(events: list[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    """Whole-second events drawn on a line of seconds, shorter gaps filled in, read off again."""
    on = [any(start <= second < end for start, end in events) for second in range(20)]
    runs = [(second, second) for second in range(20) if on[second]]
    out: list[tuple[float, float]] = []
    for second, _ in runs:
        if out and (second == out[-1][1] or second - out[-1][1] < gap):
            out[-1] = (out[-1][0], second + 1.0)
        else:
            out.append((float(second), second + 1.0))
    return out


def test_events_that_alerts_cannot_tell_apart_are_one() -> None:
    curves = {"a": _curve([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0])}
    truths = {"a": [(1.0, 3.0), (4.0, 6.0)]}
    # the alert opens once, at 1 s, and lasts through both; at gap 0 there are two alerts and two events
    assert sweep_alerts(curves, truths, hours=1.0, gap_s=2.0, early_s=0.0).recall[0] == 1.0
    assert sweep_alerts(curves, truths, hours=1.0, gap_s=0.0, early_s=0.0).recall[0] == 1.0
    assert sweep_alerts(curves, {"a": [(1.0, 2.0), (5.0, 6.0)]}, hours=1.0, gap_s=2.0, early_s=0.0).recall[0] == 0.5


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.5, 3.0]), st.sampled_from([0.0, 1.0]))
def test_sweep_equals_a_loop(seed: int, gap_s: float, early_s: float) -> None:
    rng = np.random.default_rng(seed)
    curves = {str(i): _curve((rng.integers(0, 6, size=rng.integers(1, 15)) / 5).tolist()) for i in range(4)}
    truths = {
        name: [(float(s), float(s + rng.integers(1, 4))) for s in rng.integers(0, 12, size=2)] for name in ("0", "2")
    }
    sweep = sweep_alerts(curves, truths, hours=2.0, gap_s=gap_s, early_s=early_s)
    truths = {name: _closed(events, gap_s + early_s) for name, events in truths.items()}
    count = sum(map(len, truths.values()))
    for k, threshold in enumerate(sweep.thresholds):
        found = false = total = 0
        for name, curve in curves.items():
            starts = [event[0] for event in extract_events(curve, float(threshold), gap_s)]
            own = truths.get(name, [])
            found += sum(any(s - early_s <= a < e for a in starts) for s, e in own)
            false += sum(not any(s - early_s <= a < e for s, e in own) for a in starts)
            total += len(starts)
        assert sweep.recall[k] == pytest.approx(found / count)
        assert sweep.false_per_hour[k] == pytest.approx(false / 2)
        assert sweep.alerts_per_hour[k] == pytest.approx(total / 2)


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(InputError, match="true event"):
        sweep_alerts({"a": _curve([1.0])}, {}, hours=1.0)
    with pytest.raises(InputError, match="hours"):
        sweep_alerts({"a": _curve([1.0])}, {"a": [(0.0, 1.0)]}, hours=0.0)
    with pytest.raises(InputError, match="'b'"):
        sweep_alerts({"a": _curve([1.0])}, {"b": [(0.0, 1.0)]}, hours=1.0)
