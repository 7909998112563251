"""Where a camera's events came from: what a track tells is what `detect` tells of the same segments, in pieces."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from manual_clock import ManualClock
from refinevad.apps.live.capture.messages import Segment
from refinevad.apps.live.engine.live_model import LiveModel
from refinevad.apps.live.engine.places import Places
from refinevad.apps.live.engine.track import PLACE_PATIENCE_S, CameraTrack
from refinevad.apps.live.storage.store import Store
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.detector import Detector
from refinevad.opened_run import OpenedRun
from refinevad.scoring.windows import WindowRule
from refinevad.video.frames import Clip
from refinevad.video.recording import Recording
from test_track import Box
from test_where import RULE, MotionEncoder, choice, linear, scene
from videos import write_video

torch.set_num_threads(1)
LIVE = WindowRule(4.0, 1.5)


def checkpoint() -> Checkpoint:
    signature = {"encoder": MotionEncoder().identity.as_dict(), "rule": RULE.as_dict()}
    return Checkpoint(linear([0.5], -2.0), "lite", signature, Calibration(0.5, 0.4, 6.0, True, 1.0))


class Filmed:
    """A track that is shown the scene's segments one by one."""

    def __init__(self, path: Path, where: bool = True, media: Path | None = None) -> None:
        encoder = choice(MotionEncoder())
        self.model = LiveModel(OpenedRun.of(checkpoint(), encoder), ("here", 0), LIVE)
        self.video = write_video(path / "v.mp4", scene((16, 64), 96), size=(80, 48))
        self.clips = list(Recording(self.video, encoder.needs, RULE).whole())
        self.vectors = encoder.encode_clips(self.clips)
        self.clock, self.box = ManualClock(1_700_000_000.0, 5000.0), Box()
        self.track = CameraTrack(
            "door",
            self.model,
            self.box,
            self.clock,
            media=media,
            pre_roll_s=0.0,
            post_roll_s=0.0,
            preview_hz=1.0,
            where=where,
        )

    def see(self) -> Iterator[Clip]:
        for clip, vector in zip(self.clips, self.vectors, strict=True):
            self.clock.advance(clip.end_s - clip.start_s)
            self.track.segment(vector, Segment(clip, 16, self.clock.monotonic(), 5000.0))
            yield clip

    def look(self) -> None:
        while self.track.looking:
            self.track.look()


def test_a_camera_tells_the_place_that_detect_tells_offline(tmp_path: Path) -> None:
    """Under another window, and of an event that is going on as soon as it is known."""
    filmed = Filmed(tmp_path)
    for _ in filmed.see():
        filmed.look()
    filmed.track.gap()
    filmed.look()
    filmed.track.tick()
    new, *updates, end = filmed.box.events
    assert "where" not in new["after"]
    assert any("where" in update["after"] for update in updates)
    offline = Detector(checkpoint(), encoder=choice(MotionEncoder())).detect(filmed.video)
    (place,) = offline.located
    assert end["kind"] == "end"
    assert offline.events[place].peak_s == pytest.approx(end["after"]["peak_s"] - 1_700_000_000.0, abs=1e-3)
    assert end["after"]["where"] == offline.located[place].where.facts()
    assert end["after"]["why"] == offline.located[place].why.facts()
    assert end["before"]["where"] == end["after"]["where"]


def test_an_end_waits_for_its_place_and_no_longer_than_it_may(tmp_path: Path) -> None:
    filmed = Filmed(tmp_path)
    for _ in filmed.see():
        pass
    filmed.track.gap()
    assert filmed.box.kinds == ["new"]
    assert filmed.track.waiting
    filmed.clock.advance(PLACE_PATIENCE_S)
    filmed.track.tick()
    assert filmed.box.kinds == ["new", "end"]
    assert "where" not in filmed.box.events[-1]["after"]


def test_nothing_is_looked_for_where_it_is_switched_off(tmp_path: Path) -> None:
    filmed = Filmed(tmp_path, where=False)
    for _ in filmed.see():
        assert not filmed.track.looking
    filmed.track.gap()
    assert filmed.box.kinds == ["new", "end"]


