"""The window rule: every segment is scored, at most so late, with so much before it; by hand where it can be."""

import math
from collections.abc import Sequence
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad.errors import InputError
from refinevad.scoring import windows as module
from refinevad.scoring.windows import WHOLE, Window, Windowing, WindowRule, windows, windows_between_holes
from refinevad.timeline import Timeline


def spans(found: Sequence[Window]) -> list[tuple[int, int, int]]:
    return [(window.start, window.zone, window.end) for window in found]


def seconds(segments: int) -> np.ndarray:
    return np.arange(segments + 1.0)


def test_without_delay_each_segment_ends_its_own_window() -> None:
    found = windows(seconds(5), WindowRule(window_s=3.0, delay_s=0.0))
    assert spans(found) == [(0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 3, 4), (2, 4, 5)]
    assert all(window.fade_out == window.fade_in == 0 for window in found)


def test_a_delay_of_two_segments_scores_three_at_once() -> None:
    """The first of three waits 2 s; a third second it may not."""
    rule = WindowRule(window_s=6.0, delay_s=2.9)
    assert spans(windows(seconds(8), rule)) == [(0, 0, 3), (0, 3, 6), (2, 6, 8)]


def test_an_eighth_of_a_zone_is_blended() -> None:
    """Zones of 16 seconds share 2: 2/3 and 1/3 of the older one, 1/3 and 2/3 of the newer one."""
    first, second = windows(seconds(30), WindowRule(window_s=20.0, delay_s=15.0))
    assert spans([first, second]) == [(0, 0, 16), (10, 14, 30)]
    assert first.final == 14
    np.testing.assert_allclose(first.weights, [1.0] * 14 + [2 / 3, 1 / 3])
    np.testing.assert_allclose(second.weights[:2], [1 / 3, 2 / 3])


def test_a_recording_without_a_rule_has_windows_of_4096_segments() -> None:
    assert spans(windows(seconds(4096))) == [(0, 0, 4096)]
    assert spans(windows(seconds(8000))) == [(0, 0, 4096), (3584, 3584, 7680), (3904, 7168, 8000)]
    assert windows(seconds(0)) == []


def test_merged_segments_do_not_fill_a_window() -> None:
    """9,000 segments that are 90 tokens are one window."""
    tokens = np.arange(9000) % 100 == 0
    assert spans(windows(seconds(9000), WHOLE, tokens)) == [(0, 0, 9000)]


bounds_of = st.lists(st.sampled_from([0.3, 0.64, 0.64, 0.64, 1.0, 7.0]), min_size=1, max_size=80).map(
    lambda lengths: np.concatenate([[0.0], np.cumsum(lengths)])
)
rules = st.tuples(st.floats(0.2, 40), st.floats(0, 1)).map(lambda pair: WindowRule(pair[0], pair[0] * pair[1]))


@given(bounds_of, rules, st.sampled_from([6, 9, 4096]))
def test_every_segment_is_scored_and_no_window_is_too_large(bounds: np.ndarray, rule: WindowRule, most: int) -> None:
    with mock.patch.object(module, "MOST_SEGMENTS", most):
        found = windows(bounds, rule)
    total = np.zeros(len(bounds) - 1)
    final = 0
    for window in found:
        assert window.start <= window.zone <= final
        assert 0 < window.end - window.start <= most
        assert (window.weights > 0).all()
        total[window.zone : window.end] += window.weights
        final = window.final
    assert found[-1].end == len(bounds) - 1
    assert (total > 0).all()


@given(bounds_of, rules)
def test_no_score_waits_longer_than_its_delay_plus_what_the_next_segment_takes_beyond_the_last(
    bounds: np.ndarray, rule: WindowRule
) -> None:
    """The promise of `delay_s`, and its one exception: a segment longer than the one before it."""
    final = 0
    for window in windows(bounds, rule)[:-1]:
        surprise = max(0.0, bounds[window.end] - 2 * bounds[window.end - 1] + bounds[max(window.end - 2, 0)])
        for segment in range(final, window.final):
            assert bounds[window.end] - bounds[segment + 1] <= rule.delay_s + surprise + 1e-5
        final = window.final


