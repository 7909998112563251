"""A camera's threshold from its own hours: expected thresholds are counted by hand from the peaks that are put in."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch

from fakes import replaced
from manual_clock import ManualClock
from refinevad.apps.live.engine.engine import Engine
from refinevad.apps.live.learning import Learner, bounded
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.status import CameraStatus, Learning
from refinevad.apps.live.storage.records import EventRecord, ScoreRow
from refinevad.apps.live.storage.store import Store
from refinevad.budget import vouching
from refinevad.scoring.events import Calibration
from test_places import checkpoint
from test_where import MotionEncoder

torch.set_num_threads(1)
NOON, HOUR, LENGTH_S = 1_700_000_000.0, 3600.0, 20.0  # an alarm of up to 30 s counts once
OWN = Calibration(0.5, 0.4, 6.0, True, 0.5)


@dataclass
class Watched:
    """An engine of one camera."""

    threshold: float = 0.5
    told: list[Learning] = field(default_factory=list)

    def learners(self) -> list[tuple[str, str, Calibration]]:
        return [("door", "f" * 64, OWN)]

    def status(self, name: str) -> CameraStatus:
        return CameraStatus(name, "a", "m", "live", 0.0, threshold=self.threshold)

    def learn(self, name: str, scored_by: str, found: Learning) -> None:
        self.told.append(found)
        self.threshold = found.threshold


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(Secret(f"sqlite:///{tmp_path / 'v.db'}"), tmp_path / "media", ManualClock(NOON, 0.0))
    store.cameras.register("door", "a", "m")
    yield store
    store.close()


def see(store: Store, hours: float, peaks: dict[float, float], scored_by: str = "f" * 64) -> None:
    """Scores of 0.1, twenty seconds each, up to now; `peaks`: by the hours before now."""
    count = round(hours * HOUR / LENGTH_S)
    scores = [0.1] * count
    for before, score in peaks.items():
        scores[count - round(before * HOUR / LENGTH_S)] = score
    rows = [
        ScoreRow(store.clock.now() - (count - place) * LENGTH_S, LENGTH_S, score, (1.0,))
        for place, score in enumerate(scores)
    ]
    store.scores.add("door", "m", ("fight",), rows, scored_by)


def look(store: Store, engine: Watched) -> Learning:
    Learner(engine, store, store.clock, lambda sentence: None).look()
    found = engine.told[-1]
    return Learning(found.state, round(found.threshold, 5), round(found.quiet_hours, 5))


def test_before_an_hour_has_passed_nothing_is_moved(store: Store) -> None:
    engine = Watched()
    assert look(store, engine) == Learning("learning", 0.5, 0.0)
    see(store, 0.5, {0.2: 0.9})
    assert look(store, engine) == Learning("learning", 0.5, 0.5)
    assert store.learnt.of("door") == []


def test_few_hours_bear_one_alert_and_a_day_bears_two(store: Store) -> None:
    """Twelve hours: (1 + 1) / 12 is twice what they vouch for, so the highest of 0.8 and 0.6 may alert, and 0.6 not.

    With 30 hours three a day is asked for: (2 + 1) / 30 <= 3 / 24 < (3 + 1) / 30, so two may alert: 0.7 is the lowest.
    """
    engine = Watched()
    see(store, 12, {2.0: 0.8, 5.0: 0.6})
    assert look(store, engine) == Learning("learning", 0.6, 12.0)
    store.clock.advance(18 * HOUR)
    see(store, 18, {1.0: 0.9, 3.0: 0.7})
    assert look(store, engine) == Learning("learnt", 0.7, 30.0)
    assert [(round(one.threshold, 6), round(one.quiet_hours)) for one in store.learnt.of("door")] == [
        (0.6, 12),
        (0.7, 30),
    ]


def test_what_is_learnt_stays_until_another_model_scores(store: Store) -> None:
    engine = Watched()
    see(store, 30, {1.0: 0.9, 3.0: 0.7, 5.0: 0.6})
    learnt = look(store, engine)
    assert (learnt.state, learnt.threshold) == ("learnt", pytest.approx(0.6))
    store.clock.advance(10 * HOUR)
    see(store, 10, dict.fromkeys((1.0, 2.0, 3.0, 4.0), 0.95))
    assert look(store, engine) == learnt
    assert look(store, Watched(0.5)) == learnt  # after a restart
    assert len(store.learnt.of("door")) == 1
    engine.learners = lambda: [("door", "e" * 64, OWN)]
    assert look(store, engine) == Learning("learning", 0.5, 0.0)


def test_what_hardly_moves_ends_no_event_and_is_learnt_all_the_same(store: Store) -> None:
    engine = Watched(0.6004)
    see(store, 30, {1.0: 0.9, 3.0: 0.7, 5.0: 0.6})
    assert look(store, engine) == Learning("learnt", 0.6004, 30.0)
    assert [one.threshold for one in store.learnt.of("door")] == [0.6004]


def test_a_confirmed_event_is_no_quiet_hour(store: Store) -> None:
    engine = Watched()
    see(store, 12, {2.0: 0.9, 4.0: 0.8, 6.0: 0.7})
    start = store.clock.now() - 2 * HOUR
    event = EventRecord("e1", "door", start, start + 20, 0.9, start, "fight", {"fight": 1.0}, "ended", "m")
    store.events.upsert(event)
    assert look(store, engine).threshold == pytest.approx(0.8)  # 0.9 alerts
    store.events.add_review("e1", "confirmed")
    assert look(store, engine).threshold == pytest.approx(0.7)  # 0.8 alerts


def test_a_threshold_moves_three_logits_at_most() -> None:
    assert bounded(0.9999, 0.5) == pytest.approx(1 / (1 + math.exp(-3)))
    assert bounded(0.001, 0.5) == pytest.approx(1 / (1 + math.exp(3)))
    assert bounded(0.7, 0.5) == 0.7
    assert 0.0 < bounded(0.5, 1.0) <= 1.0
    assert 0.0 <= bounded(0.5, 0.0) < 1.0


def test_hours_say_what_they_vouch_for() -> None:
    """Half an hour: two an hour; ten hours: 2.4 a day; a day of 24: one."""
    told = "the lowest rate that {} of quiet footage can vouch for is {}"
    assert vouching(0.5) == told.format("30 minutes", "2 an hour") + "; 3 a day take 8 hours"
    assert vouching(4.0) == told.format("4 hours", "6 a day") + "; 3 a day take 8 hours"
    assert vouching(10.0) == told.format("10 hours", "2.4 a day")
    assert vouching(0.0).startswith("there is no quiet footage")


def test_the_engine_learns_what_no_person_set_and_forgets_it_with_the_model(tmp_path: Path) -> None:
    checkpoint().save(tmp_path / "run")
    (tmp_path / "v.mp4").write_bytes(b"")
    engine = Engine()
    with replaced(MotionEncoder):
        live = CameraConfig("door", parse_address("rtsp://127.0.0.1/x"), tmp_path / "run")
        engine.add(live)
        engine.add(replace(live, name="yard", threshold=0.7))
        engine.add(replace(live, name="film", source=parse_address(str(tmp_path / "v.mp4"))))
        ((name, scored_by, own),) = engine.learners()
        assert (name, own.threshold) == ("door", 0.5)
        engine.learn("door", "another model", Learning("learning", 0.9, 3.0))
        assert engine.status("door").learning is None
        engine.learn("door", scored_by, Learning("learning", 0.8, 3.0))
        assert (engine.status("door").threshold, engine.status("door").learning.quiet_hours) == (0.8, 3.0)
        engine.set_threshold("door", 0.6)
        assert engine.learners() == []
        assert engine.status("door").learning is None
        engine.learn("door", scored_by, Learning("learning", 0.8, 3.0))
        assert engine.status("door").threshold == 0.6
        engine.set_threshold("door", None)
        assert engine.status("door").threshold == 0.5
