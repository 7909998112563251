"""What retention deletes and what it keeps: as a property of the plan, and with real files."""

import os
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from live_cases import START, open_store
from manual_clock import ManualClock
from patience import wait_until
from refinevad.apps.live.clock import DAY_S
from refinevad.apps.live.settings.config import RetentionConfig
from refinevad.apps.live.storage.records import EventRecord, ScoreRow
from refinevad.apps.live.storage.retention import MediaFile, Retention, RetentionReport, over_limit
from refinevad.apps.live.storage.store import Store
from refinevad.apps.service.audit import AuditLog
from refinevad.apps.service.running import deleting

FILES = st.lists(
    st.builds(
        MediaFile,
        path=st.uuids().map(str),
        bytes=st.integers(0, 50),
        time=st.integers(0, 9).map(float),
        reviewed=st.booleans(),
        deletable=st.booleans(),
    ),
    max_size=20,
)
KEEP = RetentionConfig(scores_days=30.0, events_days=90.0, reviewed_days=365.0, jobs_days=30.0, media_gb=1000e-9)


@given(files=FILES, limit=st.integers(0, 500))
def test_no_more_is_deleted_than_it_takes_and_the_right_ones(files: list[MediaFile], limit: int) -> None:
    gone = over_limit(files, float(limit))
    kept = [file for file in files if file not in gone]
    size = sum(file.bytes for file in kept)
    assert all(file.deletable for file in gone)
    assert size <= limit or not any(file.deletable for file in kept)
    if gone:  # the last one chosen was still needed
        assert size + gone[-1].bytes > limit
    for lost in gone:
        for other in kept:
            if other.deletable:  # nothing kept is older among its kind, and no unreviewed file outlives a reviewed one
                assert (lost.reviewed, lost.time) <= (other.reviewed, other.time)


def add_event(store: Store, name: str, age_days: float, size: int = 0, **facts: object) -> Path:
    """An event that ended so long before START, with a clip of `size` bytes."""
    start = START - age_days * DAY_S - 10.0
    event = EventRecord(name, "door", start, start + 10.0, 0.9, start + 1.0, "fall", {"fall": 1.0}, "ended", "runs/a")
    path = store.media / "clips" / f"{name}.mp4"
    path.write_bytes(b"x" * size)
    store.events.upsert(replace(event, clip=f"clips/{name}.mp4", **facts))  # type: ignore[arg-type]
    return path


def names(store: Store) -> list[str]:
    return sorted(found.event.id for found in store.events.find())


