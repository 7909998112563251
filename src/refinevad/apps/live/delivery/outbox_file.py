"""The outbox's file: envelopes in SQLite, in the order in which they came. Raises sqlite3.Error where the disk fails.

A file of its own, because the database may be what is down. When it holds too many, updates go first, which a later
message makes up for, then whole events, oldest first: a receiver is never told the end of what it was not told of.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from refinevad.errors import InputError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sink TEXT NOT NULL,
    event TEXT NOT NULL,
    envelope_id TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    UNIQUE (sink, envelope_id)
);
CREATE INDEX IF NOT EXISTS entry_order ON entry (sink, event, number);
CREATE TABLE IF NOT EXISTS dropped (sink TEXT PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS untold (sink TEXT NOT NULL, event TEXT NOT NULL, PRIMARY KEY (sink, event));
"""
_ADD_ATTEMPTS = "ALTER TABLE entry ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0"
_KIND = "CASE WHEN json_valid(body) THEN json_extract(body, '$.kind') END"
RESERVE_BYTES = 4 << 20  # room for some thousand envelopes, held by a file beside the outbox

Key = tuple[str, str]  # sink, and envelope id or event


@dataclass(frozen=True)
class Row:
    """An envelope for one sink, as stored; `number` rises in the order in which they were put, 0: not stored yet."""

    sink: str
    event: str
    envelope_id: str
    kind: str
    body: str
    attempts: int = 0
    number: int = 0

    @property
    def key(self) -> Key:
        return self.sink, self.envelope_id


@dataclass(frozen=True)
class Writing:
    """What is to be written together.

    Attributes:
        put: rows that are new.
        gone: keys of rows that are done with, and their events.
        tried: how often more delivery of a row was attempted.
        dropped: rows of a sink that were given up.
        untold: events whose `new` a sink will never get; over: those of them that have ended.
    """

    put: tuple[Row, ...] = ()
    gone: tuple[tuple[Key, str], ...] = ()
    tried: tuple[tuple[Key, int], ...] = ()
    dropped: tuple[tuple[str, int], ...] = ()
    untold: frozenset[Key] = frozenset()
    over: frozenset[Key] = frozenset()


