"""Frames of a stream as segments: where they begin, end and break; the same for a camera and for a program."""

import numpy as np
import pytest
from av import VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from refinevad.apps.live.capture.stream_time import StreamTime
from refinevad.timeline import SegmentRule
from refinevad.video.frames import FrameNeeds
from refinevad.video.stamps import StreamClock, longest_step_s
from refinevad.video.stream_cutter import StreamCutter, Taken

RATE = 25.0
NEEDS = FrameNeeds(rgb_frames=1, rgb_size=(8, 8), gray_long_side=16, gray_hz=25.0)


def program() -> StreamCutter:
    return StreamCutter(NEEDS, SegmentRule(seconds=1.0), RATE, lambda: StreamClock(1 / RATE, 5.0, origin=0.0))


def camera() -> StreamCutter:
    hole_s = longest_step_s(RATE)
    return StreamCutter(
        NEEDS,
        SegmentRule(seconds=1.0),
        RATE,
        lambda: StreamTime(1 / RATE, stamped=True, recording=False, hole_s=hole_s),
    )


def picture(level: int) -> VideoFrame:
    return VideoFrame.from_ndarray(np.full((16, 24, 3), level % 256, np.uint8), format="rgb24")


def pushed(cutter: StreamCutter, stamps: list[float]) -> list[Taken]:
    return [cutter.push(picture(place), stamp) for place, stamp in enumerate(stamps)]


def test_segments_by_hand() -> None:
    """60 frames from second 3 on: 25 and 25, and 10 more of which the last lasts a nominal frame."""
    cutter = program()
    taken = pushed(cutter, [3 + place / 25 for place in range(60)])
    assert [place for place, one in enumerate(taken) if one.segment is not None] == [25, 50]
    first, second, last = taken[25].segment, taken[50].segment, cutter.close()
    assert first is not None
    assert second is not None
    assert last is not None
    found = [(segment.clip.start_s, segment.clip.end_s, segment.frames) for segment in (first, second, last)]
    assert found == [(3.0, 4.0, 25), (4.0, 5.0, 25), (5.0, pytest.approx(5.4), 10)]
    assert cutter.close() is None
    assert not any(one.broken for one in taken)


@pytest.mark.parametrize(("jump", "said"), [(20.0, "no pictures for 20.0 s"), (-7.0, "went back by 7.0 s")])
def test_a_jump_ends_what_came_before_and_the_frame_that_jumped_begins_anew(jump: float, said: str) -> None:
    cutter = program()
    before = pushed(cutter, [10 + place / 25 for place in range(30)])
    (broke,) = pushed(cutter, [10 + 29 / 25 + jump])
    assert broke.broken is not None
    assert said in str(broke.broken.error)
    assert broke.broken.error.step_s == pytest.approx(jump)
    last = broke.broken.last
    assert last is not None
    assert (last.clip.start_s, last.clip.end_s, last.frames) == (11.0, pytest.approx(10 + 30 / 25), 5)
    assert broke.time_s == pytest.approx(10 + 29 / 25 + jump)
    assert before[25].segment is not None
    after = cutter.close()
    assert after is not None
    assert (after.frames, after.clip.lead) == (1, False)  # no motion is seen across the jump


def test_what_does_not_advance_is_dropped() -> None:
    cutter = program()
    taken = pushed(cutter, [0.0, 0.04, 0.04, 0.02, 0.08])
    assert [one.time_s for one in taken] == [0.0, 0.04, None, None, 0.08]
    last = cutter.close()
    assert last is not None
    assert last.frames == 3


steps = st.lists(st.sampled_from([0.04, 0.04, 0.04, 0.04, 0.5, 0.0, -0.04, -1.0, 4.9, 6.0, -6.0, 300.0]), max_size=60)


@settings(max_examples=30, deadline=None)
@given(steps, st.integers(-500, 500))
def test_a_camera_and_a_program_cut_the_same(moves: list[float], begin: int) -> None:
    """But for where second 0 lies: a camera's seconds begin anew after each jump."""
    stamps = (begin + np.cumsum([0.0, *moves])).tolist()
    one, other = program(), camera()
    offset = float(begin)
    for stamp, ours, theirs in zip(stamps, pushed(one, stamps), pushed(other, stamps), strict=True):
        assert (ours.broken is None) == (theirs.broken is None)
        if ours.broken is not None and theirs.broken is not None:
            _same(ours.broken.last, theirs.broken.last, offset)
            offset = stamp
        assert (ours.time_s is None) == (theirs.time_s is None)
        _same(ours.segment, theirs.segment, offset)
    _same(one.close(), other.close(), offset)


def _same(ours: object, theirs: object, offset: float) -> None:
    if ours is None or theirs is None:
        assert ours is theirs is None
        return
    assert ours.frames == theirs.frames
    assert ours.clip.start_s == pytest.approx(theirs.clip.start_s + offset, abs=1e-9)
    assert ours.clip.end_s == pytest.approx(theirs.clip.end_s + offset, abs=1e-9)
    np.testing.assert_array_equal(ours.clip.rgb, theirs.clip.rgb)
    np.testing.assert_array_equal(ours.clip.gray, theirs.clip.gray)
