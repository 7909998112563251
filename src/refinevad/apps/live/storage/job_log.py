"""Analyses of uploaded files: waiting, running, done."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update

from refinevad.apps.live.clock import Clock
from refinevad.apps.live.storage import tables
from refinevad.apps.live.storage.database import Database
from refinevad.apps.live.storage.records import Job, JobState
from refinevad.errors import InputError


class JobLog:
    """Stored jobs. A finished one (done, failed, cancelled) does not change any more."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def create(self, name: str, suffix: str = "") -> Job:
        """A new job under a generated name; the file is to be stored under `Job.file`. `name` is only ever shown."""
        number, now = uuid.uuid4().hex, self._clock.now()
        if not suffix.removeprefix(".").isalnum() and suffix:
            raise InputError(f"{suffix!r} is no file suffix")
        job = Job(number, name, f"{number}{suffix}", "queued", now, now)
        values = {"id": job.id, "name": name, "file": job.file, "state": job.state, "progress": 0.0}
        with self._database.write() as connection:
            connection.execute(insert(tables.jobs).values(**values, created=now, updated=now))
        return job

    def update(
        self,
        job: str,
        state: JobState,
        progress: float | None = None,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> bool:
        """Set a job's state; False where it is not there or already finished, as a cancelled one is to its worker."""
        given = {"progress": progress, "result": None if result is None else dict(result), "error": error}
        values = {name: value for name, value in given.items() if value is not None}
        active = tables.jobs.c.state.in_(("queued", "running"))
        statement = update(tables.jobs).where(tables.jobs.c.id == job, active)
        with self._database.write() as connection:
            changed = connection.execute(statement.values(state=state, updated=self._clock.now(), **values))
        return changed.rowcount == 1

    def get(self, job: str) -> Job | None:
        with self._database.read() as connection:
            row = connection.execute(select(tables.jobs).where(tables.jobs.c.id == job)).one_or_none()
        return None if row is None else Job(**row._mapping)

    def all(self, limit: int = 100) -> list[Job]:
        """Newest first."""
        query = select(tables.jobs).order_by(tables.jobs.c.created.desc(), tables.jobs.c.id).limit(limit)
        with self._database.read() as connection:
            return [Job(**row._mapping) for row in connection.execute(query)]

    def unfinished(self) -> list[Job]:
        """Jobs queued or running, oldest first."""
        query = select(tables.jobs).where(tables.jobs.c.state.in_(("queued", "running")))
        with self._database.read() as connection:
            return [Job(**row._mapping) for row in connection.execute(query.order_by(tables.jobs.c.created))]

    def finished_before(self, time: float) -> list[Job]:
        """Jobs not touched since, the oldest first."""
        columns = tables.jobs.c
        query = select(tables.jobs).where(columns.updated < time, columns.state.not_in(("queued", "running")))
        with self._database.read() as connection:
            return [Job(**row._mapping) for row in connection.execute(query.order_by(columns.updated))]

    def delete(self, job: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(tables.jobs).where(tables.jobs.c.id == job))
