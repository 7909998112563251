"""frame <-> segment <-> second, against frame-by-frame counting and exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad.errors import InputError
from refinevad.timeline import Segmenter, SegmentRule, Timeline

NTSC = Fraction(30000, 1001)
RATES = st.sampled_from([Fraction(5), Fraction(24000, 1001), Fraction(25), NTSC, Fraction(30), Fraction(60000, 1001)])
RULES = st.one_of(
    st.sampled_from([0.32, 0.64, 1.0, 2.5]).map(lambda s: SegmentRule(seconds=s)),
    st.integers(1, 40).map(lambda n: SegmentRule(frames=n)),
)


@given(st.integers(0, 2000), RATES, RULES)
def test_uniform_is_what_the_segmenter_gives_online(frames: int, rate: Fraction, rule: SegmentRule) -> None:
    segmenter = Segmenter(rule)
    bounds, times = [], []
    for index in range(frames):
        opens, start_s, phase = segmenter.push(float(index / rate))
        assert 0.0 <= phase < 1.0
        if opens:
            bounds.append(index)
            times.append(start_s)
    timeline = Timeline.uniform(frames, float(rate), rule)
    assert timeline.frame_bounds.tolist() == [*bounds, frames]
    np.testing.assert_allclose(timeline.time_bounds, [*times, float(frames / rate)], atol=1e-9)


@given(st.integers(1, 3000), RATES, RULES)
def test_uniform_against_exact_fractions(frames: int, rate: Fraction, rule: SegmentRule) -> None:
    """Segment of frame i: floor((i / rate) / s) or i // n, the empty ones left out."""
    if rule.frames is not None:
        cells = [index // rule.frames for index in range(frames)]
    else:
        seconds = Fraction(str(rule.seconds))
        cells = [int(Fraction(index) / rate / seconds) for index in range(frames)]
    starts = [index for index in range(frames) if index == 0 or cells[index] != cells[index - 1]]
    assert Timeline.uniform(frames, float(rate), rule).frame_bounds.tolist() == [*starts, frames]


@pytest.mark.parametrize("rule", [SegmentRule(frames=16), SegmentRule.default()])
def test_frame_times_at_the_end_of_ten_hours_of_ntsc(rule: SegmentRule) -> None:
    frames = int(10 * 3600 * NTSC)
    timeline = Timeline.uniform(frames, float(NTSC), rule)
    times = timeline.frame_times()
    for index in (0, 1, 17, 18_000, frames // 2, frames - 2, frames - 1):
        assert abs(times[index] - float(index / NTSC)) < float(1 / NTSC) * 1e-3
    assert timeline.duration_s == pytest.approx(float(frames / NTSC), abs=1e-6)
    # 30 in place of 30000/1001 would be 36 s off here, more than a thousand frames
    assert abs(times[-1] - (frames - 1) / 30) > 35


def test_sixteen_frames_at_25_is_the_default_length() -> None:
    assert Timeline.uniform(50, 25.0, SegmentRule.default()).frame_bounds.tolist() == [0, 16, 32, 48, 50]
    assert Timeline.uniform(50, 25.0, SegmentRule(frames=16)).frame_bounds.tolist() == [0, 16, 32, 48, 50]


def test_slow_source_has_no_empty_segment() -> None:
    """One frame a second: every 0.64 s cell holds at most one, and each frame keeps its own second."""
    timeline = Timeline.uniform(6, 1.0, SegmentRule.default())
    assert timeline.frame_bounds.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert timeline.frame_times().tolist() == [0, 1, 2, 3, 4, 5]


def test_gap_in_a_stream_lengthens_the_segment_before_it() -> None:
    segmenter = Segmenter(SegmentRule(seconds=1.0))
    opened = [segmenter.push(t)[0] for t in (0.0, 0.5, 7.2, 7.9, 8.1)]
    assert opened == [True, False, True, False, True]


def test_where_a_frame_lies_in_its_segment() -> None:
    """4 frames a second: of half a second each frame is a half; a stall of 0.65 s leaves the next at 0.3 of a cell."""
    segmenter = Segmenter(SegmentRule(seconds=0.5))
    told = [segmenter.push(10.0 + t) for t in (0.0, 0.25, 0.5, 1.15)]
    assert [(opens, start) for opens, start, _ in told] == [(True, 10.0), (False, 10.0), (True, 10.5), (True, 11.15)]
    assert [phase for *_, phase in told] == pytest.approx([0.0, 0.5, 0.0, 0.3])
    counting = Segmenter(SegmentRule(frames=4))
    assert [counting.push(t)[2] for t in (0.0, 9.0, 9.1, 9.2, 9.3)] == [0.0, 0.25, 0.5, 0.75, 0.0]


@pytest.mark.parametrize("rule", [SegmentRule(seconds=1.0), SegmentRule(frames=4)], ids=str)
def test_behind_a_hole_segments_are_counted_anew(rule: SegmentRule) -> None:
    """At 4 frames a second; the one at 7.3 s opens a segment, and the four from there on are one."""
    segmenter = Segmenter(rule)
    assert [segmenter.push(t)[0] for t in (0.0, 0.25, 0.5)] == [True, False, False]
    times = (7.3, 7.55, 7.8, 8.05, 8.3)
    told = [segmenter.push(t, after_hole=place == 0) for place, t in enumerate(times)]
    assert [(opens, start) for opens, start, _ in told] == [(True, 7.3), *[(False, 7.3)] * 3, (True, 8.3)]
    assert [phase for *_, phase in told] == pytest.approx([0.0, 0.25, 0.5, 0.75, 0.0], abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), RATES, st.integers(1, 40))
def test_per_second_integrates_exactly(values: list[float], rate: Fraction, per_segment: int) -> None:
    timeline = Timeline.uniform(
        len(values) * per_segment - per_segment // 2, float(rate), SegmentRule(frames=per_segment)
    )
    curve = np.array(values[: timeline.segments])
    seconds = timeline.per_second(curve)
    widths = np.minimum(1.0, timeline.duration_s - np.arange(len(seconds)))
    assert (seconds * widths).sum() == pytest.approx((curve * np.diff(timeline.time_bounds)).sum(), abs=1e-9)
    assert seconds.min() >= min(values) - 1e-9
    assert seconds.max() <= max(values) + 1e-9


def test_per_second_by_hand() -> None:
    """Segments of 0.64 s with 1, 0, 1, 0: second 0 is 0.64 of the first; second 1 is 0.64 of 1.28 to 1.92."""
    timeline = Timeline.uniform(64, 25.0, SegmentRule.default())
    np.testing.assert_allclose(timeline.per_second(np.array([1.0, 0, 1, 0])), [0.64, 0.64, 0.0], atol=1e-12)


@pytest.mark.parametrize("rate", [10, 24, 25, 30, 48, 50, 60])
def test_whole_seconds_have_no_sliver_at_the_end(rate: int) -> None:
    """As a reader makes them: end = last frame's time + one frame, rounded by floating point."""
    for seconds in range(1, 200):
        end = (seconds * rate - 1) / rate + 1.0 / rate
        timeline = Timeline(np.array([0, seconds * rate]), np.array([0.0, end]))
        assert timeline.per_second(np.ones(1)).shape == (seconds,)


@given(st.integers(1, 400), RATES, RULES, st.floats(0, 20), st.floats(0.01, 20))
def test_truth_is_half_open(frames: int, rate: Fraction, rule: SegmentRule, start: float, length: float) -> None:
    start, length = round(start, 2), round(length, 2)
    timeline = Timeline.uniform(frames, float(rate), rule)
    first, end = Fraction(str(start)), Fraction(str(start)) + Fraction(str(length))
    wanted = [first <= index / rate < end for index in range(frames)]
    assert timeline.truth([(start, float(end))]).tolist() == wanted


def test_truth_by_hand() -> None:
    """25 Hz, [0.08, 0.16): frames 2 and 3; the frame that starts at 0.16 is outside; intervals join."""
    timeline = Timeline.uniform(8, 25.0, SegmentRule(frames=3))
    assert np.flatnonzero(timeline.truth([(0.08, 0.16)])).tolist() == [2, 3]
    assert np.flatnonzero(timeline.truth([(0.08, 0.16), (0.12, 0.2)])).tolist() == [2, 3, 4]
    assert not timeline.truth([]).any()
    assert timeline.truth([(-5.0, 99.0)]).all()


@given(st.integers(1, 500), RATES, RULES)
def test_expand_repeats_over_the_segments_frames(frames: int, rate: Fraction, rule: SegmentRule) -> None:
    timeline = Timeline.uniform(frames, float(rate), rule)
    expanded = timeline.expand(np.arange(timeline.segments, dtype=np.float64))
    assert expanded.tolist() == timeline.segment_of_frame().tolist()
    assert len(expanded) == frames
    assert np.bincount(expanded.astype(int)).tolist() == np.diff(timeline.frame_bounds).tolist()


def with_a_hole() -> Timeline:
    """[0, 0.5), [0.5, 1.5), nothing until 4.25, [4.25, 4.5), [4.5, 6): 2, 4, 1 and 3 frames."""
    return Timeline.of([0, 2, 6, 7], [0.0, 0.5, 4.25, 4.5], 10, 6.0, {1: 1.5})


def test_a_hole_is_no_time() -> None:
    timeline = with_a_hole()
    assert timeline.ends_s.tolist() == [0.5, 1.5, 4.5, 6.0]
    assert (timeline.segments, timeline.frames, timeline.duration_s) == (4, 10, 6.0)
    assert timeline.shown_s == 0.5 + 1.0 + 0.25 + 1.5
    assert timeline.breaks.tolist() == [2]
    assert timeline.stretches() == [(0, 2), (2, 4)]
    assert timeline.frame_times().tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 4.25, 4.5, 5.0, 5.5]
    assert timeline.truth([(1.25, 4.5)]).tolist() == [False] * 5 + [True] * 2 + [False] * 3
    assert timeline.shown_seconds().tolist() == [0, 1, 4, 5]


