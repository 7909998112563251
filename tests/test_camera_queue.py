"""What waits for the encoder is bounded: the oldest goes and is counted, and every camera gets its turn."""

import threading
from pathlib import Path

import numpy as np
import pytest

from manual_clock import ManualClock
from refinevad.apps.live.capture.messages import Ended, Gap, Opened, Picture, Pulse, Segment
from refinevad.apps.live.clock import SystemClock
from refinevad.apps.live.engine.batch import encode_together, gather
from refinevad.apps.live.engine.camera import Camera, RateMeter, Task
from refinevad.apps.live.engine.fleet import Died
from refinevad.apps.live.engine.track import CameraTrack
from refinevad.apps.live.settings.addresses import Address
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.video.frames import Clip
from test_track import Box
from watch_cases import live_model


def camera(name: str = "door", *, live: bool = True, fast: bool = False, queue: int = 3) -> Camera:
    clock, model = ManualClock(), live_model()
    address = Address("rtsp", f"rtsp://{name}/", f"rtsp://{name}/") if live else Address("file", name, f"file:/{name}")
    config = CameraConfig(name, address, Path("runs/a"))
    track = CameraTrack(name, model, Box(), clock, media=None, pre_roll_s=0.0, post_roll_s=0.0, preview_hz=0.0)
    return Camera(config, model, track, clock, queue_segments=queue, fast=fast)


def segment(number: int, level: int = 0, frames: int = 16) -> Segment:
    picture = np.full((1, 8, 8, 3), level, np.uint8)
    clip = Clip(picture, np.zeros(1), np.zeros((0, 2, 2), np.uint8), np.zeros(0), float(number), number + 1.0, False)
    return Segment(clip, frames, 0.0, 0.0)


def starts(items: list) -> list[float]:
    return [item.clip.start_s for item in items if isinstance(item, Segment)]


def test_of_what_waits_the_oldest_goes_and_its_frames_are_counted() -> None:
    one = camera()
    for number in range(5):
        one.hear(segment(number, frames=10 + number))
    assert starts(list(one.inbox)) == [2.0, 3.0, 4.0]
    assert (one.queued, one.frames_dropped) == (3, 10 + 11)


def test_news_between_segments_is_never_dropped_and_keeps_its_place() -> None:
    one = camera(queue=1)
    gap = Gap("lost", 1.0)
    for item in (segment(0), gap, segment(1), Ended("")):
        one.hear(item)
    assert one.inbox[0] is gap
    assert starts(one.take(8)) == [1.0]


@pytest.mark.parametrize("round_s", [1.0, 5.0, 60.0])
def test_a_camera_that_brings_more_than_is_scored_is_scored_all_the_same(round_s: float) -> None:
    """Three segments and four small pictures every 2 s; eight items are taken each round, for an hour."""
    one, scored, waiting, due = camera(queue=8), [], [], round_s
    for number in range(1800):
        for part in range(4):
            one.hear(Picture(b"jpeg", 2.0 * number + part / 2, 0.0))
            if part < 3:
                one.hear(segment(3 * number + part))
        if 2.0 * number >= due:
            due += round_s
            scored += starts(one.take(8))
        waiting.append(len(one.inbox))
    assert len(scored) >= 3 * min(1800, 3600 / round_s - 1)  # of eight items three are segments at least
    assert scored == sorted(scored)
    assert max(waiting) <= 8 + 4 * 8 // 3 + 1 + 8  # eight segments with their pictures, and what was not taken yet


def test_pictures_of_what_was_dropped_go_with_it_and_the_rest_stays() -> None:
    one, gap = camera(queue=1), Gap("lost", 1.0)
    early, late = Picture(b"early", 0.0, 0.0), Picture(b"late", 1.0, 0.0)
    for item in (early, gap, segment(0), late, segment(1)):
        one.hear(item)
    assert list(one.inbox)[:2] == [gap, late]
    assert starts(one.take(8)) == [1.0]
    assert one.preview is not None
    assert one.preview.jpeg == b"late"


