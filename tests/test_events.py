"""scores -> events, by hand; and the calibrated threshold's promises."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_events import plain_ranges
from refinevad.errors import InputError
from refinevad.scoring.events import Calibration, EventRule, calibrate, find_events, find_runs
from refinevad.timeline import SegmentRule, Timeline


def seconds(count: int) -> Timeline:
    """One segment a second."""
    return Timeline.uniform(count, 1.0, SegmentRule(frames=1))


def runs(scores: list[float], high: float = 0.8, low: float = 0.5, min_s: float = 0.5, gap_s: float = 2.0):
    return find_runs(np.array(scores), seconds(len(scores)), EventRule(high, low, min_s, gap_s))


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ([], []),
        ([0.1, 0.2, 0.1], []),
        ([0.6, 0.7, 0.6], []),  # never above the upper threshold
        ([0.8, 0.8], []),  # on it is not above it
        ([0.1, 0.9, 0.1], [(1, 2)]),
        ([0.1, 0.6, 0.9, 0.6, 0.1], [(1, 4)]),  # reaches both ways while above the lower one
        ([0.1, 0.5, 0.9, 0.5, 0.1], [(2, 3)]),  # on the lower one is outside
        ([0.9, 0.9, 0.9], [(0, 3)]),  # open at both ends
        ([0.9, 0.6, 0.6, 0.9], [(0, 4)]),  # one event: it never fell below the lower one
        ([0.9, 0.1, 0.9], [(0, 3)]),  # a gap of 1 s is merged
        ([0.9, 0.1, 0.1, 0.9], [(0, 1), (3, 4)]),  # one of 2 s is not
        ([0.9, 0.1, 0.6, 0.1, 0.9], [(0, 1), (4, 5)]),  # a stretch that never opened bridges nothing
        ([0.9, 0.1, 0.9, 0.1, 0.9], [(0, 5)]),  # merging goes on
        ([0.9, 0, 0, 0, 0.9, 0, 0, 0, 0.9, 0, 0.9], [(0, 1), (4, 5), (8, 11)]),  # with the last of several alone
    ],
)
def test_hysteresis_and_merging(scores: list[float], wanted: list[tuple[int, int]]) -> None:
    assert runs(scores) == wanted


def test_short_events_are_dropped_after_merging() -> None:
    assert runs([0.9, 0.1, 0.1, 0.9, 0.9], min_s=2.0, gap_s=0.0) == [(3, 5)]
    assert runs([0.9, 0.1, 0.9], min_s=2.0, gap_s=0.0) == []
    assert runs([0.9, 0.1, 0.9], min_s=2.0, gap_s=1.5) == [(0, 3)]


def test_a_lower_threshold_above_the_upper_one_acts_as_it() -> None:
    assert runs([0.6, 0.9, 0.6], high=0.5, low=0.7) == [(0, 3)]


def test_lengths_are_seconds_not_segments() -> None:
    """Segments of 0.2 s: 0.4 s is too short an event, 0.6 s is not; a gap of 1.8 s is merged, one of 2 s is not."""
    timeline = Timeline.uniform(60, 5.0, SegmentRule(frames=1))
    rule = EventRule(0.8, 0.5)
    for active, wanted in (((0, 1), []), ((0, 1, 2), [(0, 3)]), ((0, 1, 2, *range(12, 15)), [(0, 15)])):
        scores = np.zeros(60)
        scores[list(active)] = 0.9
        assert find_runs(scores, timeline, rule) == wanted
    scores = np.zeros(60)
    scores[[0, 1, 2, 13, 14, 15]] = 0.9
    assert find_runs(scores, timeline, rule) == [(0, 3), (13, 16)]


@given(st.lists(st.floats(0, 1), max_size=60), st.floats(0, 1), st.floats(0, 1))
def test_events_hold_their_peak_and_their_floor(scores: list[float], high: float, low: float) -> None:
    found = runs(scores, high, low, min_s=0.0, gap_s=0.0)
    inside = np.zeros(len(scores), dtype=bool)
    for start, end in found:
        assert max(scores[start:end]) > high
        assert min(scores[start:end]) > min(low, high)
        inside[start:end] = True
    assert all(inside[i] for i, value in enumerate(scores) if value > high)
    assert found == sorted(found)


@given(
    st.lists(st.integers(0, 10).map(lambda tenths: tenths / 10), max_size=40),
    st.integers(0, 10),
    st.integers(0, 10),
    st.sampled_from([0.0, 0.4, 0.8, 2.0]),
    st.sampled_from([0.0, 0.4, 1.0, 3.0]),
    st.sets(st.integers(1, 39), max_size=3),
)
def test_runs_are_those_of_the_plain_reading(
    scores: list[float], high: int, low: int, min_s: float, gap_s: float, holes: set[int]
) -> None:
    """Segments of 0.4 s; behind a hole the curve is another one."""
    rule = EventRule(high / 10, low / 10, min_s, gap_s)
    borders = [0, *sorted(place for place in holes if place < len(scores)), len(scores)]
    starts = np.array(
        [0.4 * place + 100 * sum(hole <= place for hole in borders[1:-1]) for place in range(len(scores))]
    )
    early = {border - 1: float(starts[border - 1]) + 0.4 for border in borders[1:-1]}
    wanted = []
    for first, last in pairwise(borders):
        bounds = [*starts[first:last].tolist(), *([float(starts[last - 1]) + 0.4] if last > first else [])]
        wanted += [(first + a, first + b) for a, b in plain_ranges(scores[first:last], bounds, rule)]
    end_s = float(starts[-1]) + 0.4 if len(scores) else 0.0
    timeline = Timeline.of(range(len(scores)), starts.tolist(), len(scores), end_s, early)
    assert find_runs(np.array(scores), timeline, rule) == wanted


def test_an_events_fields() -> None:
    """1 s segments 1 to 3: peak 0.95 in segment 2, its middle at 2.5 s; fight has 1.5 of 2.0 in all."""
    scores = np.array([0.1, 0.85, 0.95, 0.6, 0.2])
    categories = np.array([[0.9, 0.0], [0.2, 0.5], [0.2, 0.6], [0.1, 0.4], [0.9, 0.0]])
    (event,) = find_events(scores, categories, ("fall", "fight"), seconds(5), EventRule(0.8, 0.5))
    assert (event.start_s, event.end_s, event.peak, event.peak_s) == (1.0, 4.0, 0.95, 2.5)
    assert event.category == "fight"
    assert event.probabilities == pytest.approx({"fall": 0.25, "fight": 0.75})


def test_what_an_event_is_without_being_asked() -> None:
    """0.1 s segments: 0.4 s are too short, 0.5 s are an event; gaps of 1.9 s are merged, of 2.0 s not."""
    timeline = Timeline.uniform(100, 10.0, SegmentRule(frames=1))
    rule = EventRule.of(Calibration(0.8, 0.5, 6.0, True, 1.0))

    def found(*spans: tuple[int, int]) -> list[tuple[int, int]]:
        scores = np.full(100, 0.1)
        for start, end in spans:
            scores[start:end] = 0.9
        return find_runs(scores, timeline, rule)

    assert found((10, 14)) == []
    assert found((10, 15)) == [(10, 15)]
    assert found((10, 15), (34, 39)) == [(10, 39)]
    assert found((10, 15), (35, 40)) == [(10, 15), (35, 40)]


def test_categories_that_do_not_add_up_to_one_are_shares() -> None:
    (event,) = find_events(np.array([0.9]), np.array([[0.1, 0.3]]), ("a", "b"), seconds(1), EventRule(0.5, 0.5))
    assert event.probabilities == pytest.approx({"a": 0.25, "b": 0.75})


def test_runs_behind_a_hole_keep_their_places() -> None:
    """Ten segments of a second, an hour's hole before the sixth: an alarm on both sides is two events."""
    timeline = Timeline.of(range(10), [*np.arange(5.0), *np.arange(3605.0, 3610.0)], 10, 3610.0, {4: 5.0})
    scores = np.array([0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.1, 0.9, 0.1])
    assert find_runs(scores, timeline, EventRule(0.8, 0.5, 0.5, 0.5)) == [(3, 5), (5, 7), (8, 9)]
    assert find_runs(scores, timeline, EventRule(0.8, 0.5, 0.5, 1.5)) == [(3, 5), (5, 9)]