def test_seconds_beside_a_hole_by_hand() -> None:
    """Scores 1, 3, 5, 9. Second 0: half of 1 and half of 3. Second 4: 1/4 s of 5 and 1/2 s of 9."""
    wanted = [2.0, 3.0, (0.25 * 5 + 0.5 * 9) / 0.75, 9.0]
    assert with_a_hole().per_second(np.array([1.0, 3.0, 5.0, 9.0])).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("segments", "ends", "shown_s"), [(1, [0.5], 0.5), (2, [0.5, 1.5], 1.5), (3, [0.5, 1.5, 4.5], 1.75)]
)
def test_the_head_of_a_timeline_with_a_hole(segments: int, ends: list[float], shown_s: float) -> None:
    head = with_a_hole().head(segments)
    assert head.ends_s.tolist() == ends
    assert head.shown_s == shown_s


def test_a_timeline_without_holes_is_one_stretch() -> None:
    timeline = Timeline.uniform(50, 25.0, SegmentRule.default())
    assert (timeline.breaks.tolist(), timeline.stretches(), timeline.shown_s) == ([], [(0, 4)], 2.0)
    assert timeline.early_ends is None
    assert timeline.shown_seconds().tolist() == [0, 1]


def test_segment_at() -> None:
    timeline = Timeline.uniform(50, 25.0, SegmentRule.default())
    assert [timeline.segment_at(s) for s in (-1.0, 0.0, 0.639, 0.64, 1.99, 50.0)] == [0, 0, 0, 1, 3, 3]


