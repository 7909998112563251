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


def test_segment_at() -> None:
    timeline = Timeline.uniform(50, 25.0, SegmentRule.default())
    assert [timeline.segment_at(s) for s in (-1.0, 0.0, 0.639, 0.64, 1.99, 50.0)] == [0, 0, 0, 1, 3, 3]


def test_head() -> None:
    head = Timeline.uniform(50, 25.0, SegmentRule.default()).head(2)
    assert (head.segments, head.frames, head.duration_s) == (2, 32, 1.28)


def test_no_frames_is_no_segments() -> None:
    timeline = Timeline.uniform(0, 25.0, SegmentRule.default())
    assert (timeline.segments, timeline.frames, timeline.duration_s) == (0, 0, 0.0)
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
