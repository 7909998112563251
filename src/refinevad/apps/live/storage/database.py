"""The database: SQLite in WAL mode by default, PostgreSQL by URL; brought to the newest schema when it is opened."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from refinevad.apps.live.disk import free_mb
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage.database_file import back_up, require_whole
from refinevad.errors import InputError, RefineVADError

MIGRATIONS = Path(__file__).parent / "migrations"
_LEAST_MB = 2.0  # SQLite's own log takes as much before anything is said in it
_LOCK_WAIT_MS = 10_000
_LOCK_PAUSE_S = 0.01
_MIGRATION_LOCK = 0x5EF1_4EAD  # any number of our own: PostgreSQL's name for "one of us is migrating"
_POSTGRES = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


class StorageError(RefineVADError):
    """The database cannot be reached, is locked, full or damaged. What was not written may be tried again."""


class Database:
    """Connections to one database, and transactions on it. Safe to share between threads."""

    def __init__(self, url: Secret) -> None:
        """Raises InputError where the URL is none, or of a database that is not supported."""
        self.url = _check(url.reveal())
        self.sqlite = self.url.get_backend_name() == "sqlite"
        try:
            if self.sqlite:
                Path(self.url.database or "").parent.mkdir(parents=True, exist_ok=True)
                self.engine = create_engine(self.url)
                _prepare_sqlite(self.engine)
            else:
                self.engine = create_engine(self.url, pool_pre_ping=True, pool_timeout=10, connect_args=_POSTGRES)
        except ModuleNotFoundError as error:
            raise InputError("PostgreSQL needs psycopg; pip install 'refinevad[postgres]'") from error
        except OSError as error:
            raise InputError(f"storage {self.shown} cannot be made: {error.strerror}") from error

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises StorageError."""
        with self._translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: all of it is stored or nothing. Raises StorageError."""
        with self._translated(), self.engine.connect() as connection:
            connection = connection.execution_options(refinevad_write=True)
            with connection.begin():
                yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, InterfaceError, PoolTimeoutError) as error:
            if isinstance(error, IntegrityError | DataError | ProgrammingError | NotSupportedError):
                raise  # what was asked was wrong; the others say that the database cannot do it, damaged ones too
            reason = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
            raise StorageError(f"storage {self.shown}: {reason}{self._room()}") from error
        except json.JSONDecodeError as error:  # of a column that is none any more
            raise StorageError(f"storage {self.shown} is damaged: a value is no JSON ({error})") from error

    def _room(self) -> str:
        """What to do where the disk is full; SQLite says as well that it is an I/O error."""
        free = free_mb(Path(self.url.database or "")) if self.sqlite else None
        if free is None or free >= _LEAST_MB:
            return ""
        return f"; its disk is full ({free:.1f} MB are free): free some of it, or choose another folder"

    def insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        """An INSERT with this database's ON CONFLICT."""
        return sqlite.insert(table) if self.sqlite else postgresql.insert(table)

    def migrate(self) -> None:
        """Bring the schema up to date; of several processes one does it and the others wait.

        A file of SQLite is held to be whole first, and copied where its schema changes (database_file.py).

        Raises:
            InputError: the database was made by a newer refinevad, is damaged, or is no database of ours.
            StorageError: it cannot be reached.
        """
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        if self.sqlite:
            newest = ScriptDirectory.from_config(config).get_current_head()
            self._prepare_file(Path(str(self.url.database)), str(newest))
        try:
            with self.write() as connection:
                if not self.sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except CommandError as error:
            raise InputError(
                f"storage {self.shown} was made by a newer refinevad ({error}); update this one or name another storage"
            ) from error
        except DatabaseError as error:
            reason = str(error.orig).split("\n")[0]
            raise InputError(f"storage {self.shown} is no database of refinevad: {reason}") from error

    def _prepare_file(self, path: Path, newest: str) -> None:
        """Before the schema may change. Raises InputError where the file is damaged or cannot be copied."""
        require_whole(path)
        if not path.is_file():
            return
        with self.read() as connection:
            present = MigrationContext.configure(connection).get_current_revision()
            known = present is not None and present != newest
        if known:
            back_up(path, str(present))

    def reclaim(self) -> None:
        """Give pages of deleted rows back to the file system; PostgreSQL does so by itself."""
        if self.sqlite:
            with self._translated(), self.engine.connect() as connection:
                raw = connection.connection.dbapi_connection
                assert raw is not None
                raw.executescript("PRAGMA incremental_vacuum")  # execute() would stop after the first page


def _check(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise InputError("storage is no URL; write sqlite:///file.db or postgresql+psycopg://user@host/name") from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise InputError(f"storage '{url.drivername}' is not supported; use sqlite:/// or postgresql+psycopg://")
    if url.drivername == "sqlite" and (not url.database or url.database == ":memory:"):
        raise InputError("storage in memory would be lost; name a file, sqlite:///file.db")
    return url


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn WAL on. In a new file that does not wait for others who turn it on too, whatever the busy timeout."""
    until = time.monotonic() + _LOCK_WAIT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_LOCK_PAUSE_S)


def _prepare_sqlite(engine: Engine) -> None:
    """WAL: readers never wait for the writer. Writers take the lock when they begin, so that none fails half-way."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        connection.execute(f"PRAGMA busy_timeout = {_LOCK_WAIT_MS}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts only before the first table is made
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last moments, never the file
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("refinevad_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
