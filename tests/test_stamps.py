"""The judge of time stamps: whatever time line a source draws, files, shares and cameras give one answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from av.packet import Packet
from av.video.stream import VideoStream
from hypothesis import given
from hypothesis import strategies as st

from refinevad.apps.live.capture.stream_time import StreamTime
from refinevad.timeline import SegmentRule
from refinevad.video.clips import FramePicker
from refinevad.video.frames import FrameNeeds
from refinevad.video.presentation import PlanError, Presentation
from refinevad.video.stamps import (
    CONFIRM,
    MOST_HELD,
    FilmTimes,
    StampCounts,
    StampSieve,
    TimeBrokenError,
    longest_step_s,
)

WRAP_TICKS = 2**33
RATE = 25.0
STEP = 3600  # ticks of MPEG's clock
NEEDS = FrameNeeds(rgb_frames=1, gray_long_side=16, gray_hz=12.5)
YEAR_S = 365 * 86_400


def placed(stamps: Iterable[float | None], rate_hz: float = RATE, wraps: float | None = None) -> list[float]:
    return times_of(stamps, rate_hz, wraps)[0]


def times_of(
    stamps: Iterable[float | None], rate_hz: float = RATE, wraps: float | None = None
) -> tuple[list[float], StampCounts]:
    """Seconds of all frames, in their order, and what was found."""
    times: FilmTimes[int] = FilmTimes(rate_hz, wraps)
    found = [pair for place, stamp in enumerate(stamps) for pair in times.push(stamp, place)]
    found += times.flush()
    assert [place for place, _ in found] == list(range(len(found)))
    return [time_s for _, time_s in found], times.counts


def steady(frames: int, start: float = 0.0) -> list[float]:
    return [start + index / RATE for index in range(frames)]


# --- one kind at a time, by hand --------------------------------------------------------------------------------------


_AMONG, _LAST = ([20], [20, 21], [20, 21, 22, 23], [20, 40], [1]), ([47, 49], [49])
_OFF = (2245.0, -900.0, 1.7e9, 9e15, 7.5)


@pytest.mark.parametrize(
    ("garbage", "places"),
    [*product(_OFF, _AMONG + _LAST), *product((3.5, 1.6), _AMONG)],  # a last one off by little may follow a pause
)
def test_lone_stamps_lie_between_their_neighbours(garbage: float, places: list[int]) -> None:
    """As many as four in a row, also in step with each other, and the last of all."""
    stamps = steady(50)
    for place in places:
        stamps[place] = garbage + place / RATE
    times, counts = times_of(stamps)
    np.testing.assert_allclose(times, steady(50), atol=1e-6)
    assert not counts.holes
    assert not counts.restarts


@pytest.mark.parametrize("garbage", [0.1, 0.5, 4.0, -0.5, -0.8])
@pytest.mark.parametrize("place", [20, 30])
def test_a_stamp_that_is_off_by_little_moves_no_other(garbage: float, place: int) -> None:
    stamps = steady(50)
    stamps[place] += garbage
    np.testing.assert_allclose(placed(stamps), steady(50), atol=1e-6)


@pytest.mark.parametrize("places", [[20], [20, 21], [49], [20, 40]])
def test_bad_stamps_are_counted(places: list[int]) -> None:
    stamps = steady(50)
    for place in places:
        stamps[place] = 2245.0 + place / RATE
    _, counts = times_of(stamps)
    assert counts.bad == len(places)
    words = "1 time stamp leaves its" if len(places) == 1 else "2 time stamps leave their"
    assert counts.sentences("v.mp4") == [f"{words} neighbours in v.mp4; the frames were put between those"]


@pytest.mark.parametrize("hole_s", [5.2, 600.0, 7200.0, 86_400.0])
def test_a_hole_keeps_its_length_and_is_told(hole_s: float) -> None:
    stamps = steady(50) + steady(50, 2.0 + hole_s)
    times, counts = times_of(stamps)
    assert times == stamps
    assert counts.holes == [(pytest.approx(2.0), 2.0 + hole_s)]
    assert counts.in_order
    assert counts.sentences("v.mp4") == [
        f"no pictures from 2.0 to {2 + hole_s:.1f} s in v.mp4; nothing is scored there"
    ]


@pytest.mark.parametrize("place", range(47, 56))
@pytest.mark.parametrize("garbage", [1e9, -40.0, 2000.0])
def test_a_bad_stamp_beside_a_hole_moves_no_other(place: int, garbage: float) -> None:
    """The hole lies before frame 50."""
    wanted = steady(50) + steady(50, 602.0)
    stamps = [*wanted]
    stamps[place] = garbage
    times, counts = times_of(stamps)
    others = [index for index in range(100) if index != place]
    np.testing.assert_allclose(np.array(times)[others], np.array(wanted)[others], atol=1e-6)
    assert (counts.bad, len(counts.holes)) == (1, 1)


def test_pictures_that_come_singly_between_pauses_keep_their_times() -> None:
    stamps = steady(50) + [600.0 * count for count in range(1, 60)]
    times, counts = times_of(stamps)
    assert times == stamps
    assert len(counts.holes) == 59
    (sentence,) = counts.sentences("v.mp4")
    assert "and 56 more times" in sentence


@pytest.mark.parametrize("frames", [3, 5, MOST_HELD, 100])
def test_a_time_lapse_whose_header_claims_another_rate_keeps_its_times(frames: int) -> None:
    """Every stamp is alone, the first no more than the others."""
    stamps = [1000.0 + 10.0 * index for index in range(frames)]
    times, counts = times_of(stamps)
    assert times == pytest.approx([10.0 * index for index in range(frames)])
    assert (counts.bad, counts.restarts, len(counts.holes)) == (0, 0, frames - 1)


def test_a_first_stamp_that_is_alone_does_not_count() -> None:
    """A clock that was set with the first picture: 1.7e9 s are no pause."""
    times, counts = times_of([0.0, *steady(199, 1.7e9)])
    np.testing.assert_allclose(times, steady(200), atol=1e-5)
    assert (counts.bad, counts.holes) == (1, [])
    np.testing.assert_allclose(placed([1.7e9, *steady(199)]), steady(200), atol=1e-5)


@pytest.mark.parametrize("jump_s", [-20.0, -1e6, YEAR_S, 54 * YEAR_S])
def test_a_clock_that_is_set_begins_anew(jump_s: float) -> None:
    times, counts = times_of([*steady(100), *steady(100, 4.0 + jump_s)])
    np.testing.assert_allclose(times, steady(200), atol=1e-5)
    assert (counts.restarts, counts.bad, counts.holes) == (1, 0, [])


def test_a_clock_that_is_set_back_a_little_is_followed_from_there() -> None:
    """By 2 s: a pause of 1 s after that lasts 1 s."""
    times, counts = times_of([*steady(100), *steady(50, 2.0), *steady(50, 5.0)])
    np.testing.assert_allclose(times, [*steady(150), *steady(50, 7.0)], atol=1e-6)
    assert counts.restarts == 1


@pytest.mark.parametrize("unwrapped", [True, False])
def test_counters_that_run_over_go_on(unwrapped: bool) -> None:
    """Ten minutes that begin ten seconds before 33 bits are full, whether FFmpeg made up for that or not."""
    wrap = WRAP_TICKS / 90_000
    stamps = steady(15_000, wrap - 10.0)
    if not unwrapped:
        stamps = [stamp % wrap for stamp in stamps]
    times, counts = times_of(stamps, wraps=wrap)
    np.testing.assert_allclose(times, steady(15_000), atol=1e-6)
    assert (counts.restarts, counts.bad, counts.holes) == (0, 0, [])


@pytest.mark.parametrize("begins_s", [1.4, 0.0, 300.0, 4900.0])
def test_a_counter_that_begins_anew_has_not_run_over(begins_s: float) -> None:
    """FFmpeg adds 2^33 ticks to whatever lies before the first stamp: 25 h and more."""
    wrap = WRAP_TICKS / 90_000
    times, counts = times_of([*steady(300, 5000.0), *steady(350, begins_s + wrap)], wraps=wrap)
    np.testing.assert_allclose(times, steady(650), atol=1e-6)
    assert (counts.restarts, counts.holes) == (1, [])


@pytest.mark.parametrize("count", [3, 20, 200])
def test_a_clock_that_stands_still_for_a_while_moves_nothing_behind_it(count: int) -> None:
    """Frame after frame with one stamp, then the others go on where they would be without that."""
    stamps = steady(500)
    stamps[100 : 100 + count] = [4.0] * count
    times, counts = times_of(stamps)
    np.testing.assert_allclose(times[100 + count :], steady(500)[100 + count :], atol=1e-6)
    np.testing.assert_allclose(times, steady(500), atol=0.5 / RATE + 1e-6)
    assert (counts.restarts, counts.bad, counts.holes) == (0, 0, [])
    assert (counts.sentences("v.mp4") == []) == (count < CONFIRM)


@pytest.mark.parametrize("rise_s", [0.0, 1 / 90_000, 1e-3])
def test_stamps_that_only_count_the_frames_say_nothing(rise_s: float) -> None:
    """Streams without times, put into a container that must have some: 26 s of film in 7 ms."""
    times, counts = times_of([7.0 + index * rise_s for index in range(650)])
    np.testing.assert_allclose(times, steady(650), atol=0.5 / RATE + 1e-6)
    assert counts.sentences("v.mp4") == [
        "649 frames of v.mp4 have no time of their own; they were put at its usual rate"
    ]


@pytest.mark.parametrize("every", [1, 2, 10, 100])
def test_frames_put_in_twice_move_no_other(every: int) -> None:
    """Ten minutes in which one frame of so many is there twice, with one stamp."""
    truth = [index / RATE for index in range(15_000)]
    stamps = [stamp for index, stamp in enumerate(truth) for _ in range(1 + (index % every == 0))]
    first = [place for place, stamp in enumerate(stamps) if not place or stamp > stamps[place - 1]]
    times, counts = times_of(stamps)
    np.testing.assert_allclose(np.array(times)[first], truth, atol=1e-6)
    assert (np.diff(times) > 0).all()
    assert (counts.restarts, counts.bad, counts.holes) == (0, 0, [])


def test_a_clock_that_goes_back_by_little_is_caught_up_with() -> None:
    """By 0.4 s; at 5 frames a second where the header claims 25, nothing would ever lead back to the stamps."""
    stamps = [*steady(100), *[3.6 + index / RATE for index in range(100)]]
    times, counts = times_of(stamps)
    np.testing.assert_allclose(times[150:], stamps[150:], atol=1e-6)
    assert counts.restarts == 0


def test_no_stamps_at_all() -> None:
    np.testing.assert_allclose(placed([None] * 50), steady(50), atol=1e-9)


def test_a_slow_source_has_no_holes() -> None:
    """A picture every ten seconds, now and then after twenty."""
    stamps = np.cumsum([0, *[10, 10, 20] * 20]).astype(float).tolist()
    times, counts = times_of(stamps, 0.1)
    assert times == stamps
    assert not counts.holes


def test_no_more_frames_are_held_than_a_decision_takes() -> None:
    """Stamps at random, each far from all: frames come out all the same."""
    rng = np.random.default_rng(0)
    times: FilmTimes[int] = FilmTimes(RATE)
    given = [0]
    for place, stamp in enumerate(rng.uniform(-1e9, 1e9, 500)):
        given += [one for one, _ in times.push(float(stamp), place)]
        assert place - given[-1] <= MOST_HELD


# --- any time line ----------------------------------------------------------------------------------------------------


@dataclass
class Line:
    """Stamps in ticks of 90 kHz as a container gives them, in the order of presentation, and the truth.

    `loose`: frames whose stamp was bad: they lie somewhere between their neighbours.
    """

    stamps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    loose: set[int] = field(default_factory=set)
    jumps: int = 0

    @property
    def stamps_s(self) -> list[float]:
        return [stamp / 90_000 for stamp in self.stamps]


_EVENT = st.one_of(
    st.tuples(st.just("hole"), st.integers(6, 50_000)),
    st.tuples(st.just("hole"), st.integers(6, 90)),
    st.tuples(st.just("back"), st.integers(6, 5000)),
    st.tuples(st.just("set"), st.integers(8 * 86_400, 2_000_000_000)),
    st.tuples(st.just("bad"), st.integers(-(10**9), 10**9).filter(lambda s: abs(s) > 20)),
    st.tuples(st.just("bad"), st.integers(11, 19)),
    st.tuples(st.just("twice"), st.just(0)),
)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """Stretches of frames, each step one to five nominal ones, and something that happens between them."""
    line = Line()
    stamp, time = draw(st.integers(0, 10**9)), 0  # ticks
    for kind, seconds in [*draw(st.lists(_EVENT, max_size=6)), ("end", 0)]:
        steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 5]), min_size=CONFIRM + 3, max_size=60))
        for step in steps:
            line.stamps.append(stamp)
            line.times.append(time / 90_000)
            stamp, time = stamp + step * STEP, time + step * STEP
        if kind in ("hole", "back", "set"):
            line.jumps += 1
            last = steps[-1] * STEP
            stamp, time = stamp - last + STEP, time - last + STEP
            stamp += -seconds * 90_000 if kind == "back" else seconds * 90_000
            time += seconds * 90_000 if kind == "hole" else 0
        elif kind == "bad":
            line.loose.add(len(line.stamps))
            line.stamps.append(stamp + seconds * 90_000)
            line.times.append(time / 90_000)
            stamp, time = stamp + STEP, time + STEP
        elif kind == "twice":
            line.loose.add(len(line.stamps))
            line.stamps.append(line.stamps[-1])
            line.times.append(time / 90_000)
            stamp, time = stamp + STEP, time + STEP
    return line


def assert_times(found: Sequence[float], line: Line) -> None:
    assert len(found) == len(line.times)
    assert (np.diff(found) > 0).all()
    sure = [place for place in range(len(found)) if place not in line.loose]
    np.testing.assert_allclose(np.array(found)[sure], np.array(line.times)[sure], atol=2e-6)


@given(lines())
def test_the_times_of_a_file(line: Line) -> None:
    found, counts = times_of(line.stamps_s)
    assert_times(found, line)
    assert len(counts.holes) + counts.restarts == line.jumps


def _stream() -> VideoStream:
    container = SimpleNamespace(format=SimpleNamespace(name="matroska,webm"))
    return cast(VideoStream, SimpleNamespace(time_base=Fraction(1, 90_000), container=container))


def _packet(stamp: int, decoded: int) -> Packet:
    return cast(Packet, SimpleNamespace(pts=stamp, dts=decoded, is_corrupt=False, is_discard=False))


@given(lines(), st.integers(0, 3))
def test_packets_in_the_decoders_order_give_the_files_times_or_none(line: Line, b_frames: int) -> None:
    """Each frame that is referred to is decoded ahead of the `b_frames` before it, as encoders do."""
    order: list[tuple[int, int]] = []
    for first in range(0, len(line.stamps), b_frames + 1):
        group = line.stamps[first : first + b_frames + 1]
        order += [(stamp, group[0]) for stamp in (group[-1], *group[:-1])]
    expected, counts = times_of(line.stamps_s)
    presentation = Presentation(_stream(), RATE)
    found: list[tuple[int, float]] = []
    try:
        for stamp, decoded in order:
            presentation.push(_packet(stamp, decoded))
            found += presentation.settled()
        found += presentation.settled(end=True)
    except PlanError:
        assert not counts.in_order or line.loose or (b_frames and counts.holes)
    else:
        assert [time_s for _, time_s in found] == expected
    # what was given before is right, too
    assert [time_s for _, time_s in found] == expected[: len(found)]


@given(lines())
def test_the_times_of_a_camera_are_the_files_between_its_jumps(line: Line) -> None:
    """Behind each jump a camera begins at 0; a frame that does not advance is dropped."""
    expected, _ = times_of(line.stamps_s)
    sieve: StampSieve[int] = StampSieve(RATE, StampCounts())
    pairs = [pair for place, stamp in enumerate(line.stamps_s) for pair in sieve.push(stamp, place)]
    pairs += sieve.flush()
    time, base, found = _camera(), 0.0, {}
    for stamp, place in pairs:
        try:
            time_s = time.place(stamp, 0.0)
        except TimeBrokenError:
            time, base = _camera(), expected[place]
            time_s = time.place(stamp, 0.0)
        if time_s is not None:
            found[place] = base + time_s
    assert set(range(len(expected))) - set(found) <= line.loose
    for place, time_s in found.items():
        assert time_s == pytest.approx(expected[place], abs=2e-6)


def _camera() -> StreamTime:
    return StreamTime(1 / RATE, stamped=True, recording=False, hole_s=longest_step_s(RATE))


@given(lines())
def test_a_watched_recording_has_the_files_times(line: Line) -> None:
    time = StreamTime(1 / RATE, stamped=True, recording=True, hole_s=5.0)
    sieve: StampSieve[None] = StampSieve(RATE, StampCounts())
    found = [time.place(stamp, 0.0) for one in line.stamps_s for stamp, _ in sieve.push(one, None)]
    found += [time.place(stamp, 0.0) for stamp, _ in sieve.flush()]
    assert found == placed(line.stamps_s)


@given(lines(), st.sampled_from([SegmentRule.default(), SegmentRule(frames=16), SegmentRule(seconds=10.0)]))
def test_segments_end_where_pictures_do(line: Line, rule: SegmentRule) -> None:
    """One nominal frame after the last one before a hole; the next begins with the next picture, and counts anew."""
    times, counts = times_of(line.stamps_s)
    picker = FramePicker(NEEDS, rule, RATE)
    picks = [picker.push(time_s) for time_s in times]
    holes = [(pick.hole_s, time_s) for pick, time_s in zip(picks, times, strict=True) if pick.hole_s is not None]
    assert holes == [(pytest.approx(end), start) for end, start in counts.holes]
    assert all(pick.opens for pick in picks if pick.hole_s is not None)
    begin = 0
    for place in [*(index for index, pick in enumerate(picks) if pick.hole_s is not None), len(times)]:
        alone = FramePicker(NEEDS, rule, RATE)
        shifted = [alone.push(time_s) for time_s in times[begin:place]]
        assert [pick[:4] for pick in picks[begin:place]] == [pick[:4] for pick in shifted]
        begin = place
