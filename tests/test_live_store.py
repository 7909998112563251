"""Storage, on SQLite and on a real PostgreSQL: schema, scores, events, reviews, jobs, and a database that goes away."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from live_cases import START, open_store
from manual_clock import ManualClock
from patience import wait_until
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.records import EventRecord, ScoreRow
from refinevad.apps.live.storage.score_log import ScoreBuffer
from refinevad.apps.live.storage.store import Store
from refinevad.apps.live.storage.tables import metadata
from refinevad.errors import InputError
from servers import Program

EVENT = EventRecord(
    "e1", "door", START, START + 5.0, 0.9, START + 2.0, "fall", {"fall": 0.8, "fight": 0.2}, "new", "runs/a"
)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of either kind."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'new folder' / 'live.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store without content, of either kind."""
    url = None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        url = f"postgresql+psycopg://refinevad@127.0.0.1:{server.port}/postgres"  # there from the start
    opened = open_store(tmp_path, url)
    yield opened
    if request.param == "postgres":
        with opened.database.write() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY CASCADE"))
    opened.close()


def test_the_migrated_schema_is_that_of_the_tables(store: Store) -> None:
    with store.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_several_may_open_a_new_database_at_once(url: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda i: Store.open(Secret(url), tmp_path / str(i)), range(4)))
    for store in stores:
        store.cameras.register("door", "/dev/video0", "runs/a")
        assert [camera.id for camera in store.cameras.all()] == [1]
        store.close()


def test_a_newer_schema_is_refused(url: str, tmp_path: Path) -> None:
    store = open_store(tmp_path, url)
    with store.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(InputError, match="newer refinevad"):
        Store.open(Secret(url), tmp_path)


@pytest.mark.parametrize("bad", ["", "live.db", "mysql://h/x", "sqlite://", "sqlite:///:memory:", "oracle+x://h"])
def test_other_databases_are_refused(bad: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="storage"):
        Store.open(Secret(bad), tmp_path)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database\n" * 100)
    with pytest.raises(InputError, match="no database of refinevad"):
        Store.open(Secret(f"sqlite:///{tmp_path / 'notes.txt'}"), tmp_path)


def test_a_camera_keeps_its_number_and_shows_no_password(store: Store) -> None:
    (door,) = store.cameras.all()
    assert door.source == "rtsp://***@10.0.0.5/stream"
    store.cameras.remove("door")
    assert store.cameras.all() == []
    assert [camera.removed for camera in store.cameras.all(removed=True)] == [START]
    again = store.cameras.register("door", "/dev/video0", "runs/b")
    assert (again.id, again.model, again.removed) == (door.id, "runs/b", None)
    with pytest.raises(InputError, match="not known"):
        store.cameras.id_of("yard")


def test_scores_come_back_and_doubles_are_ignored(store: Store) -> None:
    rows = [ScoreRow(START + 0.64 * i, 0.64, i / 10, (i / 20, 1 - i / 20)) for i in range(10)]
    store.scores.add("door", "runs/a", ("fall", "fight"), rows[:6])
    store.scores.add("door", "runs/a", ("fall", "fight"), rows[4:])  # a batch that comes again
    curve = store.scores.between("door", rows[2].time, rows[8].time)
    assert curve.time.tolist() == [row.time for row in rows[2:8]]
    assert curve.score == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    assert curve.category_names == ("fall", "fight")
    assert curve.categories[0] == pytest.approx([0.1, 0.9], abs=1e-3)  # float16
    assert store.scores.newest("door") == rows[-1].time


def test_a_stretch_over_a_model_swap_keeps_to_one_model(store: Store) -> None:
    # the second pair: another training into the same folder, which its fingerprint alone tells
    first = [ScoreRow(START + number, 0.64, 0.9, (0.25, 0.75)) for number in range(3)]
    later = [ScoreRow(START + 3.0 + number, 0.64, 0.1, (0.5, 1.0)) for number in range(2)]
    for runs, fingerprints in ((("runs/a", "runs/b"), ("", "")), (("runs/a", "runs/a"), ("1" * 64, "2" * 64))):
        store.scores.delete_before(START + 100.0)
        store.scores.add("door", runs[0], ("fall", "fight"), first, fingerprints[0])
        store.scores.add("door", runs[1], ("fight", "fire"), later, fingerprints[1])
        curve = store.scores.between("door", START, START + 9.0)  # the newest one's
        assert curve.category_names == ("fight", "fire")
        np.testing.assert_allclose(curve.score, [0.1, 0.1], rtol=1e-6)
        np.testing.assert_array_equal(curve.categories, [[0.5, 1.0], [0.5, 1.0]])
        assert curve.others == 3
        buckets = store.scores.buckets("door", START, START + 6.0, 2)
        np.testing.assert_allclose(buckets.highest, [np.nan, 0.1], rtol=1e-6)
        assert (buckets.count.tolist(), buckets.others) == ([0, 2], 3)
        before = store.scores.between("door", START, START + 3.0)  # a day before the swap shows what scored then
        assert (before.category_names, len(before.time), before.others) == (("fall", "fight"), 3, 0)
        named = store.scores.scorer("door", START, START + 3.0)
        asked = store.scores.between("door", START, START + 9.0, named)
        assert (len(asked.time), asked.others) == (3, 2)
        none = store.scores.between("door", START, START + 9.0, "f" * 64)
        assert (len(none.time), none.category_names, none.others) == (0, (), 5)
    assert store.scores.scorer("door", START + 50.0, START + 60.0) == ""
    with pytest.raises(InputError, match="2 categories"):
        store.scores.add("door", "runs/b", ("fight", "fire"), [ScoreRow(START, 0.64, 0.5, (0.5,))])


