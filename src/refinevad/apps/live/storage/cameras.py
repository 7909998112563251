"""Cameras and models that storage knows, and their numbers in it."""

import hashlib
import json
import threading
from collections.abc import Sequence

from sqlalchemy import Connection, Table, select, update

from refinevad.apps.live.clock import Clock
from refinevad.apps.live.settings.addresses import mask
from refinevad.apps.live.storage import tables
from refinevad.apps.live.storage.database import Database
from refinevad.apps.live.storage.records import CameraRecord
from refinevad.errors import InputError


class CameraRegistry:
    """Cameras by name. A removed camera keeps its number and history; registered again it goes on with them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._ids: dict[str, int] = {}
        self._models: dict[str, int] = {}
        self._lock = threading.Lock()

    def register(self, name: str, source: str, model: str) -> CameraRecord:
        """Make a camera known, or renew what is known of it. Credentials in `source` are masked before it is stored."""
        facts = {"source": mask(source), "model": model, "removed": None}
        insert = self._database.insert(tables.cameras).values(name=name, added=self._clock.now(), **facts)
        with self._database.write() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=facts))
            row = connection.execute(select(tables.cameras).where(tables.cameras.c.name == name)).one()
        with self._lock:
            self._ids[name] = row.id
        return CameraRecord(**row._mapping)

    def remove(self, name: str) -> None:
        """Mark a camera as gone; its scores and events stay as long as retention keeps them."""
        self.id_of(name)
        with self._database.write() as connection:
            known = tables.cameras.c.name == name
            connection.execute(update(tables.cameras).where(known).values(removed=self._clock.now()))

    def all(self, removed: bool = False) -> list[CameraRecord]:
        """Cameras in order of name; with `removed` those that are gone too."""
        query = select(tables.cameras).order_by(tables.cameras.c.name)
        if not removed:
            query = query.where(tables.cameras.c.removed.is_(None))
        with self._database.read() as connection:
            return [CameraRecord(**row._mapping) for row in connection.execute(query)]

    def id_of(self, name: str) -> int:
        """A camera's number. Raises InputError where the name is not known."""
        with self._lock:
            if name in self._ids:
                return self._ids[name]
        with self._database.read() as connection:
            number = _number(connection, tables.cameras, "name", name)
        if number is None:
            raise InputError(f"camera not known: {name!r}")
        with self._lock:
            self._ids[name] = number
        return number

    def knows(self, name: str) -> bool:
        """Whether a camera was ever registered."""
        try:
            self.id_of(name)
        except InputError:
            return False
        return True

    def model_id(self, run: str, categories: Sequence[str], fingerprint: str = "") -> int:
        """Number of the model of a fingerprint; without one, of a run with these category names. Known or new."""
        digest = fingerprint or hashlib.sha256(json.dumps([run, *categories]).encode()).hexdigest()
        with self._lock:
            if digest in self._models:
                return self._models[digest]
        with self._database.write() as connection:
            values = {"run": run, "categories": list(categories), "digest": digest}
            connection.execute(self._database.insert(tables.models).values(**values).on_conflict_do_nothing())
            number = _number(connection, tables.models, "digest", digest)
        assert number is not None
        with self._lock:
            self._models[digest] = number
        return number


def _number(connection: Connection, table: Table, column: str, value: str) -> int | None:
    number: int | None = connection.execute(select(table.c.id).where(table.c[column] == value)).scalar_one_or_none()
    return number