def test_age_deletes_events_scores_and_jobs_with_their_files(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.scores.add("door", "runs/a", (), [ScoreRow(START - days * DAY_S, 0.64, 0.5) for days in (31.0, 29.0)])
    clips = {name: add_event(store, name, days) for name, days in (("old", 91.0), ("young", 89.0), ("labelled", 91.0))}
    add_event(store, "ancient label", 366.0, id="ancient")
    add_event(store, "open", 200.0, state="open")
    for reviewed in ("labelled", "ancient"):
        store.events.add_review(reviewed, "dismissed")
    clock = store.clock
    assert isinstance(clock, ManualClock)
    clock.jump(-31 * DAY_S)
    job, waiting = store.jobs.create("a.mp4", ".mp4"), store.jobs.create("b.mp4", ".mp4")
    store.jobs.update(job.id, "done")
    clock.jump(31 * DAY_S)
    upload = store.media / "uploads" / job.file
    upload.write_bytes(b"x")
    report = Retention(store, KEEP).run()
    assert names(store) == ["labelled", "open", "young"]
    assert {name: path.exists() for name, path in clips.items()} == {"old": False, "young": True, "labelled": True}
    assert [job.id for job in store.jobs.all()] == [waiting.id]
    assert not upload.exists()
    assert len(store.scores.between("door", 0.0, START).time) == 1
    assert report == RetentionReport(scores=1, events=2, jobs=1, files=3, stuck=0)
    assert Retention(store, KEEP).run() == RetentionReport()


def test_size_takes_unreviewed_clips_first_and_leaves_the_rows(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    sizes = {"a": 50.0, "b": 40.0, "c": 30.0, "d": 20.0, "e": 10.0}  # name -> age; a is the oldest
    clips = {name: add_event(store, name, days, size=400) for name, days in sizes.items()}
    store.events.add_review("a", "confirmed")
    store.events.upsert(replace(store.events.get("b").event, state="open"))  # type: ignore[union-attr]
    add_event(store, "live", 60.0, size=400, state="open")
    Retention(store, KEEP).run()  # 2400 bytes, 1000 allowed: 4 clips must go; "live" may not, and "a" only as the last
    assert [name for name, path in clips.items() if path.exists()] == ["a"]
    assert (store.media / "clips" / "live.mp4").exists()
    assert names(store) == ["a", "b", "c", "d", "e", "live"]
    found = {name: store.events.get(name) for name in sizes}
    assert {name: event.event.clip for name, event in found.items() if event} == {
        "a": "clips/a.mp4",
        **dict.fromkeys("bcde"),
    }


def test_reviewed_clips_go_when_nothing_else_is_left(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    older, newer = add_event(store, "older", 9.0, size=600), add_event(store, "newer", 8.0, size=600)
    for name in ("older", "newer"):
        store.events.add_review(name, "confirmed")
    Retention(store, KEEP).run()
    assert (older.exists(), newer.exists()) == (False, True)


def test_files_of_nobody_go_after_an_hour(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for name, age in (("lost", 3700.0), ("being written", 100.0)):
        path = store.media / "clips" / f"{name}.mp4"
        path.write_bytes(b"x" * 2000)
        os.utime(path, (START - age, START - age))
    (store.media / "clips" / "link.mp4").symlink_to(tmp_path / "live.db")
    Retention(store, KEEP).run()
    assert sorted(path.name for path in (store.media / "clips").iterdir()) == ["being written.mp4", "link.mp4"]


def test_a_file_that_is_stuck_keeps_its_event(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    path = add_event(store, "old", 91.0)
    path.unlink()
    path.mkdir()  # cannot be unlinked
    assert Retention(store, KEEP).run() == RetentionReport(stuck=1)
    assert names(store) == ["old"]


def test_files_that_are_stuck_are_told_of(tmp_path: Path) -> None:
    store, said = open_store(tmp_path), list[str]()
    path = add_event(store, "old", 91.0)
    path.unlink()
    path.mkdir()
    with deleting(
        Retention(store, KEEP),
        AuditLog(tmp_path / "audit.db", ManualClock(), said.append, days=9.0, most=9),
        said.append,
    ):
        wait_until(lambda: bool(said), "the first round")
    assert said == ["retention: 1 files are due to go and cannot be deleted; look at the media folder"]


def test_a_clock_set_forward_deletes_nothing(tmp_path: Path) -> None:
    clock = ManualClock(wall_s=START)
    store = open_store(tmp_path, clock=clock)
    add_event(store, "young", 1.0)
    retention = Retention(store, KEEP)
    clock.jump(3650 * DAY_S)
    retention.run()
    assert names(store) == ["young"]
    clock.jump(-3650 * DAY_S)
    clock.advance(90 * DAY_S)
    retention.run()
    assert names(store) == []


def bytes_of(store: Store) -> int:
    """Size of a SQLite database, by its own pages."""
    with store.database.read() as connection:
        pages, size = (connection.execute(text(f"PRAGMA {what}")).scalar_one() for what in ("page_count", "page_size"))
    return int(pages) * int(size)


def test_the_database_gives_room_back(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.scores.add("door", "runs/a", (), [ScoreRow(START + i, 1.0, 0.5) for i in range(20_000)])
    full = bytes_of(store)
    store.scores.delete_before(START + 1e6)
    store.database.reclaim()
    assert bytes_of(store) < full / 4


def test_uploads_take_no_clips_place(tmp_path: Path) -> None:
    """However large they are, and whether or not they can be deleted yet."""
    store = open_store(tmp_path)
    clip = add_event(store, "unreviewed", 20.0, size=900)
    files = {}
    for name, state in (("running", "running"), ("done", "done"), ("fresh", "done")):
        job = store.jobs.create(name, ".mp4")
        store.jobs.update(job.id, state)  # type: ignore[arg-type]
        files[name] = store.media / "uploads" / job.file
        files[name].write_bytes(b"x" * 700)
    incoming = store.media / "uploads" / "incoming-1"
    incoming.write_bytes(b"x" * 5000)
    for path, age in ((files["running"], 3000.0), (files["done"], 2000.0), (files["fresh"], 10.0), (incoming, 5.0)):
        os.utime(path, (START - age, START - age))
    Retention(store, replace(KEEP, uploads_gb=6500e-9)).run()  # 7,100 bytes: one of those that are analysed must go
    assert clip.exists()
    assert [path.exists() for path in (files["running"], files["done"], files["fresh"], incoming)] == [True, False] + [
        True
    ] * 2
    os.utime(incoming, (START - 3700.0, START - 3700.0))  # left by a process that was killed
    Retention(store, replace(KEEP, uploads_gb=1500e-9)).run()
    assert [path.exists() for path in (files["running"], files["fresh"], incoming)] == [True, True, False]
    assert clip.exists()
