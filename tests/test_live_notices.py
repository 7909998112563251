"""What was wrong with cameras is kept, and a snooze holds over a restart."""

from pathlib import Path

import pytest

from live_cases import START, open_store
from manual_clock import ManualClock
from refinevad.apps.live.delivery.delivery import Delivery
from refinevad.apps.live.health import Trouble
from refinevad.apps.live.settings.config import LiveConfig, RetentionConfig
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.settings.sink_options import NotifyOptions
from refinevad.apps.live.status import CameraStatus
from refinevad.apps.live.storage.records import TroubleRecord
from refinevad.apps.live.storage.retention import Retention
from refinevad.apps.live.storage.store import Store

DAY_S = 86_400.0


def opened(store: Store, folder: Path, **config: object) -> Delivery:
    return Delivery.open(LiveConfig((), media=folder / "media", outbox=folder / "outbox.db", **config), store)  # type: ignore[arg-type]


def status(*health: Trouble) -> CameraStatus:
    return CameraStatus("door", "rtsp://10.0.0.5", "runs/a", "live", since=START, health=health)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_troubles_are_kept_with_when_they_were(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = str(request.getfixturevalue("postgres_url")) if kind == "postgres" else None
    clock = ManualClock(wall_s=START)
    store = open_store(tmp_path, url, clock)
    frozen, black = (Trouble(name, START + 5, f"it is {name}", f"{name}-1") for name in ("frozen", "black"))
    delivery = opened(store, tmp_path)
    delivery.on_state(status(frozen))
    delivery.on_state(status(frozen, black))
    clock.advance(60.0)
    delivery.on_state(status(black))
    delivery.stop()
    told = {trouble.name: (trouble.camera, trouble.since, trouble.over) for trouble in store.troubles.find()}
    assert told == {"frozen": ("door", START + 5, START + 60), "black": ("door", START + 5, None)}
    store.close()
    clock.advance(60.0)
    again = open_store(tmp_path, url, clock)
    opened(again, tmp_path).stop()  # what it left on is over; what goes on is told as another
    assert {trouble.over for trouble in again.troubles.find()} == {START + 60, START + 120}
    again.troubles.begin(TroubleRecord("frozen-1", "door", "frozen", "again", START + 300))  # delivered twice
    again.troubles.end(TroubleRecord("moved-1", "gate", "moved", "it looks away", START + 10), START + 20)
    assert [trouble.id for trouble in again.troubles.find("gate")] == ["moved-1"]
    assert {trouble.text for trouble in again.troubles.find("door")} == {"it is frozen", "it is black"}
    clock.advance(2 * DAY_S)
    Retention(again, RetentionConfig(events_days=1.0)).run()
    assert again.troubles.find() == []
    again.close()


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Apprise looks for it
def test_a_snooze_and_a_schedule_hold_over_a_restart(tmp_path: Path) -> None:
    pytest.importorskip("apprise", reason="messages need the extra `notify`")
    clock = ManualClock(wall_s=START)
    store = open_store(tmp_path, None, clock)
    store.snoozes.set("me", START + 60)
    store.snoozes.set("me", START + 600)
    store.snoozes.set("gone", START + 600)  # a sink that is not in cameras.toml any more
    store.schedules.set("gone", ("", ()))
    store.schedules.set("me", ("01:00-02:00", ()))
    store.schedules.set("me", ("22:00-06:00", ("sat", "sun")))
    config = {"sinks": (NotifyOptions("me", Secret("json://127.0.0.1:9/")),)}
    for later, until in ((0.0, START + 600), (700.0, 0.0)):
        clock.advance(later)
        delivery = opened(store, tmp_path, **config)
        assert delivery.people()["me"].snoozed_until == until
        arming = delivery.people()["me"].arming
        assert (arming.hours, arming.days) == ("22:00-06:00", ("sat", "sun"))
        delivery.stop(0.0)
    store.close()
