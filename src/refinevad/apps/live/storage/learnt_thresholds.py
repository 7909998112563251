"""Thresholds that were learnt of cameras, and when."""

from sqlalchemy import insert, select

from refinevad.apps.live.clock import Clock
from refinevad.apps.live.storage.cameras import CameraRegistry
from refinevad.apps.live.storage.database import Database
from refinevad.apps.live.storage.records import LearntThreshold
from refinevad.apps.live.storage.tables import learnt_thresholds


class LearntLog:
    """Of all cameras. Every method may raise StorageError, and InputError where the camera is not known."""

    def __init__(self, database: Database, cameras: CameraRegistry, clock: Clock) -> None:
        self._database, self._cameras, self._clock = database, cameras, clock

    def add(self, camera: str, threshold: float, quiet_hours: float, scored_by: str) -> None:
        """Note one that is in force from now on; `scored_by`: the model's fingerprint."""
        values = {"camera_id": self._cameras.id_of(camera), "time": self._clock.now(), "threshold": threshold}
        with self._database.write() as connection:
            connection.execute(insert(learnt_thresholds).values(**values, quiet_hours=quiet_hours, scored_by=scored_by))

    def of(self, camera: str, scored_by: str | None = None) -> list[LearntThreshold]:
        """Those of a camera, oldest first; of one model alone, where it is named."""
        columns = learnt_thresholds.c
        query = select(learnt_thresholds).where(columns.camera_id == self._cameras.id_of(camera)).order_by(columns.id)
        if scored_by is not None:
            query = query.where(columns.scored_by == scored_by)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [LearntThreshold(row.time, row.threshold, row.quiet_hours, row.scored_by) for row in rows]