def test_an_event_without_any_category_score_has_finite_probabilities() -> None:
    (event,) = find_events(np.array([0.9]), np.zeros((1, 2)), ("a", "b"), seconds(1), EventRule(0.5, 0.5))
    assert event.probabilities == {"a": 0.0, "b": 0.0}


# --- calibration -------------------------------------------------------------------------------------------------


def hours_of(count: float, peaks: list[float]) -> tuple[np.ndarray, Timeline]:
    """A normal video of so many hours in 10 s segments, quiet at 0.1, with single peaks far from each other."""
    segments = round(count * 360)
    scores = np.full(segments, 0.1)
    scores[5 : 5 + 10 * len(peaks) : 10] = peaks
    timeline = Timeline.uniform(segments, 0.1, SegmentRule(frames=1))
    return scores, timeline


def test_threshold_by_hand() -> None:
    """Two hours, peaks 0.9, 0.8 .. 0.3. At most 2 alerts an hour: (n + 1) / 2 <= 2, so n <= 3.

    A threshold of 0.6 leaves three peaks strictly above it; at 0.5 there would be four.
    """
    calibration = calibrate([hours_of(2, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])], 2.0)
    assert (calibration.threshold, calibration.certified) == (0.6, True)
    assert calibration.normal_hours == pytest.approx(2.0)
    # 0.7 of the way from the quiet level 0.1 to 0.6
    assert calibration.low_threshold == pytest.approx(0.45)


