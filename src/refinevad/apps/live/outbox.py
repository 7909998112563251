"""Envelopes on their way out, kept on disk until they are acknowledged.

A SQLite file of its own, because the database may be what is down. An envelope is written before anyone tries to
deliver it and removed after its sink has acknowledged it; so nothing is lost when a broker is away or the process is
killed, and something may be delivered twice: envelopes carry an id. Of one event a sink gets its envelopes in
order: only the oldest left is ever handed out, and of several events the one tried least often, so that no number of
events which a receiver cannot take holds up the others. The box is bounded by count; when it is full the oldest
envelope goes, whatever its sink, and is counted.
"""

import json
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from refinevad.apps.live.sinks.base import Envelope
from refinevad.errors import InputError, RefineVADError

DEFAULT_CAPACITY = 10_000
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
"""
_ADD_ATTEMPTS = "ALTER TABLE entry ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0"


class OutboxError(RefineVADError):
    """The outbox cannot be written: the disk is full or gone. What was to be put is not on disk."""


@dataclass(frozen=True)
class Entry:
    """An envelope for one sink; numbers rise in the order in which they were put."""

    number: int
    sink: str
    envelope: Envelope


class Outbox:
    """The envelopes not yet acknowledged. Safe to share between threads; one process has it at a time."""

    def __init__(self, path: Path, capacity: int = DEFAULT_CAPACITY) -> None:
        """Raises InputError where the file cannot be made or is none of ours, or another process has it."""
        self.path, self.capacity = path, capacity
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0)
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
            raise InputError(f"outbox {path} cannot be opened: {reason}; name another file") from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise OutboxError(f"outbox {self.path}: {error}") from error

    def put(self, envelope: Envelope, sinks: Iterable[str]) -> None:
        """Write an envelope for each of the sinks; once on disk when this returns. A second time it changes nothing.

        Raises:
            OutboxError: it was written for none of them.
        """
        body = json.dumps(envelope, ensure_ascii=False, allow_nan=False)
        rows = [(sink, envelope["event_id"], envelope["id"], body) for sink in sinks]
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO entry (sink, event, envelope_id, body) VALUES (?, ?, ?, ?)", rows
            )
            (count,) = connection.execute("SELECT count(*) FROM entry").fetchone()
            if count > self.capacity:
                self._drop(
                    connection, "number IN (SELECT number FROM entry ORDER BY number LIMIT ?)", count - self.capacity
                )

    @staticmethod
    def _drop(connection: sqlite3.Connection, which: str, *values: int | str) -> None:
        """Delete entries that nobody acknowledged, and count them."""
        connection.execute(
            f"INSERT INTO dropped SELECT sink, count(*) FROM entry WHERE {which} GROUP BY sink "
            "ON CONFLICT (sink) DO UPDATE SET count = count + excluded.count",
            values,
        )
        connection.execute(f"DELETE FROM entry WHERE {which}", values)

    def heads(self, sink: str, limit: int = 100) -> list[Entry]:
        """The oldest entry of each event for a sink, which may go out now; least tried first, then oldest."""
        query = (
            "SELECT number, body FROM entry WHERE number IN "
            "(SELECT min(number) FROM entry WHERE sink = ? GROUP BY event) ORDER BY attempts, number LIMIT ?"
        )
        with self._transaction() as connection:
            rows = connection.execute(query, (sink, limit)).fetchall()
        return [Entry(number, sink, cast(Envelope, json.loads(body))) for number, body in rows]

    def acknowledge(self, entry: Entry) -> None:
        """Remove what was delivered."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM entry WHERE number = ?", (entry.number,))

    def postpone(self, entry: Entry) -> None:
        """Put what failed behind the other events that wait; kept over a restart."""
        with self._transaction() as connection:
            connection.execute("UPDATE entry SET attempts = attempts + 1 WHERE number = ?", (entry.number,))

    def refuse(self, entry: Entry) -> None:
        """Remove what its receiver will never take, and count it as dropped."""
        with self._transaction() as connection:
            self._drop(connection, "number = ?", entry.number)

    def keep_sinks(self, names: Collection[str]) -> None:
        """Drop, and count, what waits for sinks that are no longer configured."""
        with self._transaction() as connection:
            sinks = [sink for (sink,) in connection.execute("SELECT DISTINCT sink FROM entry").fetchall()]
            for sink in sinks:
                if sink not in names:
                    self._drop(connection, "sink = ?", sink)

    def waiting(self) -> dict[str, int]:
        """Entries not yet acknowledged, by sink."""
        with self._transaction() as connection:
            return dict(connection.execute("SELECT sink, count(*) FROM entry GROUP BY sink").fetchall())

    def dropped(self) -> dict[str, int]:
        """Entries lost since the file was made, by sink: the box was full, refused, or the sink is gone."""
        with self._transaction() as connection:
            return dict(connection.execute("SELECT sink, count FROM dropped").fetchall())
