"""All that is written while cameras run, on a disk that is full: each event is told, and what is lost is said."""

import errno
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import pytest

from fakes import replaced
from live_cases import START, ListSink, envelope, open_store
from patience import patience, wait_until
from refinevad.apps.live import disk as disk_module
from refinevad.apps.live.capture.recorder import ClipRecorder, KeptPacket
from refinevad.apps.live.delivery import delivery as delivery_module
from refinevad.apps.live.delivery.delivery import Delivery
from refinevad.apps.live.delivery.sinks.base import DeliveryError
from refinevad.apps.live.delivery.sinks.database import DatabaseSink
from refinevad.apps.live.delivery.sinks.folder import FolderSink
from refinevad.apps.live.delivery.sinks.stdout import StdoutSink
from refinevad.apps.live.disk import free_mb, too_full
from refinevad.apps.live.engine.engine import Engine, EngineOptions
from refinevad.apps.live.settings.config import LiveConfig, watch_config
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.settings.sink_options import DatabaseOptions, FolderOptions
from refinevad.apps.live.status import ScoreBatch
from refinevad.apps.live.storage import database as database_module
from refinevad.apps.live.storage.cameras import CameraRegistry
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.records import ScoreRow
from refinevad.apps.live.storage.score_log import ScoreBuffer
from refinevad.apps.live.storage.store import Store
from small_disk import fill
from watch_cases import RULE, checkpoint, write_film


@pytest.fixture(autouse=True)
def tiny_encoder() -> Iterator[None]:
    with replaced():
        yield


def test_room_is_told_and_below_the_reserve_no_pictures_are_written(disk: Path) -> None:
    assert free_mb(disk / "not" / "there") == pytest.approx(25.2, abs=0.5)  # 24 MiB
    assert too_full(disk, 20.0) == ""
    assert "below 30 MB events go on" in too_full(disk, 30.0)
    fill(disk)
    assert free_mb(disk) == 0.0
    assert too_full(disk, 0.0) == ""  # none asked for


