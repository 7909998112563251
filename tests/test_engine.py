"""Running cameras: real processes, real files and servers, faults injected; a tiny model and a tiny encoder."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fakes import MeanEncoder, replaced
from patience import wait_until
from refinevad.apps.live.clock import SystemClock, unix
from refinevad.apps.live.engine.engine import Engine, EngineOptions
from refinevad.apps.live.settings.config import watch_config
from refinevad.detector import Detector
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.scoring.windows import WindowRule
from refinevad.video.zones import Area, Zones
from servers import RtspServer
from videos import flat, write_video
from watch_cases import RULE, Ear, checkpoint, write_film

Rtsp = Callable[..., RtspServer]
# a processor shared by many makes everything late: nothing here is to be lost by that
PATIENT = EngineOptions(window_s=RULE.window_s, delay_s=RULE.delay_s, queue_segments=500, stall_s=3.0)


@pytest.fixture(autouse=True)
def tiny_encoder() -> Iterator[None]:
    with replaced():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    checkpoint().save(folder)
    return folder


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def start(run: Path, ear: Ear, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """start(source, ...) watches; cameras are called by the sources' names."""
    running: list[Engine] = []

    def begin(*sources: object, options: EngineOptions = PATIENT, clock: SystemClock | None = None) -> Engine:
        engine = Engine(options, media=tmp_path / "media", listeners=[ear], clock=clock)
        running.append(engine)
        for camera in watch_config([str(source) for source in sources], run).cameras:
            engine.add(camera)
        engine.start()
        return engine

    yield begin
    for engine in running:
        engine.stop()


def fast(options: EngineOptions = PATIENT) -> EngineOptions:
    return EngineOptions(**{**vars(options), "fast": True, "queue_segments": 3})


def test_files_read_fast_give_what_detect_gives_with_clips_and_snapshots(
    start: Callable[..., Engine], ear: Ear, tmp_path: Path
) -> None:
    films = [write_film(tmp_path / f"{name}.mp4", 20, seed) for seed, name in enumerate("ab")]
    engine = start(*films, options=fast())
    assert engine.wait(120.0)
    engine.stop()
    for film in films:
        name = film.stem
        choice = EncoderChoice("lite", MeanEncoder(), None)
        wanted = Detector(checkpoint(), "run", choice, WindowRule(RULE.window_s, RULE.delay_s)).detect(film)
        np.testing.assert_allclose(ear.scores(name), wanted.scores, atol=1e-5)
        ends = [e for e in ear.events if e["camera"] == name and e["kind"] == "end"]
        assert len(ends) == len(wanted.events) >= 1
        began = next(batch.rows[0].time for batch in ear.batches if batch.camera == name)
        for end, event in zip(ends, wanted.events, strict=True):
            assert unix(end["after"]["start_time"]) - began == pytest.approx(event.start_s, abs=2e-3)
            assert unix(end["after"]["end_time"]) - began == pytest.approx(event.end_s, abs=2e-3)
            assert end["after"]["peak"] == pytest.approx(event.peak, abs=1e-5)
            assert end["after"]["category"] == event.category
            _assert_clip_holds(tmp_path / "media" / end["clip"], max(event.start_s - 5, 0), min(event.end_s + 5, 20))
            assert (tmp_path / "media" / end["snapshot"]).read_bytes()[:2] == b"\xff\xd8"
        status = engine.status(name)
        assert (status.state, status.frames_in, status.frames_scored, status.frames_dropped) == ("ended", 500, 500, 0)
        assert (status.segments_scored, status.events) == (32, len(wanted.events))
        assert status.latency.scored_p99 >= status.latency.scored_p50 > 0
    assert ear.told_states("a")[-1] == "ended"
    assert engine.preview("a") is not None


