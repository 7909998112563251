"""What is wrong with a camera is told once when it has lasted, and cleared once when it is over."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from fakes import replaced
from live_cases import START, open_store
from manual_clock import ManualClock
from patience import wait_until
from refinevad.apps.live.capture.looks import LookMaker
from refinevad.apps.live.delivery.delivery import Delivery
from refinevad.apps.live.engine.engine import Engine, EngineOptions
from refinevad.apps.live.health import LASTS, Health, PictureHealth, Trouble, TroubleName
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.apps.live.settings.config import CameraConfig, LiveConfig, watch_config
from refinevad.apps.live.settings.sink_options import FolderOptions, StdoutOptions
from refinevad.apps.live.status import CameraStatus
from videos import write_video
from watch_cases import RULE, Ear, checkpoint

Picture = np.ndarray


def street(seed: int = 0) -> Callable[[int], Picture]:
    """A textured view with a sensor's noise, in which a block walks."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(30, 226, (18, 32)).astype(np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    fine, coat = rng.integers(-5, 6, blocks.shape), rng.integers(60, 200, (60, 30))

    def at(index: int) -> Picture:
        picture = np.clip(blocks.astype(int) + fine, 0, 255)
        left = 8 * index % 280
        picture[60:120, left : left + 30] = coat
        return np.clip(picture + rng.normal(0, 1, picture.shape), 0, 255).astype(np.uint8)

    return at


def seen(pictures: list[Picture]) -> list[set[TroubleName]]:
    """What counts after each look, two a second."""
    maker, health = LookMaker(), PictureHealth()
    return [health.look(**vars(maker.of(picture, index / 2))) for index, picture in enumerate(pictures)]


def turned(picture: Picture) -> Picture:
    return np.roll(picture[::-1], (5, 95), axis=(0, 1))  # no edge falls on another one's


def flat(picture: Picture, level: int, noise: int) -> Picture:
    """Nothing but noise, another one with each picture."""
    return (level + np.random.default_rng(int(picture[0, 0])).integers(0, noise, picture.shape)).astype(np.uint8)


FAULTS: dict[TroubleName, Callable[[Picture], Picture]] = {
    "blurred": lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 4.0)),
    "moved": turned,
    "covered": lambda picture: flat(picture, 90, 12),
    "black": lambda picture: flat(picture, 16, 3),
}


@pytest.mark.parametrize("name", [*FAULTS, "frozen"])
def test_a_fault_is_told_once_when_it_has_lasted_and_cleared_once(name: TroubleName) -> None:
    view = street()
    before, during, after = ([view(index) for index in range(count)] for count in (60, 80, 60))
    bad = [before[-1]] * 80 if name == "frozen" else [FAULTS[name](picture) for picture in during]
    found = seen(before + bad + after)
    on = [index for index, names in enumerate(found) if names]
    assert set().union(*found) == {name}
    assert on == list(range(on[0], on[-1] + 1))  # once
    lasts, away = LASTS[name]
    assert on[0] - 60 == 2 * lasts
    assert on[-1] - 139 == 2 * away


def test_a_fault_too_short_and_a_view_from_its_first_second_are_none() -> None:
    view = street()
    sound = [view(index) for index in range(60)]
    for fault in FAULTS.values():
        assert not any(seen(sound + [fault(picture) for picture in sound[:18]] + sound))
    assert not any(seen([FAULTS["blurred"](picture) for picture in sound] * 2))  # soft as it always was


class Watched:
    """A camera whose state, rate and score a test says."""

    def __init__(self) -> None:
        self.health, self.now = Health(), 1000.0
        self.told: list[tuple[float, list[TroubleName]]] = []

    def for_s(self, seconds: float, *, online: bool = True, fps: float = 25.0, above: str = "") -> None:
        for _ in range(round(seconds * 2)):
            self.now += 0.5
            if self.health.judge(self.now, self.now, online=online, away=not online, fps=fps, above=above):
                self.told.append((self.now - 1000.0, [trouble.name for trouble in self.health.troubles]))


def test_a_camera_that_is_away_is_told_after_half_a_minute_and_cleared_at_once() -> None:
    camera = Watched()
    camera.for_s(60)
    camera.for_s(20, online=False)
    camera.for_s(60)
    camera.for_s(100, online=False)
    camera.for_s(10)
    assert camera.told == [(170.5, ["offline"]), (240.5, [])]