def test_head() -> None:
    head = Timeline.uniform(50, 25.0, SegmentRule.default()).head(2)
    assert (head.segments, head.frames, head.duration_s) == (2, 32, 1.28)


def test_no_frames_is_no_segments() -> None:
    timeline = Timeline.uniform(0, 25.0, SegmentRule.default())
    assert (timeline.segments, timeline.frames, timeline.duration_s) == (0, 0, 0.0)
    assert (timeline.segment_at(3.0), timeline.stretches(), timeline.shown_seconds().tolist()) == (0, [], [])
    assert timeline.per_second(np.zeros(0)).shape == timeline.frame_times().shape == (0,)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SegmentRule(),
        lambda: SegmentRule(seconds=1.0, frames=16),
        lambda: SegmentRule(seconds=0.0),
        lambda: SegmentRule(seconds=float("nan")),
        lambda: SegmentRule(frames=0),
        lambda: Timeline.uniform(-1, 25.0, SegmentRule.default()),
        lambda: Timeline.uniform(10, 0.0, SegmentRule.default()),
        lambda: Timeline.uniform(10, float("nan"), SegmentRule.default()),
        lambda: Timeline(np.array([0, 5, 4]), np.array([0.0, 1.0, 2.0])),
        lambda: Timeline(np.array([0, 4, 5]), np.array([0.0, 2.0, 1.0])),
        lambda: Timeline(np.zeros(0, int), np.zeros(0)),
        lambda: Timeline(np.array([0, 1, 2]), np.array([0.0, 1.0, 2.0]), np.array([1.0])),
        lambda: Timeline(np.array([0, 1, 2]), np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.5])),  # ends before it begins
        lambda: Timeline(np.array([0, 1, 2]), np.array([0.0, 1.0, 2.0]), np.array([1.5, 2.0])),  # after the next begins
        lambda: Timeline.uniform(10, 25.0, SegmentRule.default()).expand(np.zeros(7)),
    ],
)
def test_nonsense_is_refused(make) -> None:
    with pytest.raises(InputError):
        make()


@pytest.mark.parametrize("rule", [SegmentRule(frames=16), SegmentRule(seconds=0.64)], ids=str)
@pytest.mark.parametrize("frames", [20_000_001, 2**63, 10**400], ids=["more", "2**63", "10**400"])
def test_a_video_of_more_frames_than_nine_days_have_is_refused(frames: int, rule: SegmentRule) -> None:
    with pytest.raises(InputError, match="at most 20,000,000 frames"):
        Timeline.uniform(frames, 25.0, rule)


def test_nine_days_of_frames_are_taken() -> None:
    assert Timeline.uniform(20_000_000, 25.0, SegmentRule(frames=16)).segments == 1_250_000
