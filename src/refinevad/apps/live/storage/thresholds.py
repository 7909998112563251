"""How the thresholds of cameras were moved: by hand, from quiet hours, or kept at an alert rate."""

from sqlalchemy import insert, select

from refinevad.apps.live.clock import Clock
from refinevad.apps.live.storage import tables
from refinevad.apps.live.storage.database import Database
from refinevad.apps.live.storage.records import ThresholdMove


class ThresholdLog:
    """Every move, also of cameras that are gone."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def add(self, camera: str, before: float | None, after: float | None, why: str, user: str = "") -> None:
        """None: the model's own threshold."""
        values = {"camera": camera, "before": before, "after": after, "why": why, "user": user}
        with self._database.write() as connection:
            connection.execute(insert(tables.thresholds).values(**values, time=self._clock.now()))

    def history(self, camera: str, limit: int = 100) -> list[ThresholdMove]:
        """Newest first."""
        columns = tables.thresholds.c
        query = select(tables.thresholds).where(columns.camera == camera).order_by(columns.id.desc()).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [ThresholdMove(row.time, row.before, row.after, row.why, row.user) for row in rows]