@pytest.mark.parametrize(("alarm_s", "threshold"), [(29.5, 0.1), (30.0, 0.1), (30.5, 0.6)])
def test_an_alarm_that_stays_on_counts_again_after_half_a_minute(alarm_s: float, threshold: float) -> None:
    """An hour in half seconds, quiet at 0.1, an alarm of 0.6. At most 2 an hour: (n + 1) / 1 <= 2, so n <= 1.

    Lowered to 0.1 the threshold lets the alarm in, which is 1 up to 30 s and 2 beyond.
    """
    scores = np.full(7200, 0.1)
    scores[100 : 100 + round(2 * alarm_s)] = 0.6
    calibration = calibrate([(scores, Timeline.uniform(7200, 2.0, SegmentRule(frames=1)))], 2.0)
    assert (calibration.threshold, calibration.certified) == (threshold, True)


def test_the_first_threshold_that_alerts_too_often_ends_the_search() -> None:
    """An hour, quiet at 0.1, with 0.9, then nine seconds of 0.2, then 0.9 and 0.5; n <= 1.

    At 0.5 the lower threshold is 0.38 and there are two events. At 0.2 it is 0.17 and they are one, which is too late.
    """
    scores = np.full(3600, 0.1)
    scores[100:112] = [0.9, *[0.2] * 9, 0.9, 0.5]
    assert calibrate([(scores, seconds(3600))], 2.0).threshold == 0.9


def test_an_alarm_on_both_sides_of_a_hole_counts_twice() -> None:
    """20 and 40 minutes with a hole between them, 0.9 in the seconds beside it; n <= 1.1, and at 0.1 there are two."""
    starts = [*np.arange(1200.0), *np.arange(5000.0, 7400.0)]
    timeline = Timeline.of(range(3600), starts, 3600, 7400.0, {1199: 1200.0})
    scores = np.full(3600, 0.1)
    scores[1199:1201] = 0.9
    assert calibrate([(scores, timeline)], 2.1).threshold == 0.9
    assert calibrate([(scores, timeline)], 3.0).threshold == 0.1


def test_an_hour_vouches_for_one_an_hour() -> None:
    assert calibrate([hours_of(1, [0.9])], 1.0).certified
    assert not calibrate([hours_of(1, [0.9])], 0.99).certified


def test_hours_add_up_over_videos() -> None:
    parts = [hours_of(1, [0.9, 0.7, 0.5, 0.3]), hours_of(1, [0.8, 0.6, 0.4])]
    assert calibrate(parts, 2.0).threshold == 0.6


def test_too_little_normal_video_certifies_nothing() -> None:
    """Half an hour cannot vouch for one alert an hour: (0 + 1) / 0.5 = 2."""
    calibration = calibrate([hours_of(0.5, [0.9, 0.8])], 1.0)
    assert (calibration.threshold, calibration.certified) == (0.9, False)
    assert calibrate([hours_of(0.5, [0.9, 0.8])], 2.0).certified


def test_without_normal_videos() -> None:
    calibration = calibrate([], 6.0)
    assert calibration.low_threshold == pytest.approx(0.35)  # 0.7 of the way from 0
    assert (calibration.threshold, calibration.certified, calibration.normal_hours) == (0.5, False, 0.0)


_CURVES = st.lists(st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=1, max_size=40), min_size=1, max_size=4)


@given(_CURVES, st.floats(0.5, 400), st.floats(0.5, 400))
def test_a_higher_target_never_raises_the_threshold(curves: list[list[float]], one: float, other: float) -> None:
    normal = [(np.array(scores), Timeline.uniform(len(scores), 0.05, SegmentRule(frames=1))) for scores in curves]
    strict, loose = calibrate(normal, min(one, other)), calibrate(normal, max(one, other))
    assert loose.threshold <= strict.threshold
    assert loose.certified >= strict.certified


@given(_CURVES, st.floats(0.5, 400))
def test_certified_keeps_its_word(curves: list[list[float]], target: float) -> None:
    normal = [(np.array(scores), Timeline.uniform(len(scores), 0.05, SegmentRule(frames=1))) for scores in curves]
    calibration = calibrate(normal, target)
    alerts = sum(len(find_runs(scores, timeline, EventRule.of(calibration))) for scores, timeline in normal)
    hours = sum(len(scores) for scores, _ in normal) * 20 / 3600
    assert calibration.normal_hours == pytest.approx(hours)
    assert calibration.certified == (1 / hours <= target)
    if calibration.certified:
        assert (alerts + 1) / hours <= target * (1 + 1e-12)
    else:
        assert alerts == 0
    assert calibration.low_threshold <= calibration.threshold