def test_seven_events_that_begin_and_end_on_a_full_disk_reach_every_sink(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engine, clips, snapshots, outbox, storage, folder: all on one disk that fills up before the first event."""
    checkpoint().save(tmp_path / "run")
    films = [write_film(tmp_path / f"{name}.mp4", 20, seed) for seed, name in enumerate("abc")]
    config = replace(
        watch_config([str(film) for film in films], tmp_path / "run"),
        sinks=(FolderOptions("elsewhere", tmp_path / "kept"), FolderOptions("list", disk), DatabaseOptions()),
        storage=Secret(f"sqlite:///{disk / 'live.db'}"),
        media=disk / "media",
        outbox=disk / "outbox.db",
    )
    store, told = Store.open(config.storage, config.media), list[str]()
    heard = ListSink("list")

    def sinks(config: LiveConfig, store: Store) -> list[object]:
        return [FolderSink("elsewhere", tmp_path / "kept", store.media), heard, DatabaseSink("database", store)]

    monkeypatch.setattr(delivery_module, "open_sinks", sinks)
    delivery = Delivery.open(config, store, told.append)
    options = EngineOptions(window_s=RULE.window_s, delay_s=RULE.delay_s, fast=True, queue_segments=50)
    engine = Engine(options, media=config.media, listeners=[delivery], tell=told.append)
    for camera in config.cameras:
        engine.add(camera)
    (disk / "outbox.db.reserve").unlink()
    ballast = fill(disk)
    engine.start()
    assert engine.wait(120.0)
    engine.stop()
    events = sum(engine.status(film.stem).events for film in films)
    assert events >= 3
    wait_until(lambda: sum(item["kind"] == "end" for item in heard.taken) == events, "every end")
    kinds: dict[str, list[str]] = {}
    for item in heard.taken:
        kinds.setdefault(item["event_id"], []).append(item["kind"])
    assert len(kinds) == events
    assert all(each[0] == "new" and each[-1] == "end" for each in kinds.values())
    wait_until(lambda: len(list((tmp_path / "kept").rglob("event.json"))) == events, "the folder elsewhere")
    troubles = " | ".join(delivery.troubles())
    assert "cannot be written" in troubles
    assert "events go on without clips and snapshots" in troubles
    backlog = {each.sink: each for each in delivery.backlog()}
    assert (backlog["list"].waiting, backlog["list"].lost) == (0, 0)
    assert backlog["database"].held == backlog["database"].waiting > 0
    assert list((disk / "media").rglob("*.mp4")) == list((disk / "media").rglob("*.jpg")) == []
    wait_until(lambda: any("cannot be written" in sentence for sentence in told), "a word of it")
    ballast.unlink()
    wait_until(lambda: not delivery.waiting(), "storage")
    assert {found.event.id for found in store.events.find()} == set(kinds)
    wait_until(lambda: not [each for each in delivery.troubles() if "MB are free" not in each], "all well")
    delivery.stop()
    store.close()


@pytest.mark.parametrize("before", [False, True], ids=["first start", "started before"])
def test_a_service_that_starts_on_a_full_disk_says_so_and_ends(before: bool, disk: Path, tmp_path: Path) -> None:
    data = disk / "data"
    checkpoint().save(tmp_path / "run")
    command = ["serve", "--model", tmp_path / "run", "--data", data, "--port", "0"]
    program = [sys.executable, "-m", "refinevad", *map(str, command)]
    if before:
        Store.open(Secret(f"sqlite:///{data}/refinevad.db"), data / "media").close()
    fill(disk)
    done = subprocess.run(program, capture_output=True, text=True, timeout=patience(120), check=False)
    (sentence,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence.startswith(f"refinevad: error: storage sqlite:///{data}/refinevad.db: ")
    assert sentence.endswith("its disk is full (0.0 MB are free): free some of it, or choose another folder")


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EIO"])
def test_a_folder_that_takes_no_files_still_tells_of_the_event(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "media" / "clips").mkdir(parents=True)
    (tmp_path / "media" / "clips" / "e1.mp4").write_bytes(b"clip")
    sink = FolderSink("kept", tmp_path / "out", tmp_path / "media")
    code = getattr(errno, name)
    with monkeypatch.context() as broken:
        broken.setattr("shutil.copyfile", lambda *_: (_ for _ in ()).throw(OSError(code, os.strerror(code))))
        with pytest.raises(DeliveryError, match=os.strerror(code)):
            sink.deliver(item := envelope("end", clip="clips/e1.mp4"))
    place = tmp_path / "out" / "door" / "2023-11-14" / "e1"
    assert json.loads((place / "event.json").read_text()) == item
    sink.deliver(item)
    assert (place / "clip.mp4").read_bytes() == b"clip"


def test_lines_on_a_full_disk_are_whole_and_none_comes_twice(disk: Path) -> None:
    """Stdout leads to a file there: the line that was cut off by the end of the disk is finished, then the next."""
    path = disk / "lines.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        sink = StdoutSink(stream=stream)  # type: ignore[arg-type]
        sent = [envelope(event=f"e{number}") for number in range(40)]
        for item in sent:
            item["after"]["category"] = "x" * 3000
        sink.deliver(sent[0])
        ballast = fill(disk)
        os.truncate(ballast, ballast.stat().st_size - 10_000)  # room for three lines and a part
        refused = []
        for item in sent[1:]:
            try:
                sink.deliver(item)
            except DeliveryError:
                refused.append(item)
        assert 30 < len(refused) < 39
        ballast.unlink()
        for item in refused[1:] + refused[:1]:  # another before the one that was cut off
            sink.deliver(item)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["event_id"] for line in lines) == sorted(item["event_id"] for item in sent)
    assert not sink.closed


def test_lines_to_a_device_that_is_full_are_tried_again() -> None:
    """The whole program's stdout at /dev/full: the courier lives."""
    code = (
        "import sys\nsys.path.insert(0, sys.argv[1])\n"
        "from live_cases import envelope\n"
        "from refinevad.apps.live.delivery.sinks.base import DeliveryError\n"
        "from refinevad.apps.live.delivery.sinks.stdout import StdoutSink\n"
        "sink = StdoutSink()\n"
        "for _ in range(3):\n"
        "    try:\n        sink.deliver(envelope())\n"
        "    except DeliveryError as error:\n        print(error, file=sys.stderr)\n"
        "import os\nos._exit(0)\n"
    )
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", code, str(Path(__file__).parent)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=True)
    assert done.stderr == "stdout cannot be written: No space left on device\n" * 3


def test_clips_on_a_full_disk_are_whole_or_absent(disk: Path, tmp_path: Path) -> None:
    """With no reserve kept: a clip that comes to nothing says why, leaves nothing behind, and the next one is whole."""
    film = write_film(tmp_path / "film.mp4", 20, 1, size=(640, 480))
    for room, reserve_mb in ((0, 0.0), (3000, 0.0), (0, 10.0)):
        recorder = ClipRecorder(60.0, reserve_mb)
        ballast = fill(disk)
        os.truncate(ballast, ballast.stat().st_size - room)
        record(film, recorder, {50: partial(recorder.begin, "e1", disk / "clips" / "e1.mp4", 0.0)})
        ((event, reason),) = recorder.done
        assert event == "e1"
        assert "No space" in reason or "MB are free" in reason
        assert [path for path in disk.rglob("*") if path.is_file() and path != ballast] == []
        ballast.unlink()
    recorder = ClipRecorder(60.0, 10.0)

    def nearly_fill() -> None:
        os.truncate(disk / "ballast", fill(disk).stat().st_size - 5_000_000)

    record(film, recorder, {50: partial(recorder.begin, "e2", disk / "clips" / "e2.mp4", 0.0), 250: nearly_fill})
    assert recorder.done == [("e2", "")]  # it ended there, with what it had
    with av.open(str(disk / "clips" / "e2.mp4")) as clip:
        assert 225 <= sum(1 for _ in clip.decode(video=0)) <= 275  # the disk is looked at once a second
    recorder = ClipRecorder(60.0, 10.0)
    (disk / "ballast").unlink()
    record(film, recorder, {50: lambda: recorder.begin("e3", disk / "clips" / "e3.mp4", 0.0)})
    assert recorder.done == [("e3", "")]
    with av.open(str(disk / "clips" / "e3.mp4")) as clip:
        assert sum(1 for _ in clip.decode(video=0)) == 500


def record(film: Path, recorder: ClipRecorder, steps: dict[int, Callable[[], object]]) -> None:
    """Push a film's packets; before the n-th one do what `steps[n]` says."""
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        recorder.begin_stream(stream)
        for number, packet in enumerate(container.demux(stream)):
            if number in steps:
                steps[number]()
            if packet.size and packet.pts is not None and packet.time_base is not None:
                kept = KeptPacket.of(packet, float(packet.pts * packet.time_base))
                assert kept is not None
                recorder.push(kept)
        recorder.end_all()


def test_scores_wait_while_storage_is_full_and_say_so(disk: Path) -> None:
    store = open_store(disk)
    buffer = ScoreBuffer(store.scores, "door", "runs/a", ("fall",))
    buffer.push(ScoreRow(START, 1.0, 0.5, (0.1,)))
    assert buffer.flush()
    ballast = fill(disk)
    for number in range(1, 20_000):
        buffer.push(ScoreRow(START + number, 1.0, 0.5, (0.1,)))
    assert not buffer.flush()
    assert "full" in buffer.trouble
    assert len(buffer) == 19_999
    ballast.unlink()
    assert buffer.flush()
    assert (len(buffer), buffer.trouble) == (0, "")
    store.close()


def test_a_camera_that_storage_could_not_note_is_noted_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = watch_config([str(write_film(tmp_path / "yard.mp4", 2))], tmp_path / "run")
    config = replace(config, media=tmp_path / "media", outbox=tmp_path / "outbox.db", sinks=())
    store, told = Store.open(Secret(f"sqlite:///{tmp_path / 'live.db'}"), tmp_path / "media"), list[str]()
    delivery = Delivery.open(config, store, told.append)
    with monkeypatch.context() as away:

        def fail(*_: object) -> None:
            raise StorageError("storage: database is locked")

        away.setattr(CameraRegistry, "register", fail)
        away.setattr(CameraRegistry, "knows", fail)
        delivery.on_camera(config.cameras[0], "runs/a", True)
        delivery.on_event(envelope(camera="yard"))
        wait_until(lambda: any("storage takes no events" in each for each in delivery.troubles()), "trouble")
    wait_until(lambda: not delivery.waiting(), "storage")
    assert [found.event.id for found in store.events.find(camera="yard")] == ["e1"]
    wait_until(lambda: {camera.name: camera.source for camera in store.cameras.all()}.get("yard") != "", "its source")
    assert delivery.troubles() == []
    delivery.stop()
    store.close()


def test_storage_that_somebody_locks_for_long_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_LOCK_WAIT_MS", 100)
    store = Store.open(Secret(f"sqlite:///{tmp_path / 'live.db'}"), tmp_path / "media")
    config = LiveConfig((), media=tmp_path / "media", outbox=tmp_path / "outbox.db")
    delivery = Delivery.open(config, store)
    store.cameras.register("door", "rtsp://10.0.0.5/a", "runs/a")
    other = sqlite3.connect(tmp_path / "live.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    delivery.on_event(envelope())
    delivery.on_scores(ScoreBatch("door", "runs/a", ("fall",), (ScoreRow(START, 1.0, 0.5, (0.1,)),)))
    wait_until(lambda: len(delivery.troubles()) == 2, "trouble with events and scores")
    assert all("locked" in sentence for sentence in delivery.troubles())
    assert str(tmp_path) not in " ".join(delivery.troubles())  # anyone may read them
    delivery.on_event(envelope("end"))
    other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: not delivery.waiting() and not delivery.troubles(), "storage")
    assert [found.event.state for found in store.events.find()] == ["ended"]
    assert len(store.scores.between("door", 0.0, 1e12).time) == 1
    delivery.stop()
    store.close()


def test_a_read_only_file_system_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)
    config = LiveConfig((), media=tmp_path / "media", outbox=tmp_path / "outbox.db")
    delivery = Delivery.open(config, store)
    assert delivery.troubles() == []
    monkeypatch.setattr(delivery_module, "read_only", lambda place: True)
    assert "its file system is read-only" in delivery.troubles()[0]
    delivery.stop()
    store.close()


def test_read_only_file_systems_are_known(disk: Path) -> None:
    assert not disk_module.read_only(disk)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert disk_module.read_only(disk)


def test_stdout_without_a_descriptor_still_gets_lines() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    StdoutSink(stream=stream).deliver(envelope())
    assert json.loads(stream.buffer.getvalue())["event_id"] == "e1"  # type: ignore[attr-defined]
