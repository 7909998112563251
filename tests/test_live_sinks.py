"""Sinks on stdout, in a folder and in a database, with the faults they may have."""

import io
import json
from pathlib import Path

import pytest

from live_cases import START, envelope, open_store
from manual_clock import ManualClock
from patience import wait_until
from refinevad.apps.live.delivery.courier import Courier
from refinevad.apps.live.delivery.outbox import Outbox
from refinevad.apps.live.delivery.sinks.base import DeliveryError, RefusedError
from refinevad.apps.live.delivery.sinks.database import DatabaseSink
from refinevad.apps.live.delivery.sinks.folder import FolderSink
from refinevad.apps.live.delivery.sinks.stdout import StdoutSink
from refinevad.apps.live.envelope import RESTART
from servers import Program


def test_times_are_utc() -> None:
    item = envelope("update")
    assert item["after"]["start_time"] == item["after"]["start"] == "2023-11-14T22:13:30.000Z"  # START + 10 s
    assert item["after"]["peak_time"] == "2023-11-14T22:13:32.000Z"
    assert item["time"] == "2023-11-14T22:13:34.000Z"
    assert (item["schema_version"], item["kind"], item["before"]) == (2, "update", item["after"])
    assert envelope()["id"] != envelope()["id"]


def test_stdout_gets_a_line_for_each() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="utf-8")
    sent = [envelope(), envelope("end")]
    sink = StdoutSink(stream=stream)
    for item in sent:
        sink.deliver(item)
    assert [json.loads(line) for line in written.getvalue().splitlines()] == sent
    stream.close()
    with pytest.raises(RefusedError):
        sink.deliver(sent[0])
    assert sink.closed


def test_a_folder_holds_the_latest_state_with_its_files(tmp_path: Path) -> None:
    media = tmp_path / "media"
    (media / "clips").mkdir(parents=True)
    (media / "clips" / "e1.mp4").write_bytes(b"clip")
    sink = FolderSink("folder", tmp_path / "out", media)
    sink.deliver(envelope())
    sink.deliver(last := envelope("end", clip="clips/e1.mp4", snapshot="snapshots/gone.jpg"))
    place = tmp_path / "out" / "door" / "2023-11-14" / "e1"
    assert sorted(path.name for path in place.iterdir()) == ["clip.mp4", "event.json"]
    assert json.loads((place / "event.json").read_text()) == last
    assert (place / "clip.mp4").read_bytes() == b"clip"


@pytest.mark.parametrize("names", [("start", "end"), ("start_time", "end_time")], ids=["version 1", "the next one"])
def test_facts_by_the_names_of_either_version_are_stored(names: tuple[str, str], tmp_path: Path) -> None:
    """An outbox that an older version left holds the old ones alone, one of the next version the new ones."""
    item = envelope()
    for name in {"start", "end", "start_time", "end_time"} - set(names):
        del item["after"][name]  # type: ignore[misc]
    FolderSink("folder", tmp_path / "out", tmp_path).deliver(item)
    assert (tmp_path / "out" / "door" / "2023-11-14" / "e1" / "event.json").exists()
    store = open_store(tmp_path)
    DatabaseSink("storage", store).deliver(item)
    (stored,) = store.events.find()
    assert stored.event.start == START + 10.0


def test_a_folder_takes_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "secret").write_text("secret")
    sink = FolderSink("folder", tmp_path / "out", tmp_path / "media")
    for bad in (envelope(camera="../x"), envelope(event="../x"), envelope(clip="../secret")):
        with pytest.raises(RefusedError):
            sink.deliver(bad)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_may_come_back(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    sink = FolderSink("folder", tmp_path / "out", tmp_path)
    with pytest.raises(DeliveryError):
        sink.deliver(envelope())
    (tmp_path / "out").unlink()
    sink.deliver(envelope())


def test_storage_gets_the_event_as_it_stands(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    sink = DatabaseSink("database", store)
    states = []
    for item in (envelope(), envelope("update"), envelope("end", reason=RESTART), envelope("end", clip="clips/e1.mp4")):
        sink.deliver(item)
        found = store.events.get("e1")
        assert found is not None
        states.append(found.event.state)
    assert states == ["new", "open", "closed-by-restart", "ended"]
    event = found.event
    assert (event.start, event.end, event.peak_time) == (START + 10.0, START + 14.0, START + 12.0)
    assert (event.peak, event.category, event.probabilities) == (0.9, "fall", {"fall": 0.75, "fight": 0.25})
    assert (event.camera, event.model, event.clip) == ("door", "runs/a", "clips/e1.mp4")
    sink.deliver(envelope(event="e2", camera="yard"))  # storage was away when the camera was added
    assert [found.event.id for found in store.events.find(camera="yard")] == ["e2"]
    with pytest.raises(RefusedError, match="event id"):
        sink.deliver(envelope(event="../x"))


def test_storage_that_is_down_for_a_while_loses_no_event(postgres: Program, postgres_url: str, tmp_path: Path) -> None:
    store, outbox, clock = open_store(tmp_path, postgres_url), Outbox(tmp_path / "outbox.db"), ManualClock()
    courier = Courier(DatabaseSink("database", store), outbox, clock, chance=lambda: 0.0)
    postgres.kill()
    for item in (envelope(), envelope("update"), envelope("end"), envelope(event="e2")):
        outbox.put(item, ["database"])
    while clock.monotonic() < 30.0:
        clock.advance(courier.step() or 0.0)
    assert outbox.waiting() == {"database": 4}
    postgres.start()

    def emptied() -> bool:
        clock.advance(courier.step() or 0.0)
        return not outbox.waiting()

    wait_until(emptied, "delivery")
    assert {found.event.id: found.event.state for found in store.events.find()} == {"e1": "ended", "e2": "new"}
    store.close()