def _plainly(normal: list[tuple[np.ndarray, Timeline]], target: float, moved: Calibration | None) -> tuple[float, bool]:
    """The calibrated threshold by counting alerts at every candidate."""
    hours = sum(timeline.shown_s for _, timeline in normal) / 3600
    pooled = np.concatenate([scores for scores, _ in normal])
    quiet, candidates = float(np.median(pooled)), sorted(set(pooled.tolist()), reverse=True)
    threshold = candidates[0]
    if 1 / hours > target:
        return threshold, False
    for candidate in candidates:
        count = 0
        low = min(candidate, quiet + 0.7 * (candidate - quiet))
        rule = EventRule(candidate, low) if moved is None else EventRule.of(moved.at(candidate))
        for scores, line in normal:
            for start, end in find_runs(scores, line, rule):
                count += max(1, int(np.ceil((line.ends_s[end - 1] - line.time_bounds[start]) / 30.0)))
        if (count + 1) / hours > target:
            break
        threshold = candidate
    return threshold, True


_MOVED = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(
    lambda pair: Calibration(max(pair) / 20, min(pair) / 20, 6.0, True, 1.0)
)


@given(_CURVES, st.floats(0.5, 400), st.sampled_from([0.02, 0.05, 0.5, 2.0]), st.none() | _MOVED)
def test_the_threshold_is_what_counting_at_every_candidate_gives(
    curves: list[list[float]], target: float, rate: float, moved: Calibration | None
) -> None:
    normal = [(np.array(scores), Timeline.uniform(len(scores), rate, SegmentRule(frames=1))) for scores in curves]
    found = calibrate(normal, target, moved)
    assert (found.threshold, found.certified) == _plainly(normal, target, moved)


# --- a threshold that a person moves ------------------------------------------------------------------------------


def test_a_moved_threshold_keeps_the_low_ones_share() -> None:
    # 100 segments at 0.2 (the quiet level, the median) and one at 0.7: the model's threshold is 0.7
    line = Timeline.uniform(101, 1.0, SegmentRule(frames=1))
    calibration = calibrate([(np.append(np.full(100, 0.2), 0.7), line)], alerts_per_hour=0.001)
    assert calibration.at(None) is calibration.at(calibration.threshold) is calibration
    assert calibration.low_threshold == pytest.approx(0.2 + 0.7 * 0.5)
    assert calibration.at(0.4).low_threshold == pytest.approx(0.2 + 0.7 * 0.2)
    assert calibration.at(0.1).low_threshold == 0.1  # below the quiet level: never above itself
    assert Calibration(0.5, 0.35, 6.0, True, 1.0).at(0.6).low_threshold == pytest.approx(0.42)
    assert not Calibration(0.5, 0.35, 6.0, True, 1.0).at(0.6).certified  # the rate was vouched for another one


def test_thresholds_that_no_quiet_level_explains_keep_their_ratio() -> None:
    """0.2 below 0.4 would lie 0.7 of the way from a score below 0, which is none: a low one below 0 ends no event."""
    assert Calibration(0.4, 0.2, 6.0, True, 1.0).at(0.1).low_threshold == pytest.approx(0.05)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_moved_threshold_is_one_a_run_may_hold(one: float, other: float, moved: float) -> None:
    found = Calibration(max(one, other), min(one, other), 6.0, True, 1.0).at(moved)
    assert 0 <= found.low_threshold <= found.threshold == moved


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_no_threshold_beyond_the_scores(threshold: float) -> None:
    with pytest.raises(InputError, match="must lie in"):
        Calibration(0.5, 0.4, 6.0, True, 1.0).at(threshold)


def test_a_threshold_of_quiet_hours_is_found_by_the_rule_it_is_used_by() -> None:
    """The model's quiet level is 0.2, this camera's 0.1: at 0.6 an event lasts above 0.48, not above 0.45."""
    model = Calibration(0.7, 0.55, 6.0, True, 1.0)
    found = calibrate([hours_of(2, [0.9, 0.8, 0.7, 0.6, 0.5])], 2.0, model)
    assert (found.threshold, found.low_threshold) == (0.6, model.at(0.6).low_threshold)
    assert found.low_threshold == pytest.approx(0.48)


def test_events_need_no_model() -> None:
    code = "import sys, refinevad.scoring.events, refinevad.scoring.tracking; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
