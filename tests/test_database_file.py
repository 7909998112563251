"""A damaged database is one sentence and stays as it is; a copy is made before the schema changes."""

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from live_cases import envelope, open_store
from refinevad.apps.cli import main
from refinevad.apps.live.delivery.outbox import Outbox
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage import database_file
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.database_file import BACKUPS_KEPT, back_up, backups_of
from refinevad.apps.live.storage.records import ScoreRow
from refinevad.apps.live.storage.store import Store
from refinevad.errors import InputError, RefineVADError
from small_disk import fill
from watch_cases import checkpoint


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Some hundred pages of scores, closed."""
    store = open_store(tmp_path)
    rows = [ScoreRow(1000.0 + number, 1.0, 0.5, (0.1,) * 13) for number in range(20_000)]
    store.scores.add("door", "runs/a", [f"c{number}" for number in range(13)], rows)
    store.close()
    return tmp_path / "live.db"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def opened(path: Path) -> str:
    """What is said when it is opened as the program opens it."""
    with pytest.raises(InputError) as caught:
        Store.open(Secret(f"sqlite:///{path}"), path.parent / "media")
    return str(caught.value)


@pytest.mark.parametrize("how", ["text", "header", "page", "cut", "zeros", "half"])
def test_a_damaged_file_is_one_sentence_and_is_left_as_it_is(database: Path, how: str) -> None:
    content = bytearray(database.read_bytes())
    if how == "text":
        content = bytearray(b"not a database\n" * 1000)
    elif how == "header":
        content[:100] = b"\xff" * 100
    elif how == "page":
        for page in range(20, 60):
            content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    elif how == "cut":
        content = content[: len(content) * 2 // 3]
    elif how == "zeros":
        content[4096:40_960] = bytes(36_864)
    else:
        content = content[: 4096 + 2048]
    database.write_bytes(content)
    before = digest(database)
    sentence = opened(database)
    assert str(database) in sentence
    assert "left as it is" in sentence
    assert ".recover" in sentence
    assert "\n" not in sentence
    assert digest(database) == before


def test_serve_says_so_and_ends(database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(database.read_bytes())
    content[8192:65_536] = os.urandom(65_536 - 8192)
    database.write_bytes(content)
    checkpoint().save(tmp_path / "run")
    (tmp_path / "cameras.toml").write_text(f'storage = "sqlite:///{database}"\nmodel = "run"\n')
    assert main(["serve", "--config", str(tmp_path / "cameras.toml"), "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert "is damaged" in said
    assert said.count("\n") == 1


def test_the_rescue_that_is_named_brings_the_rows_back(database: Path) -> None:
    """What `.recover` does is sqlite's own; here that the sentence's newest copy opens in its place."""
    copy = back_up(database, "0001")
    database.write_bytes(b"gone")
    assert copy.name in opened(database)
    copy.replace(database)
    store = Store.open(Secret(f"sqlite:///{database}"), database.parent / "media")
    assert len(store.scores.between("door", 0.0, 1e9).time) == 20_000
    store.close()


def to_older(path: Path) -> str:
    """The database as an older refinevad left it: its newest revision undone by name alone."""
    with sqlite3.connect(path) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    connection.close()
    return str(revision)


def test_a_copy_is_made_before_a_migration_and_the_last_few_are_kept(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    revision = to_older(database)
    migrated: list[list[Path]] = []
    monkeypatch.setattr(ScriptDirectory, "get_current_head", lambda script: "later")
    monkeypatch.setattr(command, "upgrade", lambda config, head: migrated.append(backups_of(database)))
    for number in range(BACKUPS_KEPT + 2):
        monkeypatch.setattr(database_file.time, "strftime", lambda *_, number=number: f"2026010{number}T000000")
        Store.open(Secret(f"sqlite:///{database}"), database.parent / "media").close()
        assert len(migrated[-1]) == min(number + 1, BACKUPS_KEPT)  # it was there before the migration began
    assert [copy.name.split("-")[2][:8] for copy in migrated[-1]] == ["20260102", "20260103", "20260104"]
    with sqlite3.connect(migrated[-1][0]) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (revision,)
        assert connection.execute("SELECT count(*) FROM scores").fetchone() == (20_000,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_copy_holds_what_lies_in_the_write_ahead_log(database: Path) -> None:
    store = Store.open(Secret(f"sqlite:///{database}"), database.parent / "media")
    store.scores.add("door", "runs/a", ("x",), [ScoreRow(5.0, 1.0, 0.5, (0.1,))])
    with sqlite3.connect(back_up(database, "0001")) as connection:
        assert connection.execute("SELECT count(*) FROM scores").fetchone() == (20_001,)
    connection.close()
    store.close()


def test_nothing_is_copied_where_nothing_changes(database: Path) -> None:
    Store.open(Secret(f"sqlite:///{database}"), database.parent / "media").close()
    assert backups_of(database) == []


def test_no_migration_without_room_for_the_copy(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic.script import ScriptDirectory

    store = open_store(disk)
    with store.database.write() as connection:
        connection.execute(text("CREATE TABLE filler AS SELECT randomblob(1000000) AS content"))
    store.close()
    ballast = fill(disk)
    os.truncate(ballast, ballast.stat().st_size - 500_000)  # enough to open it, too little for a copy
    monkeypatch.setattr(ScriptDirectory, "get_current_head", lambda script: "later")
    assert "no copy of it can be made" in opened(disk / "live.db")
    assert [path.name for path in disk.iterdir() if "backup" in path.name] == []


def test_a_damaged_outbox_is_one_sentence(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "outbox.db")
    for number in range(200):
        box.put(envelope(event=f"e{number}"), ["a"])
    box.close()
    content = bytearray((tmp_path / "outbox.db").read_bytes())
    for start, end in ((0, 100), (4096, 40_000)):
        broken = bytearray(content)
        broken[start:end] = os.urandom(end - start)
        (tmp_path / "outbox.db").write_bytes(broken)
        with pytest.raises(RefineVADError, match=r"outbox .* (cannot be opened|is damaged)"):
            Outbox(tmp_path / "outbox.db")
        assert (tmp_path / "outbox.db").read_bytes() == broken


def test_a_value_that_is_no_json_any_more_is_told_as_damage(tmp_path: Path) -> None:
    """SQLite holds pages to be whole, not what stands in them."""
    store = open_store(tmp_path)
    store.scores.add("door", "runs/a", ["fall"], [ScoreRow(1000.0, 1.0, 0.5, (0.1,))])
    with store.database.write() as connection:
        connection.execute(text("UPDATE models SET categories = '[\"fa'"))
    with pytest.raises(StorageError, match=r"live\.db is damaged: a value is no JSON"):
        store.scores.between("door", 0.0, 2000.0)
    with store.database.write() as connection:
        connection.execute(text("UPDATE models SET categories = '[\"fall\"]'"))
        connection.execute(text("UPDATE scores SET categories = x'00'"))
    with pytest.raises(StorageError, match=r"live\.db is damaged: a score has not one number"):
        store.scores.between("door", 0.0, 2000.0)
    store.close()
