"""Scores as they were given, one row a segment, and what pages draw of them."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Integer, cast, delete, func, select

from refinevad.apps.live import tables
from refinevad.apps.live.cameras import CameraRegistry
from refinevad.apps.live.database import Database, StorageError
from refinevad.apps.live.records import ScoreBuckets, ScoreCurve, ScoreRow
from refinevad.errors import InputError

BUFFERED_ROWS = 50_000  # nine hours of one camera, while the database is away
_PACKED = np.dtype("<f2")
_DELETE_SPAN_S = 6 * 3600.0  # retention lets other writers in between deletions


class ScoreLog:
    """Stored scores of all cameras."""

    def __init__(self, database: Database, cameras: CameraRegistry) -> None:
        self._database, self._cameras = database, cameras

    def add(self, camera: str, run: str, categories: Sequence[str], rows: Sequence[ScoreRow]) -> None:
        """Store a batch of one camera; a row already there is left as it is, so that a batch may come twice.

        Raises:
            InputError: the camera is not known, or a row has another number of categories.
            StorageError: nothing of the batch was stored.
        """
        if not rows:
            return
        if any(len(row.categories) != len(categories) for row in rows):
            raise InputError(f"camera {camera!r}: a score has not one number for each of {len(categories)} categories")
        camera_id, model_id = self._cameras.id_of(camera), self._cameras.model_id(run, categories)
        values: list[dict[str, Any]] = [
            {
                "camera_id": camera_id,
                "time": row.time,
                "length_s": row.length_s,
                "score": row.score,
                "model_id": model_id,
                "categories": np.asarray(row.categories, dtype=_PACKED).tobytes(),
            }
            for row in rows
        ]
        with self._database.write() as connection:
            connection.execute(self._database.insert(tables.scores).on_conflict_do_nothing(), values)

    def between(self, camera: str, start: float, end: float) -> ScoreCurve:
        """Segments that begin in [start, end), in order; categories of all their models, NaN where one lacks it."""
        scores, models = tables.scores.c, tables.models.c
        query = (
            select(scores.time, scores.length_s, scores.score, scores.model_id, scores.categories)
            .where(scores.camera_id == self._cameras.id_of(camera), scores.time >= start, scores.time < end)
            .order_by(scores.time)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            used = sorted({row.model_id for row in rows})
            found = connection.execute(select(models.id, models.categories).where(models.id.in_(used))).all()
        names_of = {row.id: tuple(row.categories) for row in found}
        names = tuple(dict.fromkeys(name for number in used for name in names_of[number]))
        categories = np.full((len(rows), len(names)), np.nan)
        model = np.array([row.model_id for row in rows], dtype=np.int64)
        for number in used:
            own = np.flatnonzero(model == number)
            packed = np.frombuffer(b"".join(row.categories for row in rows if row.model_id == number), dtype=_PACKED)
            columns = np.array([names.index(name) for name in names_of[number]], dtype=np.int64)
            categories[np.ix_(own, columns)] = packed.reshape(len(own), len(columns))
        return ScoreCurve(
            np.array([row.time for row in rows], dtype=np.float64),
            np.array([row.length_s for row in rows], dtype=np.float64),
            np.array([row.score for row in rows], dtype=np.float64),
            names,
            categories,
        )

    def buckets(self, camera: str, start: float, end: float, count: int = 1440) -> ScoreBuckets:
        """A stretch (a day: a bucket a minute) in `count` equal buckets, so that no peak is lost in drawing.

        A segment belongs to the bucket in which it begins.
        """
        if not (end > start and count >= 1):
            raise InputError("a stretch of scores must last and have at least one bucket")
        scores, width = tables.scores.c, (end - start) / count
        place = (scores.time - start) / width
        # SQLite cuts off where PostgreSQL rounds; both floor here, as the places are not negative
        bucket = cast(place if self._database.sqlite else func.floor(place), Integer)
        query = (
            select(bucket, func.max(scores.score), func.avg(scores.score), func.count())
            .where(scores.camera_id == self._cameras.id_of(camera), scores.time >= start, scores.time < end)
            .group_by(bucket)
        )
        highest, mean = np.full(count, np.nan), np.full(count, np.nan)
        number = np.zeros(count, dtype=np.int64)
        with self._database.read() as connection:
            for index, high, average, rows in connection.execute(query):
                place_in = min(int(index), count - 1)  # rounding may put a last moment at the end itself
                highest[place_in] = np.fmax(highest[place_in], high)
                before = number[place_in]
                mean[place_in] = average if not before else (mean[place_in] * before + average * rows) / (before + rows)
                number[place_in] += rows
        return ScoreBuckets(start + width * np.arange(count), width, highest, mean, number)

    def newest(self, camera: str) -> float | None:
        """When the last stored segment began."""
        query = select(func.max(tables.scores.c.time)).where(tables.scores.c.camera_id == self._cameras.id_of(camera))
        with self._database.read() as connection:
            time: float | None = connection.execute(query).scalar_one()
        return time

    def delete_before(self, time: float) -> int:
        """Delete segments that begin before `time`; return how many."""
        scores, deleted = tables.scores.c, 0
        for camera in self._cameras.all(removed=True):
            while True:
                with self._database.write() as connection:
                    oldest = select(func.min(scores.time)).where(scores.camera_id == camera.id)
                    first: float | None = connection.execute(oldest).scalar_one()
                    if first is None or first >= time:
                        break
                    until = min(first + _DELETE_SPAN_S, time)
                    gone = delete(tables.scores).where(scores.camera_id == camera.id, scores.time < until)
                    deleted += connection.execute(gone).rowcount
        return deleted


class ScoreBuffer:
    """Scores of one camera on their way to storage: written in batches, held while the database is away.

    Bounded: of more than `BUFFERED_ROWS` the oldest go and are counted in `dropped`. What is not yet flushed is lost
    with the process; events, which must not be, take the outbox.
    """

    def __init__(self, log: ScoreLog, camera: str, run: str, categories: Sequence[str]) -> None:
        self._log, self._camera, self._run, self._categories = log, camera, run, tuple(categories)
        self._rows: deque[ScoreRow] = deque()
        self._lock, self._flushing = threading.Lock(), threading.Lock()
        self.dropped = 0
        self.trouble = ""  # why what there is could not be written

    def __len__(self) -> int:
        return len(self._rows)

    def push(self, row: ScoreRow) -> None:
        with self._lock:
            self._rows.append(row)
            if len(self._rows) > BUFFERED_ROWS:
                self._rows.popleft()
                self.dropped += 1

    def flush(self) -> bool:
        """Write what there is; False where the database is away and the rows wait on."""
        with self._flushing:
            with self._lock:
                rows = list(self._rows)
            try:
                self._log.add(self._camera, self._run, self._categories, rows)
            except (StorageError, InputError) as error:  # InputError: storage was away when the camera was added
                self.trouble = str(error)
                return False
            self.trouble = ""
            written = set(map(id, rows))
            with self._lock:  # meanwhile some may have been dropped at the front and others have come at the back
                while self._rows and id(self._rows[0]) in written:
                    self._rows.popleft()
            return True