@pytest.mark.filterwarnings("ignore:no pictures from")
def test_a_watched_recording_with_a_hole_gives_what_detect_gives_and_is_told(
    start: Callable[..., Engine], ear: Ear, tmp_path: Path
) -> None:
    times = [index / 25 + 600 * (index >= 250) for index in range(500)]
    levels = np.repeat(np.random.default_rng(0).integers(0, 255, 20), 25).tolist()
    film = write_video(tmp_path / "a.mp4", flat(levels, 64, 48), size=(64, 48), times_s=times, options={"g": "25"})
    engine = start(film, options=fast())
    assert engine.wait(120.0)
    engine.stop()
    choice = EncoderChoice("lite", MeanEncoder(), None)
    wanted = Detector(checkpoint(), "run", choice, WindowRule(RULE.window_s, RULE.delay_s)).detect(film)
    assert len(wanted.timeline.breaks) == 1
    np.testing.assert_allclose(ear.scores("a"), wanted.scores, atol=1e-5)
    ends = [event for event in ear.events if event["kind"] == "end"]
    assert len(ends) == len(wanted.events) >= 2
    ended = next(status for status in ear.states if status.state == "ended")
    assert ended.reason == "no pictures from 10.0 to 610.0 s in it; nothing is scored there"


def _assert_clip_holds(path: Path, start_s: float, end_s: float) -> None:
    """It begins at the keyframe ahead, at most two seconds, and shows each second's grey."""
    import av

    with av.open(str(path)) as clip:
        frames = sum(1 for _ in clip.decode(video=0))
    assert end_s - start_s - 0.1 <= frames / 25 <= end_s - start_s + 2.2


def test_a_killed_process_is_started_again_and_the_others_go_on(
    start: Callable[..., Engine], ear: Ear, tmp_path: Path
) -> None:
    films = [write_film(tmp_path / f"{name}.mp4", 120, seed, rate=5) for seed, name in enumerate("ab")]
    engine = start(*films)
    wait_until(lambda: all(engine.status(name).segments_scored for name in "ab"), "scores of both")
    other = engine.status("b").pid
    os.kill(engine.status("a").pid, signal.SIGKILL)
    wait_until(lambda: engine.status("a").restarts == 1, "the death being noticed")
    scored = engine.status("b").segments_scored
    wait_until(lambda: engine.status("a").state == "live", "the restart")
    wait_until(lambda: engine.status("b").segments_scored > scored, "the other's scores")
    assert "live" in ear.told_states("a")
    waiting = next(status for status in ear.states if status.state == "waiting")
    assert (waiting.name, waiting.reason) == ("a", "its process ended (signal 9)")
    assert (engine.status("b").pid, engine.status("b").restarts) == (other, 0)
    engine.stop()
    for name in "ab":
        events = [e for e in ear.events if e["camera"] == name]
        assert {e["event_id"] for e in events if e["kind"] == "new"} == {
            e["event_id"] for e in events if e["kind"] == "end"
        }
    assert all(engine.status(name).pid is None for name in "ab")


def test_a_server_killed_and_started_again_on_its_port(rtsp: Rtsp, start: Callable[..., Engine], ear: Ear) -> None:
    server = rtsp()
    engine = start(server.url)
    (camera,) = engine.cameras
    name = camera.name
    wait_until(lambda: engine.status(name).segments_scored > 2, "scores")
    server.kill()
    wait_until(lambda: engine.status(name).state == "waiting", "the break being noticed")
    assert engine.status(name).open_event is None
    assert "127.0.0.1" in engine.status(name).reason
    before = engine.status(name).segments_scored
    server.start()
    wait_until(lambda: engine.status(name).segments_scored > before + 2, "scores after it")
    status = engine.status(name)
    assert (status.state, status.restarts) == ("live", 0)
    assert status.reconnects >= 1
    rows = [row for batch in ear.batches for row in batch.rows]
    ends = np.array([row.time + row.length_s for row in rows])
    assert (ends[:-1] <= np.array([row.time for row in rows])[1:] + 1e-6).all()


def test_a_stream_that_stalls_is_a_gap_and_goes_on(rtsp: Rtsp, start: Callable[..., Engine]) -> None:
    server = rtsp()
    engine = start(server.url)
    name = engine.cameras[0].name
    wait_until(lambda: engine.status(name).segments_scored > 2, "scores")
    server.pause()
    wait_until(lambda: engine.status(name).state == "waiting", "the stall being noticed")
    assert engine.status(name).open_event is None
    server.resume()
    before = engine.status(name).segments_scored
    wait_until(lambda: engine.status(name).segments_scored > before, "scores after it")