def test_buckets_hold_the_highest_score_of_each_stretch(store: Store) -> None:
    # five buckets of 2 s from START; nothing in the third; 1.9999 s still belongs to the first
    times = {0.0: 0.1, 1.0: 0.3, 1.9999: 0.2, 2.0: 0.9, 6.5: 0.4, 9.999: 0.6, 10.0: 1.0, -0.001: 1.0}
    store.scores.add("door", "runs/a", (), [ScoreRow(START + at, 0.64, score) for at, score in times.items()])
    buckets = store.scores.buckets("door", START, START + 10.0, 5)
    np.testing.assert_allclose(buckets.highest, [0.3, 0.9, np.nan, 0.4, 0.6])
    np.testing.assert_allclose(buckets.mean, [0.2, 0.9, np.nan, 0.4, 0.6])
    assert buckets.count.tolist() == [3, 1, 0, 1, 1]
    assert buckets.start.tolist() == [START + at for at in (0.0, 2.0, 4.0, 6.0, 8.0)]


def test_old_scores_are_deleted(store: Store) -> None:
    hours = [ScoreRow(START + 3600.0 * i, 0.64, 0.5) for i in range(48)]
    store.scores.add("door", "runs/a", (), hours)
    assert store.scores.delete_before(START + 3600.0 * 30) == 30
    assert store.scores.between("door", 0.0, 1e12).time.tolist() == [row.time for row in hours[30:]]


def test_an_event_only_moves_forward(store: Store) -> None:
    states = ("new", "open", "ended")
    for i, state in enumerate(states):
        store.events.upsert(replace(EVENT, state=state, end=EVENT.end + i, clip="clips/e1.mp4" if i == 1 else None))
    for late in states[:2]:  # delivered again, out of turn
        store.events.upsert(replace(EVENT, state=late))
    found = store.events.get("e1")
    assert found is not None
    assert found.event == replace(EVENT, state="ended", end=EVENT.end + 2, clip="clips/e1.mp4")
    assert found.review is None


def test_a_restart_closes_what_was_open(store: Store) -> None:
    for name, state in (("a", "new"), ("b", "open"), ("c", "ended")):
        store.events.upsert(replace(EVENT, id=name, state=state))
    closed = store.events.close_open("restart")
    assert sorted((event.id, event.state, event.reason) for event in closed) == [
        ("a", "closed-by-restart", "restart"),
        ("b", "closed-by-restart", "restart"),
    ]
    assert store.events.close_open("restart") == []
    store.events.upsert(replace(EVENT, id="a", state="open"))  # was still on its way: it must not open again
    store.events.upsert(replace(EVENT, id="b", state="ended", end=START + 8.0))  # its true end was still on its way
    states = {found.event.id: found.event.state for found in store.events.find()}
    assert states == {"a": "closed-by-restart", "b": "ended", "c": "ended"}


def test_events_are_found_by_camera_time_category_state_and_verdict(store: Store) -> None:
    store.cameras.register("yard", "/dev/video0", "runs/a")
    log = store.events
    log.upsert(replace(EVENT, id="early", start=START - 20.0, end=START - 10.0, state="ended"))
    log.upsert(replace(EVENT, id="across", start=START - 5.0, end=START + 5.0, state="ended", category="fight"))
    log.upsert(replace(EVENT, id="yard", camera="yard", start=START + 1.0, state="open"))

    def ids(**conditions: object) -> list[str]:
        return [found.event.id for found in log.find(**conditions)]  # type: ignore[arg-type]

    assert ids() == ["yard", "across", "early"]
    assert ids(start=START, end=START + 100.0) == ["yard", "across"]
    assert ids(end=START - 5.0) == ["early"]
    assert ids(camera="yard") == ["yard"]
    assert ids(category="fall") == ["yard", "early"]
    assert ids(states=("ended", "closed-by-restart")) == ["across", "early"]
    assert ids(limit=1, skip=1) == ["across"]
    log.add_review("early", "confirmed", "kim")
    log.add_review("early", "relabelled", "kim", category="fight")
    log.add_review("across", "dismissed")
    assert ids(category="fight") == ["across", "early"]
    assert ids(category="fall") == ["yard"]
    assert ids(verdict="dismissed") == ["across"]
    assert ids(verdict="confirmed") == []  # the latest review counts
    assert ids(reviewed=True) == ["across", "early"]
    assert ids(reviewed=False) == ["yard"]