class OutboxFile:
    """One process has it at a time. Not safe to share between threads without a lock."""

    def __init__(self, path: Path) -> None:
        """Raises InputError where the file cannot be made or is none of ours, or another process has it."""
        self.path, self._reserve = path, path.with_name(f"{path.name}.reserve")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0)
            # a byte that is no UTF-8 spoils its own row alone
            self._connection.text_factory = lambda content: content.decode("utf-8", "replace")
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing either; events are rare
            self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            if "attempts" not in [column[1] for column in self._connection.execute("PRAGMA table_info(entry)")]:
                self._connection.execute(_ADD_ATTEMPTS)  # a box of an older version
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if "locked" in reason:
                reason = "another refinevad has it open"
            raise InputError(f"outbox {path} cannot be opened: {reason}; free the disk or name another file") from error
        self.keep_reserve()

    def close(self) -> None:
        self._connection.close()

    def write(self, what: Writing, capacity: int) -> "Counter[Key] | None":
        """All of it or nothing, on disk when this returns; then at most `capacity` rows.

        Returns:
            by how many rows each sink's event has changed; None: rows were given up, and all must be counted anew.
        """
        changed: Counter[Key] = Counter()
        with self._transaction() as connection:
            for key, event in what.gone:
                done = connection.execute("DELETE FROM entry WHERE sink = ? AND envelope_id = ?", key)
                changed[key[0], event] -= done.rowcount
            connection.executemany(
                "UPDATE entry SET attempts = attempts + ? WHERE sink = ? AND envelope_id = ?",
                [(times, *key) for key, times in what.tried],
            )
            for row in what.put:
                done = connection.execute(
                    "INSERT OR IGNORE INTO entry (sink, event, envelope_id, body, attempts) VALUES (?, ?, ?, ?, ?)",
                    (row.sink, row.event, row.envelope_id, row.body, row.attempts),
                )
                changed[row.sink, row.event] += done.rowcount
            connection.executemany("INSERT OR IGNORE INTO untold VALUES (?, ?)", list(what.untold))
            connection.executemany("DELETE FROM untold WHERE sink = ? AND event = ?", list(what.over))
            _count(connection, what.dropped)
            held = not what.put or _hold_to(connection, capacity)
        return changed if held else None

    def heads(self, sink: str, limit: int, without: Iterable[str] = ()) -> list[Row]:
        """The oldest row of each event for a sink; least tried first, then oldest. `without`: ids that are left out."""
        left_out = set(without)
        columns = "SELECT sink, event, envelope_id, '', body, attempts, number FROM entry WHERE"  # no kind: not asked
        if not left_out:
            oldest = "number IN (SELECT min(number) FROM entry WHERE sink = ? GROUP BY event)"
            query = f"{columns} {oldest} ORDER BY attempts, number LIMIT ?"
            return [Row(*row) for row in self._connection.execute(query, (sink, limit))]
        first: dict[str, Row] = {}
        for values in self._connection.execute(f"{columns} sink = ? ORDER BY number", (sink,)):
            row = Row(*values)
            if row.envelope_id not in left_out:
                first.setdefault(row.event, row)
        return sorted(first.values(), key=lambda row: (row.attempts, row.number))[:limit]

    def counts(self) -> Counter[Key]:
        """Rows of each sink and event."""
        rows = self._connection.execute("SELECT sink, event, count(*) FROM entry GROUP BY sink, event")
        return Counter({(sink, event): count for sink, event, count in rows})

    def dropped(self) -> Counter[str]:
        """Rows that were given up since the file was made, by sink."""
        return Counter(dict(self._connection.execute("SELECT sink, count FROM dropped").fetchall()))

    def untold(self) -> set[Key]:
        """Events whose `new` a sink will never get, by sink."""
        return set(self._connection.execute("SELECT sink, event FROM untold").fetchall())

    def keep_sinks(self, names: Iterable[str]) -> None:
        """Drop, and count, what waits for sinks that are no longer configured."""
        kept = list(names)
        marks = ", ".join("?" * len(kept))
        with self._transaction() as connection:
            rows = f"FROM entry WHERE sink NOT IN ({marks})"
            _count(connection, connection.execute(f"SELECT sink, count(*) {rows} GROUP BY sink", kept).fetchall())
            connection.execute(f"DELETE {rows}", kept)
            connection.execute(f"DELETE FROM untold WHERE sink NOT IN ({marks})", kept)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    # -- the reserve --------------------------------------------------------------------------------------------------

    def keep_reserve(self) -> bool:
        """Hold room on the disk for envelopes; whether it is held."""
        try:
            if self._reserve.exists() and self._reserve.stat().st_blocks * 512 >= RESERVE_BYTES:
                return True
            free = os.statvfs(self.path.parent)
            if free.f_bavail * free.f_frsize < 2 * RESERVE_BYTES:
                return False
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError:
            self.give_reserve()
            return False
        return True

    def give_reserve(self) -> bool:
        """Free the reserve for what is to be written now; whether there was one."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True


def _count(connection: sqlite3.Connection, dropped: Iterable[tuple[str, int]]) -> None:
    connection.executemany(
        "INSERT INTO dropped VALUES (?, ?) ON CONFLICT (sink) DO UPDATE SET count = count + excluded.count",
        list(dropped),
    )


def _hold_to(connection: sqlite3.Connection, capacity: int) -> bool:
    """Give up what is too much, the oldest updates, then the oldest events whole; whether all could stay."""
    (count,) = connection.execute("SELECT count(*) FROM entry").fetchone()
    fits: bool = count <= capacity
    if not fits:
        updates = f"number IN (SELECT number FROM entry WHERE {_KIND} = 'update' ORDER BY number LIMIT ?)"
        count -= _give_up(connection, updates, count - capacity)
    while count > capacity:
        sink, event = connection.execute("SELECT sink, event FROM entry ORDER BY number LIMIT 1").fetchone()
        kinds = f"SELECT {_KIND} FROM entry WHERE sink = ? AND event = ?"
        kinds_left = {kind for (kind,) in connection.execute(kinds, (sink, event))}
        if "new" in kinds_left and "end" not in kinds_left:  # what follows it must not come alone
            connection.execute("INSERT OR IGNORE INTO untold VALUES (?, ?)", (sink, event))
        count -= _give_up(connection, "sink = ? AND event = ?", sink, event)
    return fits


def _give_up(connection: sqlite3.Connection, which: str, *values: int | str) -> int:
    """Delete rows that nobody acknowledged, and count them; how many."""
    rows = connection.execute(f"SELECT sink, count(*) FROM entry WHERE {which} GROUP BY sink", values).fetchall()
    _count(connection, rows)
    connection.execute(f"DELETE FROM entry WHERE {which}", values)
    return sum(number for _, number in rows)