class JumpingClock(SystemClock):
    """The machine's clock, until someone sets the wall clock."""

    jump_s = 0.0

    def now(self) -> float:
        return super().now() + self.jump_s


def test_a_wall_clock_that_jumps_tears_no_event_and_no_curve(
    start: Callable[..., Engine], ear: Ear, tmp_path: Path
) -> None:
    clock = JumpingClock()
    film = write_film(tmp_path / "a.mp4", 12, 0)
    engine = start(film, clock=clock)
    wait_until(lambda: bool(ear.events), "an event")
    clock.jump_s = -86400.0
    assert engine.wait(120.0)
    engine.stop()
    (first, *_) = ear.events
    end = next(e for e in ear.events if e["kind"] == "end" and e["event_id"] == first["event_id"])
    assert 0 < unix(end["after"]["end_time"]) - unix(first["after"]["start_time"]) <= 12
    assert all(row.length_s <= 0.65 for batch in ear.batches for row in batch.rows)


def test_cameras_and_models_come_and_go_while_others_run(
    start: Callable[..., Engine], ear: Ear, run: Path, tmp_path: Path
) -> None:
    films = [write_film(tmp_path / f"{name}.mp4", 120, seed, rate=5) for seed, name in enumerate("abc")]
    engine = start(films[0])
    with pytest.raises(InputError, match="already a camera called 'a'"):
        engine.add(engine.cameras[0])
    with pytest.raises(InputError, match="no camera called 'x'"):
        engine.remove("x")
    other = tmp_path / "other"
    checkpoint(threshold=0.01).save(other)
    engine.add(watch_config([str(films[1])], run).cameras[0])
    wait_until(lambda: all(engine.status(name).segments_scored for name in "ab"), "scores of both")
    pid = engine.status("a").pid
    engine.set_model("a", other)
    scored, events = engine.status("a").segments_scored, engine.status("a").events
    wait_until(lambda: engine.status("a").segments_scored > scored and engine.status("a").events > events, "an alarm")
    status = engine.status("a")
    assert (status.model, status.threshold, status.pid) == (str(other), 0.01, pid)  # the same pixels: the same process
    engine.set_threshold("a", 0.99)
    assert engine.status("a").open_event is None
    assert engine.cameras[0].threshold == 0.99
    engine.remove("a")
    assert [camera.name for camera in engine.cameras] == ["b"]
    assert ear.cameras[-1] == ("a", str(other), False)
    assert [status.name for status in engine.statuses()] == ["b"]


def test_a_mask_set_while_a_camera_runs_makes_its_scores_those_of_detect_with_it(
    start: Callable[..., Engine], ear: Ear, tmp_path: Path
) -> None:
    film = write_film(tmp_path / "a.mp4", 12)
    zones = Zones((Area("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))),))
    engine = start(film)
    wait_until(lambda: engine.status("a").segments_scored > 0, "a score")
    engine.set_zones("a", zones)
    assert engine.status("a").hidden == pytest.approx(0.5, abs=0.01)
    assert engine.wait(120.0)
    before, after = (batch.fingerprint for batch in (ear.batches[0], ear.batches[-1]))
    assert before != after
    choice = EncoderChoice("lite", MeanEncoder(), None)
    detector = Detector(checkpoint(), "run", choice.looking_at(zones), WindowRule(RULE.window_s, RULE.delay_s))
    found = [row.score for batch in ear.batches if batch.fingerprint == after for row in batch.rows]
    np.testing.assert_allclose(found, detector.detect(film).scores, atol=1e-5)


def test_what_cannot_be_watched_is_told(start: Callable[..., Engine], ear: Ear, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    engine = start(text)
    assert engine.wait(120.0)
    status = engine.status("text")
    assert status.state == "failed"
    assert "not a video that FFmpeg can read" in status.reason
    with pytest.raises(InputError, match="longer than its window"):
        Engine(EngineOptions(window_s=2.0, delay_s=4.0))
