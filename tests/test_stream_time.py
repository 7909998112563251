"""Stream seconds are the source's, whatever comes when; where they lie is told by the promptest frame."""

import math

import pytest

from refinevad.apps.live.capture.stream_time import StreamTime
from refinevad.video.stamps import TimeBrokenError


def live(**options: object) -> StreamTime:
    return StreamTime(**{"step_s": 0.04, "stamped": True, "recording": False, "hole_s": 5.0, **options})


def test_a_stream_begins_at_0_and_keeps_its_own_times_however_late_its_frames_come() -> None:
    time = live()
    assert [time.place(stamp, arrived) for stamp, arrived in ((7.0, 100.0), (7.5, 103.0), (8.25, 103.1))] == [
        0.0,
        0.5,
        1.25,
    ]


def test_the_origin_is_that_of_the_frame_that_came_soonest() -> None:
    """Three frames shown at 0, 1 and 2 s come 0.5, 0.2 and 0.9 s late: second 0 was at most at 1000.2."""
    time = live()
    for shown, arrived in ((0.0, 1000.5), (1.0, 1001.2), (2.0, 1002.9)):
        time.saw(shown, arrived)
    assert time.origin == pytest.approx(1000.2)
    assert time.lag_s(2.0, 1002.9) == pytest.approx(0.7)


def test_pictures_kept_for_newcomers_do_not_make_the_stream_run_ahead() -> None:
    """A server sends its last two seconds at once: the newest of them was shown by then."""
    time = live()
    for shown in (0.0, 1.0, 2.0):
        time.saw(shown, 1000.0)
    assert time.origin == pytest.approx(998.0)


def test_a_camera_whose_clock_is_slow_is_followed() -> None:
    """Its seconds last 1.001 s: after 100 s frames seem 0.1 s late; only the last minute at most is held against it."""
    time = live()
    for second in map(float, range(101)):
        time.saw(second, 1000 + 1.001 * second)
    assert 1000.03 < time.origin <= 1000.08
    assert time.lag_s(100.0, 1000 + 100.1) < 0.07


def test_a_frame_that_does_not_advance_is_dropped_live_and_moved_on_in_a_recording() -> None:
    """By half a nominal frame where a stamp is there twice, by one where it goes back; the last is at its own again."""
    time, recording = live(), live(recording=True)
    stamps = (0.0, 0.04, 0.04, 0.02, 0.12)
    assert [time.place(stamp, 0.0) for stamp in stamps] == [0.0, 0.04, None, None, 0.12]
    assert [recording.place(stamp, 0.0) for stamp in stamps] == pytest.approx([0.0, 0.04, 0.06, 0.10, 0.12])


@pytest.mark.parametrize("rise_s", [0.0, 1 / 90_000])
def test_a_camera_whose_clock_stands_still_is_told_to(rise_s: float) -> None:
    """Each frame is dropped, or adds nothing to its segment: a camera would be live, and blind."""
    time = live()
    for number in range(126):  # five seconds
        time.place(7.0 + number * rise_s, 100.0 + number / 25)
    with pytest.raises(TimeBrokenError, match="its time stamps stand still; pictures count when they come"):
        time.place(7.0 + 126 * rise_s, 100.0 + 126 / 25)
    assert time.stands


def test_a_camera_that_sends_a_picture_now_and_then_does_not_stand_still() -> None:
    """One in ten seconds, each sent three times over."""
    time = live(step_s=10.0, hole_s=40.0)
    for number in range(60):
        time.place(10.0 * (number // 3), 100.0 + 10.0 * (number // 3) + number % 3)
    assert not time.stands


def test_frames_without_stamps_are_shown_when_they_come_or_in_step() -> None:
    time, recording = live(), live(recording=True)
    assert [time.place(None, arrived) for arrived in (50.0, 50.3)] == pytest.approx([0.0, 0.3])
    assert [live(stamped=False).place(9.0, 50.0)] == [0.0]
    assert [recording.place(None, 50.0) for _ in range(3)] == pytest.approx([0.0, 0.04, 0.08])


@pytest.mark.parametrize(("stamp", "said"), [(16.0, "no pictures for 6.0 s"), (4.0, "went back by 6.0 s")])
def test_a_jump_is_told_live_and_no_matter_in_a_recording(stamp: float, said: str) -> None:
    time, recording = live(), live(recording=True)
    for one in (time, recording):
        one.place(0.0, 0.0)
        one.place(10.0 - 5.0, 5.0)
        one.place(10.0, 10.0)
    with pytest.raises(TimeBrokenError, match=said):
        time.place(stamp, 11.0)
    assert recording.place(stamp, 11.0) == (16.0 if stamp == 16.0 else pytest.approx(10.04))


def test_a_recording_lies_where_its_first_frame_was_read() -> None:
    recording = live(recording=True)
    assert math.isinf(recording.origin)
    for shown, arrived in ((0.0, 500.0), (10.0, 500.5)):  # read twenty times as fast as it was shown
        recording.saw(shown, arrived)
    assert recording.origin == 500.0


def test_a_packets_time_is_by_the_first_frame() -> None:
    time = live()
    assert time.of(3.0) == 0.0
    time.place(3.0, 0.0)
    assert time.of(3.5) == 0.5


def test_a_source_that_begins_anew_is_not_late() -> None:
    """Else its packets would be dropped undecoded, and the jump never seen."""
    time = live()
    for stamp in (16000.0, 16001.0):
        time.saw(time.place(stamp, stamp), stamp)
    assert time.lag_s(time.of(0.0), 16002.0) == 0.0
    assert time.lag_s(time.of(16001.0), 16004.0) == pytest.approx(3.0)


@pytest.mark.parametrize("recording", [False, True])
def test_what_is_forgotten_is_not_held_against_what_comes_later(recording: bool) -> None:
    """Second 10 came 7 s late. A recording lies where its first frame was read all the same."""
    time = live(recording=recording)
    for shown in (0.0, 1.0):
        time.saw(shown, 1000.0 + shown)
    assert time.lag_s(10.0, 1017.0) == pytest.approx(7.0)
    time.forget()
    assert time.lag_s(10.0, 1017.0) == 0.0
    time.saw(10.0, 1017.0)
    assert time.lag_s(12.0, 1020.0) == pytest.approx(1.0)
    assert time.origin == pytest.approx(1000.0 if recording else 1007.0)