def test_a_camera_that_is_given_up_tells_its_end_at_once(tmp_path: Path) -> None:
    filmed = Filmed(tmp_path)
    for _ in filmed.see():
        pass
    filmed.track.gap()
    filmed.track.give_up_clips()
    assert filmed.box.kinds == ["new", "end"]


def kept(places: Places, seconds: list[tuple[float, float]], nbytes: int = 64) -> None:
    empty = np.zeros((0, 0, 0, 3), np.uint8)
    for start, end in seconds:
        gray = np.zeros((2, nbytes // 16, 8), np.uint8)
        places.keep(Clip(empty, np.zeros(0), gray, np.array([start, end]), start, end, False), np.array([start]))


def test_what_is_kept_is_bounded_in_time_and_in_bytes(tmp_path: Path) -> None:
    """Ten minutes of seconds, of which the rule's delay, four seconds and a context stay; no picture of 5 MB."""
    places = Places(Filmed(tmp_path).model)
    kept(places, [(float(second), second + 1.0) for second in range(600)])
    assert places.peak_at(597.5) is not None
    assert places.peak_at(500.5) is None
    assert len(places._kept) <= 1.5 + 4 + 8 + 2
    kept(places, [(600.0, 601.0)], 5 << 20)
    assert places.peak_at(600.5) is None


def test_no_context_reaches_across_a_hole_or_a_gap(tmp_path: Path) -> None:
    places = Places(Filmed(tmp_path).model)
    kept(places, [(0.0, 1.0), (1.0, 2.0), (30.0, 31.0), (31.0, 32.0)])
    peak = places.peak_at(31.5)
    assert peak is not None
    assert peak.vectors[:, 0].tolist() == [30.0, 31.0]
    kept(places, [(31.0, 31.5)])  # it does not advance
    assert places.peak_at(31.2).vectors[:, 0].tolist() == [30.0, 31.0]
    places.forget()
    assert places.peak_at(31.5) is None


def test_of_too_many_events_the_oldest_go_without(tmp_path: Path) -> None:
    filmed = Filmed(tmp_path)
    places = Places(filmed.model)
    kept(places, [(0.0, 1.0)])
    peak = places.peak_at(0.5)
    for event in "abcdef":
        places.ask(event, peak)
    assert [places.waits_for(event) for event in "abcdef"] == [False, False, True, True, True, True]
    places.drop("c")
    told = [found for _ in range(100) if (found := places.step()) is not None]
    assert told == [("d", None), ("e", None), ("f", None)]  # nothing moves: no place
    assert not places.busy


def test_storage_keeps_the_place_of_an_event(tmp_path: Path) -> None:
    """What a later state does not say is not forgotten."""
    from refinevad.apps.live.delivery.sinks.database import event_record
    from refinevad.apps.live.settings.secret import Secret
    from refinevad.apps.service.schemas import EventOut

    filmed = Filmed(tmp_path)
    for _ in filmed.see():
        filmed.look()
    filmed.track.gap()
    filmed.look()
    filmed.track.tick()
    store = Store.open(Secret(f"sqlite:///{tmp_path / 'v.db'}"), tmp_path / "media")
    try:
        store.cameras.register("door", "a", "m")
        first = EventOut.of(stored(store, event_record(filmed.box.events[0])))
        assert first.where is None
        for envelope in filmed.box.events[1:]:
            found = stored(store, event_record(envelope))
        out = EventOut.of(found)
        assert out.model_dump()["where"] == filmed.box.events[-1]["after"]["where"]
        assert out.model_dump()["why"] == filmed.box.events[-1]["after"]["why"]
        assert math.isclose(sum(out.where.cells), 1.0, abs_tol=0.01)
        store.events.upsert(event_record(filmed.box.events[0]))
        assert EventOut.of(store.events.get(out.id)).where is not None
    finally:
        store.close()


def stored(store: Store, record: object) -> object:
    store.events.upsert(record)
    return store.events.get(record.id)