def test_far_fewer_frames_than_before_are_told_and_a_slow_camera_is_not() -> None:
    camera = Watched()
    camera.for_s(60, fps=5.0)
    assert camera.told == []
    camera = Watched()
    camera.for_s(60)
    camera.for_s(60, fps=12.0)  # half: other viewers
    camera.for_s(60, fps=6.0)
    camera.for_s(60)
    assert camera.told == [(150.5, ["slow"]), (195.5, [])]


def test_what_stays_above_its_threshold_keeps_one_trouble_whose_text_goes_on() -> None:
    camera = Watched()
    camera.for_s(5, above="above its threshold for 10 minutes")
    first = camera.health.troubles[0]
    camera.for_s(5, above="above its threshold for 11 minutes")
    assert (camera.health.troubles[0].id, camera.health.troubles[0].text[-10:]) == (first.id, "11 minutes")
    camera.for_s(5)
    assert [names for _, names in camera.told] == [["above"], []]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    with replaced():
        checkpoint().save(tmp_path / "run")
        yield tmp_path / "run"


def test_a_running_camera_that_goes_dark_says_so_until_it_sees_again(run: Path, tmp_path: Path) -> None:
    view, dark = street(), np.full((180, 320, 3), 16, np.uint8)
    sound = [np.repeat(view(index)[..., None], 3, axis=2) for index in range(48)]
    noise = [dark + np.uint8(index % 3) for index in range(48)]
    film = write_video(tmp_path / "a.mp4", [*sound, *noise, *sound], rate=4, size=(320, 180), options={"g": "8"})
    ear = Ear()
    engine = Engine(EngineOptions(RULE.window_s, RULE.delay_s, fast=True), media=tmp_path / "media", listeners=[ear])
    engine.add(watch_config([str(film)], run).cameras[0])
    engine.start()
    try:
        assert engine.wait(120.0)
        states = [[trouble.name for trouble in state.health] for state in ear.states]
    finally:
        engine.stop()
    assert [names for place, names in enumerate(states) if not place or names != states[place - 1]] == [
        [],
        ["black"],
        [],
    ]
    assert next(state.notice for state in ear.states if state.health).startswith("its picture is black")


def status(*troubles: Trouble) -> CameraStatus:
    return CameraStatus("door", "rtsp://door", "runs/a", "live", since=START, health=troubles)


def test_every_sink_is_told_once_and_cleared_once(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    clock = ManualClock(wall_s=START)
    store = open_store(tmp_path, clock=clock)
    sinks = (StdoutOptions(), FolderOptions("kept", tmp_path / "kept"))
    door = CameraConfig("door", parse_address("rtsp://10.0.0.5/a"), Path("runs/a"))
    config = LiveConfig((door,), sinks, outbox=tmp_path / "outbox.db", media=tmp_path / "media")
    delivery = Delivery.open(config, store)
    delivery.on_camera(door, "runs/a", True)
    frozen = Trouble("frozen", START, "its picture stands still", "ab12")
    for troubles in ((), (frozen,), (frozen,), ()):
        delivery.on_state(status(*troubles))
    wait_until(lambda: not any(delivery.waiting().values()), "notices wait")
    delivery.on_state(status(frozen))
    delivery.on_camera(door, "runs/a", False)  # a camera that is removed has no trouble any more
    wait_until(lambda: not any(delivery.waiting().values()), "notices wait")
    delivery.stop()
    store.close()
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [(line["kind"], line["trouble"]) for line in lines] == [("trouble", "frozen"), ("cleared", "frozen")] * 2
    assert {line["event_id"] for line in lines} == {"ab12"}
    assert lines[0]["since"] == "2023-11-14T22:13:20.000Z"
    kept = json.loads((tmp_path / "kept" / "door" / "troubles" / "ab12.json").read_text())
    assert (kept["kind"], kept["camera"]) == ("cleared", "door")


def test_nothing_is_wrong_with_a_recording_that_is_over() -> None:
    camera = Watched()
    camera.for_s(5, above="above its threshold for 10 minutes")
    camera.health.seen = {"frozen"}
    camera.for_s(1)
    assert [trouble.name for trouble in camera.health.troubles] == ["frozen"]
    assert camera.health.rest()
    assert camera.health.troubles == ()
    assert not camera.health.rest()