def test_a_recording_read_fast_waits_in_place_of_dropping() -> None:
    one = camera(live=False, fast=True)
    assert one.has_room
    for number in range(4):
        one.hear(segment(number))
    assert not one.has_room
    assert (one.queued, one.frames_dropped) == (4, 0)
    one.take(2)
    assert one.has_room


def test_a_task_comes_alone() -> None:
    one = camera()
    task = Task(lambda: None)
    one.hear(segment(0))
    one.inbox.append(task)
    one.hear(segment(1))
    assert [starts(one.take(8)), one.take(8), starts(one.take(8))] == [[0.0], [task], [1.0]]


def test_every_camera_gets_its_turn_in_a_bounded_batch() -> None:
    cameras = [camera(name, queue=40) for name in "abc"]
    for one in cameras:
        for number in range(30):
            one.hear(segment(number))
    first, second = gather(cameras, 0), gather(cameras, 1)
    assert [one.config.name for one, _ in first] == ["a"] * 8 + ["b"] * 8
    assert [one.config.name for one, _ in second] == ["b"] * 8 + ["c"] * 8
    assert starts([item for _, item in second]) == [8.0 + i for i in range(8)] + [float(i) for i in range(8)]
    assert gather([], 0) == []


def test_segments_of_all_cameras_are_encoded_in_one_call_and_go_to_their_places() -> None:
    cameras = [camera(name) for name in "ab"]
    shared = cameras[0].track.model
    cameras[1].track.use(shared)
    cameras[0].hear(Opened(8, 8, 25.0, "h264", False))
    for level, one in ((51, cameras[0]), (102, cameras[1]), (204, cameras[0])):
        one.hear(segment(level, level))
    batch = gather(cameras, 0)
    vectors = encode_together(batch)
    assert {place: round(float(v[0]), 4) for place, v in vectors.items()} == {1: 0.2, 2: 0.8, 3: 0.4}


def test_what_holds_until_a_source_is_opened_anew_is_said_until_then() -> None:
    one, opened = camera(), Opened(640, 480, 25.0, "h264", False)
    news = (opened, Gap("its time stamps stand still", 0.0, lasting=True), Gap("it jumped", 0.0), opened)
    assert [(one.follow(item), one.state, one.reason) for item in news] == [
        (True, "live", ""),
        (True, "live", "its time stamps stand still"),
        (False, "live", "its time stamps stand still"),
        (True, "live", ""),
    ]


def test_counts_only_rise_and_states_follow_the_news() -> None:
    one = camera()
    one.hear(Pulse(10, 2, 1, 0, 640, 480))
    assert (one.state, one.frames_in, one.frames_dropped, one.damaged) == ("connecting", 10, 2, 1)
    news = (Opened(640, 480, 25.0, "h264", False), Gap("it jumped", 0.0), Gap("gone", 2.0), Died("signal 9", 1.0))
    assert [(one.follow(item), one.state, one.reason) for item in news] == [
        (True, "live", ""),
        (False, "live", ""),
        (True, "waiting", "gone"),
        (True, "waiting", "signal 9"),
    ]
    one.hear(Died("signal 9", 1.0))
    one.hear(Pulse(5, 0, 0, 1, 640, 480))
    status = one.status(None)
    assert (status.restarts, status.frames_in, status.reconnects) == (1, 15, 1)
    assert np.isnan(status.latency.encoded_p50)


def test_a_rate_may_be_asked_while_it_is_counted() -> None:
    """Frames are counted by the thread that hears a camera, and the rate is asked by the one that scores."""
    meter = RateMeter(SystemClock())
    hearing = threading.Thread(target=lambda: [meter.add(1) for _ in range(20_000)])
    hearing.start()
    rates = []
    while hearing.is_alive():
        rates.append(meter.rate())
    hearing.join()
    assert all(rate >= 0 for rate in rates)
    assert meter.rate() > 0


def test_rates_are_over_the_last_seconds() -> None:
    clock = ManualClock()
    meter = RateMeter(clock)
    for _ in range(20):
        clock.advance(1.0)
        meter.add(25)
    assert meter.rate() == pytest.approx(25.0, rel=0.25)
    clock.advance(60.0)
    assert meter.rate() == 0.0