def test_the_history_of_reviews_is_kept(store: Store) -> None:
    store.events.upsert(EVENT)
    clock = store.clock
    assert isinstance(clock, ManualClock)
    store.events.add_review("e1", "confirmed", "kim", note="saw it")
    clock.jump(-500.0)  # the clock runs back: the latest is still the one given last
    store.events.add_review("e1", "dismissed", "ada")
    history = store.events.reviews("e1")
    assert [(review.verdict, review.reviewer, review.note, review.time - START) for review in history] == [
        ("confirmed", "kim", "saw it", 0.0),
        ("dismissed", "ada", "", -500.0),
    ]
    found = store.events.get("e1")
    assert found is not None
    assert found.review == history[1]
    store.events.delete("e1")
    assert store.events.reviews("e1") == []


@pytest.mark.parametrize("category", ["", " fall", "a;b", "a\nb", "x" * 101, None])
def test_a_relabelling_needs_a_usable_category(category: str | None, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.events.upsert(EVENT)
    with pytest.raises(InputError, match="category"):
        store.events.add_review("e1", "relabelled", category=category)
    with pytest.raises(InputError, match="category"):
        store.events.add_review("e1", "confirmed", category="fall")
    with pytest.raises(InputError, match="not found"):
        store.events.add_review("e2", "confirmed")
    assert store.events.reviews("e1") == []


@pytest.mark.parametrize("path", ["../x.mp4", "/etc/passwd", "clips/../../x", "", "a\\b"])
def test_paths_stay_in_the_media_folder(path: str, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(InputError):
        store.events.upsert(replace(EVENT, clip=path))
    store.events.upsert(EVENT)
    with pytest.raises(InputError):
        store.events.upsert(replace(EVENT, snapshot=path))
    (store.media / "link").symlink_to("/etc")
    with pytest.raises(InputError):
        store.media_path("link/passwd")
    with pytest.raises(InputError, match="event id"):
        store.events.upsert(replace(EVENT, id="../e1"))


def test_a_finished_job_does_not_change(store: Store) -> None:
    job = store.jobs.create("../../my holiday.mp4", ".mp4")
    assert job.file == f"{job.id}.mp4"
    assert store.jobs.update(job.id, "running", 0.5)
    assert store.jobs.update(job.id, "done", 1.0, {"events": [{"start_s": 1.5}]})
    assert not store.jobs.update(job.id, "cancelled")
    done = store.jobs.get(job.id)
    assert done is not None
    assert (done.state, done.progress, done.result, done.error) == ("done", 1.0, {"events": [{"start_s": 1.5}]}, None)
    waiting, running = store.jobs.create("a"), store.jobs.create("b")
    store.jobs.update(running.id, "running")
    assert {job.id for job in store.jobs.unfinished()} == {waiting.id, running.id}
    with pytest.raises(InputError):
        store.jobs.create("a", "/../x")


def test_a_database_may_go_down_and_come_back(postgres: Program, postgres_url: str, tmp_path: Path) -> None:
    store = open_store(tmp_path, postgres_url)
    buffer = ScoreBuffer(store.scores, "door", "runs/a", ("fall",))
    rows = [ScoreRow(START + i, 1.0, 0.5, (0.5,)) for i in range(3)]
    buffer.push(rows[0])
    assert buffer.flush()
    postgres.kill()
    for row in rows[1:]:
        buffer.push(row)
        assert not buffer.flush()
    with pytest.raises(StorageError) as down:
        store.events.upsert(EVENT)
    assert "refinevad@127.0.0.1" in str(down.value)
    postgres.start()
    wait_until(buffer.flush, "PostgreSQL")
    store.events.upsert(EVENT)
    assert len(buffer) == buffer.dropped == 0
    assert store.scores.between("door", START, START + 9.0).time.tolist() == [row.time for row in rows]
    store.close()


def test_a_locked_or_read_only_file_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refinevad.apps.live.storage.database._LOCK_WAIT_MS", 10)
    store = open_store(tmp_path)
    other = sqlite3.connect(tmp_path / "live.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked"):
        store.events.upsert(EVENT)
    assert store.events.find() == []  # readers do not wait for the writer
    other.execute("ROLLBACK")
    other.close()
    store.events.upsert(EVENT)


def test_a_full_buffer_drops_the_oldest_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refinevad.apps.live.storage.score_log.BUFFERED_ROWS", 5)
    store = open_store(tmp_path)
    buffer = ScoreBuffer(store.scores, "door", "runs/a", ())
    for i in range(8):
        buffer.push(ScoreRow(float(i), 1.0, 0.5))
    assert (len(buffer), buffer.dropped) == (5, 3)
    assert buffer.flush()
    assert store.scores.between("door", 0.0, 9.0).time.tolist() == [3.0, 4.0, 5.0, 6.0, 7.0]
