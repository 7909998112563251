"""Who changed what: a record of every change made through the API, from where and when, bounded in age and number.

A SQLite file of its own beside what was changed, so that changes are on record while the database is away.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refinevad.apps.live.clock import DAY_S, Clock
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.records import Role
from refinevad.files.shown import shown
from refinevad.files.strict_json import parse_json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    address TEXT NOT NULL,
    means TEXT NOT NULL,
    agent TEXT NOT NULL,
    what TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    user TEXT NOT NULL DEFAULT ''
)
"""
_LATER = "ALTER TABLE entry ADD COLUMN user TEXT NOT NULL DEFAULT ''"  # files of a program before there were users
_LONGEST = 200  # of a name or a program's own description


@dataclass(frozen=True)
class By:
    """Where a request came from: the client's address, what it presented, and what program it says it is.

    `user`: who is logged in, empty where nobody is; `role`: what they may do.
    """

    address: str
    means: str
    agent: str
    user: str = ""
    role: Role = "viewer"


@dataclass(frozen=True)
class AuditEntry:
    """One change. `time` in Unix seconds; numbers rise and are never used again."""

    number: int
    time: float
    by: By
    what: str
    subject: str
    detail: dict[str, Any]


class AuditLog:
    """The file, opened for each entry: changes are rare. Safe to share between threads."""

    def __init__(self, path: Path, clock: Clock, tell: Callable[[str], None], days: float, most: int) -> None:
        self._path, self._clock, self._tell, self._days, self._most = path, clock, tell, days, most

    def add(self, by: By, what: str, subject: str = "", **detail: Any) -> None:
        """Record a change that was made; where it cannot be recorded the operator is told."""
        texts = [shown(text[:_LONGEST]) for text in (by.address, by.means, by.agent, by.user, what, subject)]
        try:
            with self._open() as connection:
                connection.execute(
                    "INSERT INTO entry (time, address, means, agent, user, what, subject, detail) "
                    "VALUES (?,?,?,?,?,?,?,?)",
                    (self._clock.now(), *texts, json.dumps(detail)),
                )
                self._expire(connection)
        except (sqlite3.Error, OSError) as error:
            self._tell(f"audit: cannot record in {self._path} that {what} {shown(subject)}: {error}")

    def find(self, limit: int, before: int | None = None) -> list[AuditEntry]:
        """Newest first; `before`: those with smaller numbers alone. Raises StorageError where the file is damaged."""
        if not self._path.exists():
            return []
        try:
            with self._open() as connection:
                rows = connection.execute(
                    "SELECT number, time, address, means, agent, user, what, subject, detail FROM entry "
                    "WHERE (? IS NULL OR number < ?) ORDER BY number DESC LIMIT ?",
                    (before, before, limit),
                ).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"{self._path} cannot be read ({error}); move it away to begin anew") from error
        return [
            AuditEntry(number, time, By(address, means, agent, user), what, subject, _detail(detail))
            for number, time, address, means, agent, user, what, subject, detail in rows
        ]

    def expire(self) -> None:
        """Delete what is too old or too much; every new entry does so too."""
        if self._path.exists():
            try:
                with self._open() as connection:
                    self._expire(connection)
            except (sqlite3.Error, OSError) as error:
                self._tell(f"audit: cannot clear out {self._path}: {error}")

    def _expire(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM entry WHERE time < ?", (self._clock.now() - self._days * DAY_S,))
        connection.execute("DELETE FROM entry WHERE number <= (SELECT max(number) FROM entry) - ?", (self._most,))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():  # made with its mode: addresses are nobody else's business
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
        with closing(sqlite3.connect(self._path, timeout=5.0)) as connection, connection:
            connection.text_factory = lambda content: content.decode("utf-8", "replace")
            connection.execute(_SCHEMA)
            if "user" not in {column for _, column, *_ in connection.execute("PRAGMA table_info(entry)")}:
                connection.execute(_LATER)
            yield connection


def _detail(stored: str) -> dict[str, Any]:
    """What was changed, as it was recorded; nothing where that entry is damaged."""
    try:
        content = parse_json(stored)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
