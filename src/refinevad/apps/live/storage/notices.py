"""What was wrong with cameras, until when sinks are snoozed, and when they are armed."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update

from refinevad.apps.live.storage import tables
from refinevad.apps.live.storage.database import Database
from refinevad.apps.live.storage.records import TroubleRecord


class TroubleLog:
    """Troubles of all cameras, also of those that are gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, trouble: TroubleRecord) -> None:
        """Store one that has begun; a second time it changes nothing, nor does one that is over begin again."""
        values = {name: getattr(trouble, name) for name in ("id", "camera", "name", "text", "since")}
        statement = self._database.insert(tables.troubles).values(**values).on_conflict_do_nothing()
        with self._database.write() as connection:
            connection.execute(statement)

    def end(self, trouble: TroubleRecord, over: float) -> None:
        """It is over; one that storage has not heard of is stored as over."""
        self.begin(trouble)
        columns = tables.troubles.c
        with self._database.write() as connection:
            ended = update(tables.troubles).where(columns.id == trouble.id, columns.over.is_(None))
            connection.execute(ended.values(over=over))

    def end_all(self, over: float) -> None:
        """What a stopped program left on; one that goes on is told again, as another."""
        with self._database.write() as connection:
            connection.execute(update(tables.troubles).where(tables.troubles.c.over.is_(None)).values(over=over))

    def find(self, camera: str | None = None, limit: int = 100, skip: int = 0) -> list[TroubleRecord]:
        """Newest first."""
        columns = tables.troubles.c
        query = select(tables.troubles).order_by(columns.since.desc(), columns.id).limit(limit).offset(skip)
        if camera is not None:
            query = query.where(columns.camera == camera)
        with self._database.read() as connection:
            return [TroubleRecord(**row._mapping) for row in connection.execute(query)]

    def delete_before(self, time: float) -> int:
        """Delete those that were over before `time`; return how many."""
        with self._database.write() as connection:
            return connection.execute(delete(tables.troubles).where(tables.troubles.c.over < time)).rowcount


class SnoozeLog:
    """Sinks that send nothing for a while, by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, float]:
        """Unix second until which each is snoozed; those that are over, too."""
        with self._database.read() as connection:
            return {row.sink: row.until for row in connection.execute(select(tables.snoozes))}

    def set(self, sink: str, until: float) -> None:
        with self._database.write() as connection:
            connection.execute(delete(tables.snoozes).where(tables.snoozes.c.sink == sink))
            connection.execute(insert(tables.snoozes).values(sink=sink, until=until))


class ScheduleLog:
    """When sinks are armed, where that was changed on the page: hours and days of each, as cameras.toml writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """No days: all of them."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.schedules)).all()
        return {row.sink: (row.hours, tuple(row.days)) for row in rows}

    def set(self, sink: str, schedule: tuple[str, Sequence[str]] | None) -> None:
        """None: as cameras.toml has it."""
        with self._database.write() as connection:
            connection.execute(delete(tables.schedules).where(tables.schedules.c.sink == sink))
            if schedule is not None:
                hours, days = schedule
                connection.execute(insert(tables.schedules).values(sink=sink, hours=hours, days=list(days)))