@given(bounds_of, rules)
def test_a_window_reaches_as_far_back_as_it_may(bounds: np.ndarray, rule: WindowRule) -> None:
    for window in windows(bounds, rule):
        reach = int(np.argmax(bounds >= bounds[window.end] - rule.window_s - 1e-6))
        assert window.start == min(reach, window.zone)


@given(st.integers(0, 2**32 - 1), rules)
def test_it_holds_a_window_of_times_however_long_the_stream(seed: int, rule: WindowRule) -> None:
    lengths = np.random.default_rng(seed).uniform(0.3, 0.9, 600)
    windowing, now = Windowing(rule), 0.0
    for length in lengths:
        windowing.push(now, now + float(length))
        now += float(length)
        assert windowing.segments - windowing.first <= rule.window_s / 0.3 + 2


@pytest.mark.parametrize(
    ("window_s", "delay_s", "words"),
    [
        (0.0, 0.0, "a window must last"),
        (math.nan, 0.0, "a window must last"),
        (5.0, -1.0, "0 seconds or more"),
        (5.0, math.nan, "0 seconds or more"),
        (5.0, 6.0, r"a delay of 6\.0 s is longer than its window of 5\.0 s"),
    ],
)
def test_impossible_rules_are_named(window_s: float, delay_s: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        WindowRule(window_s, delay_s)


def test_no_bound_is_the_way_of_recordings() -> None:
    assert WindowRule.of(None, None) == WHOLE
    assert WindowRule.of(30.0, None) == WindowRule(30.0)


def test_what_a_stream_is_given() -> None:
    """A minute and 5 s for runs trained on whole videos; else what they were trained with; a delay fits its window."""
    assert WHOLE.live() == WindowRule(60.0, 5.0)
    assert WHOLE.live(window_s=4.0) == WindowRule(4.0, 4.0)
    assert WHOLE.live(delay_s=1.0) == WindowRule(60.0, 1.0)
    trained = WindowRule(30.0, 20.0)
    assert trained.live() == trained
    assert trained.live(window_s=10.0) == WindowRule(10.0, 10.0)
    assert trained.live(10.0, 2.0) == WindowRule(10.0, 2.0)


def test_a_stream_without_a_segment_has_no_window() -> None:
    windowing = Windowing(WindowRule(8.0, 2.0))
    assert windowing.flush() is None
    assert (windowing.first, windowing.segments) == (0, 0)


def test_a_segment_is_a_token_unless_it_is_said_to_be_none() -> None:
    """At most 8 tokens a window: the eighth segment closes it, of segments that are merged none does."""
    with mock.patch.object(module, "MOST_SEGMENTS", 8):
        counting, merged = Windowing(WHOLE), Windowing(WHOLE)
        closed = [counting.push(float(place), place + 1.0) for place in range(8)]
        assert [window is not None for window in closed] == [False] * 7 + [True]
        assert [merged.push(float(place), place + 1.0, place == 0) for place in range(20)] == [None] * 20


def test_two_windows_share_their_border_linearly() -> None:
    """Zone of 6, 2 shared with the window before and 3 with the one after: thirds up, quarters down."""
    found = Window(start=0, zone=4, end=10, fade_in=2, fade_out=3)
    assert found.weights.tolist() == pytest.approx([1 / 3, 2 / 3, 1.0, 0.75, 0.5, 0.25])
    assert found.final == 7


def test_no_window_reaches_across_a_hole() -> None:
    """Two stretches of 30 and 20 segments of a second, a minute between them: each has the windows it has alone."""
    starts = [*np.arange(30.0), *np.arange(90.0, 110.0)]
    line = Timeline.of(range(50), starts, 50, 110.0, {29: 30.0})
    rule = WindowRule(8.0, 2.0)
    found = windows_between_holes(line, rule)
    alone = [windows(np.arange(count + 1.0), rule) for count in (30, 20)]
    assert found[: len(alone[0])] == alone[0]
    shifted = [replace(one, start=one.start + 30, zone=one.zone + 30, end=one.end + 30) for one in alone[1]]
    assert found[len(alone[0]) :] == shifted
