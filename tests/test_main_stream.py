"""A camera with two streams: the small one is scored, clips are of the large one, which may come and go."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import pytest

from fakes import replaced
from patience import patience, wait_until
from refinevad.apps.live.engine.engine import Engine, EngineOptions
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.apps.live.settings.config import watch_config
from servers import RtspServer
from watch_cases import RULE, Ear, checkpoint, write_film


@pytest.fixture(autouse=True)
def tiny_encoder() -> Iterator[None]:
    with replaced():
        yield


def size_of(clip: Path) -> tuple[int, int]:
    with av.open(str(clip)) as container:
        frame = next(container.decode(video=0))
        return frame.width, frame.height


def test_clips_are_of_the_large_stream_and_of_the_small_one_while_it_is_away(
    rtsp: Callable[..., RtspServer], tmp_path: Path
) -> None:
    """The small one is 64 x 48, the large one 160 x 120."""
    checkpoint().save(tmp_path / "run")
    small, large = rtsp([write_film(tmp_path / "film.mp4", 20, 0)]), rtsp()
    (camera,) = watch_config([small.url], tmp_path / "run").cameras
    camera = replace(camera, name="a", main=parse_address(large.url), pre_roll_s=1.0, post_roll_s=0.5)
    camera = replace(camera, longest_event_s=2.0)  # what goes on is told as several, each with a clip
    ear, options = Ear(), EngineOptions(window_s=RULE.window_s, delay_s=RULE.delay_s, queue_segments=500, stall_s=3.0)
    engine = Engine(options, media=tmp_path / "media", listeners=[ear])
    engine.add(camera)
    engine.start()

    def clips() -> list[Path]:
        ends = [event for event in ear.events if event["kind"] == "end" and event["clip"]]
        return [tmp_path / "media" / event["clip"] for event in ends]

    try:
        wait_until(lambda: len(clips()) >= 2, "two clips")
        assert size_of(clips()[1]) == (160, 120)
        status = engine.status("a")
        assert (status.width, status.height) == (64, 48)
        assert "full size" not in status.notice
        large.kill()
        wait_until(lambda: "stream in full size is away" in engine.status("a").notice, "being told that it is away")
        assert engine.status("a").state == "live"
        seen = len(clips())
        wait_until(lambda: any(size_of(clip) == (64, 48) for clip in clips()[seen:]), "a clip of the small one")
        engine.set_streams("a", camera.source, None, False)
        wait_until(lambda: engine.status("a").state == "live", "the small one alone")
        assert "full size" not in engine.status("a").notice
        assert engine.cameras[0].main is None
    finally:
        engine.stop()


def test_a_camera_that_had_failed_is_watched_once_its_address_is_another(tmp_path: Path) -> None:
    checkpoint().save(tmp_path / "run")
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    film = write_film(tmp_path / "film.mp4", 4, 0)
    (camera,) = watch_config([str(tmp_path / "broken.mp4")], tmp_path / "run").cameras
    engine = Engine(EngineOptions(window_s=RULE.window_s, delay_s=RULE.delay_s, fast=True), media=tmp_path / "media")
    engine.add(camera)
    engine.start()
    try:
        assert engine.wait(patience(60.0))
        assert engine.status("broken").state == "failed"
        time.sleep(0.1)
        engine.set_streams("broken", parse_address(str(film)), None, False)
        wait_until(lambda: engine.status("broken").state == "ended", "the film being read")
        assert engine.status("broken").frames_in == 100
    finally:
        engine.stop()
