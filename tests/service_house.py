"""A service in process for tests: its parts, a client, and a camera called `door`. Its fixtures are a plugin.

Most is imported when a house is built: other tests need neither the extra `service` nor the time that takes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from manual_clock import ManualClock
from refinevad.apps.live.delivery.courier import Backlog
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage.records import EventRecord
from refinevad.apps.service.access_token import TokenHash

if TYPE_CHECKING:
    from refinevad.apps.service.jobs import Analyse

NOON = 1_700_000_000.0
TOKEN = "rvad_for-tests"
OURS = {"X-RefineVAD": "1"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class House:
    """A service with one camera, `door`, its store and its client."""

    def __init__(
        self, folder: Path, token: bool = False, work: "Analyse | None" = None, storage: str = "", **limits: Any
    ) -> None:
        from fastapi.testclient import TestClient

        from analyses import analyse_at_once
        from refinevad.apps.live.storage.store import Store
        from refinevad.apps.service.app import create_app
        from refinevad.apps.service.changes import ChangeLog
        from refinevad.apps.service.settings import ServiceSettings
        from refinevad.apps.service.watched_cameras import WatchedCameras
        from service_parts import StillEngine, make_run

        self.folder, self.clock, self.engine = folder, ManualClock(wall_s=NOON), StillEngine()
        self.run = make_run(folder / "runs" / "first")
        make_run(folder / "runs" / "second", threshold=0.7)
        (folder / "footage").mkdir(parents=True)
        self.store = Store.open(Secret(storage or f"sqlite:///{folder}/live.db"), folder / "media", self.clock)
        self.store.cameras.register("door", "rtsp://***@10.0.0.5/a", "first")
        door = CameraConfig("door", parse_address("rtsp://admin:secret@10.0.0.5/a"), self.run)
        self.changes = ChangeLog(folder / "changes.json")
        self.watch = WatchedCameras(self.engine, self.changes, [door], self.run)
        self.told: list[str] = []
        self.troubles: list[str] = []
        self.people: dict[str, Any] = {}
        self.watch.start(self.told.append)
        settings = ServiceSettings(
            folder,
            TokenHash.of(TOKEN) if token else None,
            runs=folder / "runs",
            roots=(folder / "footage",),
            **{"heartbeat_s": 0.05, **limits},
        )
        self.backlog = [
            Backlog("home", 3, 1, "broker 10.0.0.2:1883: Connection refused"),
            Backlog("database", 0, 0, ""),
        ]
        self.app = create_app(
            self.watch,
            self.store,
            settings,
            work=work or analyse_at_once,
            ready=lambda: self.troubles,
            backlog=lambda: self.backlog,
            people=lambda: self.people,
        )
        self.client = TestClient(self.app, base_url="http://localhost:8600", headers={} if token else OURS)

    def add_event(self, event: str = "e1", start: float = NOON, category: str = "fall", **values: Any) -> None:
        record = EventRecord(
            event,
            "door",
            start,
            start + 4.0,
            0.9,
            start + 1.0,
            category,
            {"fall": 0.75, "fight": 0.25},
            "ended",
            "first",
        )
        self.store.events.upsert(EventRecord(**{**vars(record), **values}))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    with house.client:
        yield house
    house.store.close()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[House]:
    """A service that asks for a token."""
    house = House(tmp_path, token=True)
    with house.client:
        yield house
    house.store.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A service for tests that change nothing."""
    house = House(tmp_path_factory.mktemp("shared"))
    with house.client:
        yield house
    house.store.close()


@pytest.fixture(scope="module")
def shared_locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One that asks for a token, for tests that change nothing."""
    house = House(tmp_path_factory.mktemp("locked"), token=True)
    with house.client:
        yield house
    house.store.close()
