"""One camera's envelopes: in order, by one clock, each with what was told before; clips and snapshots when they are."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from manual_clock import ManualClock
from refinevad.apps.live.capture.messages import Command, Finish, Picture, Record, Segment
from refinevad.apps.live.clock import unix
from refinevad.apps.live.engine.track import CLIP_PATIENCE_S, CameraTrack
from refinevad.apps.live.envelope import Envelope
from refinevad.apps.live.storage.records import ScoreRow
from refinevad.scoring.scores import score
from refinevad.scoring.windows import WindowRule
from refinevad.video.frames import Clip
from watch_cases import live_model

WALL, MONOTONIC = 1_700_000_000.0, 5000.0
LOUD, QUIET = np.full(4, 3.0, np.float32), np.zeros(4, np.float32)


class Box:
    def __init__(self) -> None:
        self.rows, self.events, self.commands = list[ScoreRow](), list[Envelope](), list[Command]()

    def scores(self, model: object, rows: tuple[ScoreRow, ...]) -> None:
        self.rows += rows

    def event(self, envelope: Envelope) -> None:
        self.events.append(envelope)

    def command(self, command: Command) -> None:
        self.commands.append(command)

    @property
    def kinds(self) -> list[str]:
        return [envelope["kind"] for envelope in self.events]


class Stage:
    """A track, a clock and segments of a second each, one after the other."""

    def __init__(self, media: Path | None = None, longest_event_s: float = math.inf) -> None:
        # no waiting, no context: each segment is scored alone
        rule = WindowRule(1.0, 0.0)
        model = live_model(rule=rule)
        alone = [float(score(model.checkpoint.model, vector[None]).segments[0]) for vector in (QUIET, LOUD)]
        low, high = sorted(alone)
        self.quiet, self.loud = (QUIET, LOUD) if alone[0] == low else (LOUD, QUIET)
        self.model = live_model((low + high) / 2, rule)
        self.clock, self.box, self.second = ManualClock(WALL, MONOTONIC), Box(), 0
        self.track = CameraTrack(
            "door",
            self.model,
            self.box,
            self.clock,
            media=media,
            pre_roll_s=2.0,
            post_roll_s=3.0,
            preview_hz=1.0,
            longest_event_s=longest_event_s,
        )

    def see(self, vector: np.ndarray, seconds: int = 1, origin: float = MONOTONIC) -> None:
        for _ in range(seconds):
            self.clock.advance(1.0)
            clip = Clip(
                np.zeros((1, 8, 8, 3), np.uint8),
                np.zeros(1),
                np.zeros((0, 2, 2), np.uint8),
                np.zeros(0),
                float(self.second),
                self.second + 1.0,
                False,
            )
            self.track.picture(Picture(b"jpeg of %d" % self.second, self.second + 0.5, origin))
            self.track.segment(vector, Segment(clip, 25, self.clock.monotonic() - 0.25, origin))
            self.second += 1


def times(envelope: Envelope) -> tuple[float, float]:
    return unix(envelope["after"]["start_time"]) - WALL, unix(envelope["after"]["end_time"]) - WALL


def test_an_event_is_told_from_new_to_end_each_with_what_was_told_before() -> None:
    stage = Stage()
    stage.see(stage.quiet, 2)
    stage.see(stage.loud, 12)
    assert stage.track.open_event == stage.box.events[0]["event_id"]
    stage.see(stage.quiet, 3)
    events = stage.box.events
    assert stage.box.kinds == ["new", "update", "update", "end"]  # updates five seconds apart
    assert [times(e) for e in events] == [(2.0, 3.0), (2.0, 8.0), (2.0, 13.0), (2.0, 14.0)]
    assert [e["before"] for e in events] == [None, *(e["after"] for e in events[:-1])]
    assert len({e["event_id"] for e in events}) == 1
    assert len({e["id"] for e in events}) == 4
    assert stage.track.open_event is None
    assert stage.track.events == 1
    assert [round(row.time - WALL, 6) for row in stage.box.rows] == list(range(17))
    assert {row.length_s for row in stage.box.rows} == {1.0}
    assert set(stage.track.encoded_s) == {0.25}


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_a_clock_that_jumps_in_mid_event_moves_only_what_comes_after_it(jump: float) -> None:
    stage = Stage()
    stage.see(stage.loud, 4)
    stage.clock.jump(jump)
    stage.see(stage.loud, 4)
    stage.see(stage.quiet, 3)
    stage.see(stage.loud, 1)
    first = [e for e in stage.box.events if e["event_id"] == stage.box.events[0]["event_id"]]
    assert times(first[-1]) == (0.0, 8.0)
    assert stage.box.events[-1]["kind"] == "new"
    assert times(stage.box.events[-1])[0] == pytest.approx(11.0 + jump)
    rows = [row.time - WALL for row in stage.box.rows]
    assert rows[:8] == pytest.approx(range(8))
    assert rows[-1] == pytest.approx(11.0 + jump)
    assert len(rows) == 12


def test_a_gap_ends_the_event_and_numbers_go_on() -> None:
    stage = Stage()
    stage.see(stage.loud, 2)
    stage.track.gap()
    stage.track.begin()
    stage.second = 0
    stage.clock.advance(60.0)
    stage.see(stage.loud, 2, origin=stage.clock.monotonic())
    stage.track.gap()
    assert stage.box.kinds == ["new", "end", "new", "end"]
    assert [times(e) for e in stage.box.events[1::2]] == [(0.0, 2.0), (62.0, 64.0)]
    assert stage.track.events == 2


def test_the_end_waits_for_its_clip(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.see(stage.quiet, 5)
    stage.see(stage.loud, 2)
    new = stage.box.events[0]
    event = new["event_id"]
    clip = f"clips/{event}.mp4"
    assert stage.box.commands == [Record(event, str(tmp_path / clip), 5.0 - 2.0)]
    assert (new["clip"], new["snapshot"]) == (None, f"snapshots/{event}.jpg")
    assert (tmp_path / new["snapshot"]).read_bytes() == b"jpeg of 5"
    stage.see(stage.quiet, 3)
    assert stage.box.commands[1:] == [Finish(event, 7.0 + 3.0, False)]
    assert "end" not in stage.box.kinds
    assert stage.track.waiting
    assert stage.track.open_event is None
    stage.track.recorded(event, "")
    assert stage.box.events[-1]["kind"] == "end"
    assert stage.box.events[-1]["clip"] == clip
    assert not stage.track.waiting


def test_the_end_does_not_wait_for_ever_nor_name_a_clip_that_came_to_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    for _ in range(3):
        stage.see(stage.loud, 1)
        stage.see(stage.quiet, 3)
    first, second, third = (e["event_id"] for e in stage.box.events)
    stage.track.recorded(second, "the disk is full")
    assert [e["event_id"] for e in stage.box.events if e["kind"] == "end"] == [second]
    assert stage.box.events[-1]["clip"] is None
    stage.clock.advance(3.0 + CLIP_PATIENCE_S)  # post-roll and patience
    stage.track.tick()
    assert [e["event_id"] for e in stage.box.events if e["kind"] == "end"] == [second, first, third]
    stage.see(stage.loud, 1)
    stage.track.gap()
    stage.track.give_up_clips()  # its process was killed: no file is there
    assert stage.box.events[-1]["clip"] is None
    assert not stage.track.waiting


def test_an_event_keeps_the_model_that_found_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    other = replace(stage.model, opened=replace(stage.model.opened, name="runs/b"))
    stage.see(stage.loud, 2)
    stage.track.use(other)
    stage.see(stage.quiet, 4)
    stage.see(stage.loud, 2)
    stage.clock.advance(3.0 + CLIP_PATIENCE_S)  # the first one's end waited for its clip, past the swap
    stage.track.tick()
    stage.track.give_up_clips()
    first, second = dict.fromkeys(e["event_id"] for e in stage.box.events)
    told = [(e["event_id"], e["kind"], e["model"]) for e in stage.box.events]
    assert {(kind, model) for event, kind, model in told if event == first} == {("new", "runs/a"), ("end", "runs/a")}
    assert {model for event, _, model in told if event == second} == {"runs/b"}


def test_a_stuck_camera_is_told_again_and_again_and_its_operator_once(tmp_path: Path) -> None:
    """A quarter of an hour above the threshold: an event every two minutes, and a clip for each."""
    stage = Stage(tmp_path, longest_event_s=120.0)
    notices = []
    for second in range(900):
        stage.see(stage.loud)
        for command in list(stage.box.commands):
            if isinstance(command, Finish) and command.end_s <= second:
                stage.track.recorded(command.event, "")
                stage.box.commands.remove(command)
        notices.append(stage.track.notice)
    assert stage.track.on_s == 900.0
    stage.see(stage.quiet, 4)
    for event in [e["event_id"] for e in stage.box.events if e["kind"] == "new"]:
        stage.track.recorded(event, "")
    new = [e for e in stage.box.events if e["kind"] == "new"]
    end = [e for e in stage.box.events if e["kind"] == "end"]
    assert [times(e)[0] for e in new] == [120.0 * part for part in range(8)]
    assert [times(e) for e in end] == [(120.0 * part, min(120.0 * part + 120.0, 900.0)) for part in range(8)]
    assert [e["reason"] for e in end] == ["longest"] * 7 + [None]
    assert [e["reason"] for e in new] == [None, *(f"continues {e['event_id']}" for e in new[:-1])]
    assert len({e["clip"] for e in end}) == 8
    records = [c for c in stage.box.commands if isinstance(c, Record)]
    assert [c.start_s for c in records] == [120.0 * part - 2.0 for part in range(8)]
    assert notices[598] == ""
    assert "above its threshold for 10 minutes" in notices[599]
    assert (stage.track.notice, stage.track.on_s) == ("", 0.0)
    updates = [e for e in stage.box.events if e["kind"] == "update" and e["event_id"] == new[0]["event_id"]]
    assert [times(e)[1] for e in updates] == [6.0 + 5.0 * n for n in range(23)]  # still on: every 5 s


def test_another_model_ends_what_is_open() -> None:
    stage = Stage()
    stage.see(stage.loud, 2)
    stage.track.use(stage.model.at(0.999))
    assert stage.box.kinds == ["new", "end"]
    stage.see(stage.loud, 2)
    assert stage.track.events == 1
    stage.track.use(stage.model)
    stage.see(stage.loud, 1)
    assert stage.track.events == 2
