"""Scores as they were given, one row a segment, and what pages draw of them."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Integer, cast, delete, func, select

from refinevad.apps.live.storage import tables
from refinevad.apps.live.storage.cameras import CameraRegistry
from refinevad.apps.live.storage.database import Database, StorageError
from refinevad.apps.live.storage.records import ScoreBuckets, ScoreCurve, Scorer, ScoreRow
from refinevad.errors import InputError

BUFFERED_ROWS = 50_000  # nine hours of one camera, while the database is away
_PACKED = np.dtype("<f2")
_DELETE_SPAN_S = 6 * 3600.0  # retention lets other writers in between deletions


class ScoreLog:
    """Stored scores of all cameras."""

    def __init__(self, database: Database, cameras: CameraRegistry) -> None:
        self._database, self._cameras = database, cameras

    def add(
        self, camera: str, run: str, categories: Sequence[str], rows: Sequence[ScoreRow], fingerprint: str = ""
    ) -> None:
        """Store a batch of one camera; a row already there is left as it is, so that a batch may come twice.

        `fingerprint`: of the model that scored them; without one they count as those of their run's name.

        Raises:
            InputError: the camera is not known, or a row has another number of categories.
            StorageError: nothing of the batch was stored.
        """
        if not rows:
            return
        if any(len(row.categories) != len(categories) for row in rows):
            raise InputError(f"camera {camera!r}: a score has not one number for each of {len(categories)} categories")
        camera_id, model_id = self._cameras.id_of(camera), self._cameras.model_id(run, categories, fingerprint)
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

    def between(self, camera: str, start: float, end: float, scored_by: str = "") -> ScoreCurve:
        """Segments that begin in [start, end), in order, of one model alone: scores of two cannot be compared.

        `scored_by`: its fingerprint; without one it is the model of the newest segment in the stretch.
        """
        scores, models = tables.scores.c, tables.models.c
        with self._database.read() as connection:
            model, others = self._model_of(connection, camera, start, end, scored_by)
            query = (
                select(scores.time, scores.length_s, scores.score, scores.categories)
                .where(*self._stretch(camera, start, end), scores.model_id == model)
                .order_by(scores.time)
            )
            rows = connection.execute(query).all()
            found = connection.execute(select(models.categories).where(models.id == model)).scalar_one_or_none()
        names = tuple(found or ())
        if any(len(row.categories) != len(names) * _PACKED.itemsize for row in rows):
            raise StorageError(f"storage {self._database.shown} is damaged: a score has not one number for a category")
        packed = np.frombuffer(b"".join(row.categories for row in rows), dtype=_PACKED)
        return ScoreCurve(
            np.array([row.time for row in rows], dtype=np.float64),
            np.array([row.length_s for row in rows], dtype=np.float64),
            np.array([row.score for row in rows], dtype=np.float64),
            names,
            packed.reshape(len(rows), len(names)).astype(np.float64),
            others,
        )

    def scorer(self, camera: str, start: float, end: float) -> str:
        """Fingerprint of the model that scored the newest segment of a stretch; empty where there is none."""
        models = tables.models.c
        with self._database.read() as connection:
            model, _ = self._model_of(connection, camera, start, end, "")
            return str(connection.execute(select(models.digest).where(models.id == model)).scalar_one_or_none() or "")

    def scorers(self, camera: str, start: float, end: float) -> list[Scorer]:
        """The models that scored a stretch, the one of its newest segment first."""
        models, scores = tables.models.c, tables.scores.c
        newest = func.max(scores.time)
        query = select(models.run, models.digest).join(tables.scores, scores.model_id == models.id)
        query = query.where(*self._stretch(camera, start, end)).group_by(models.id, models.run, models.digest)
        with self._database.read() as connection:
            return [Scorer(row.run, row.digest) for row in connection.execute(query.order_by(newest.desc()))]

    def _stretch(self, camera: str, start: float, end: float) -> tuple[ColumnElement[bool], ...]:
        scores = tables.scores.c
        return scores.camera_id == self._cameras.id_of(camera), scores.time >= start, scores.time < end

    def _model_of(
        self, connection: Connection, camera: str, start: float, end: float, scored_by: str
    ) -> tuple[int, int]:
        """Number of the model whose scores of a stretch are meant (-1: there is none), and how many others scored."""
        scores, models = tables.scores.c, tables.models.c
        stretch = self._stretch(camera, start, end)
        counts = select(scores.model_id, func.count(), func.max(scores.time)).where(*stretch).group_by(scores.model_id)
        found = {model: (count, newest) for model, count, newest in connection.execute(counts)}
        if scored_by:
            known = connection.execute(select(models.id).where(models.digest == scored_by)).scalar_one_or_none()
            chosen = -1 if known is None else known
        else:
            chosen = max(found, key=lambda model: found[model][1], default=-1)
        return chosen, sum(count for model, (count, _) in found.items() if model != chosen)

    def buckets(self, camera: str, start: float, end: float, count: int = 1440, scored_by: str = "") -> ScoreBuckets:
        """A stretch (a day: a bucket a minute) in `count` equal buckets, so that no peak is lost in drawing.

        A segment belongs to the bucket in which it begins. Of one model, as `between` has it.
        """
        if not (end > start and count >= 1):
            raise InputError("a stretch of scores must last and have at least one bucket")
        scores, width = tables.scores.c, (end - start) / count
        place = (scores.time - start) / width
        # SQLite cuts off where PostgreSQL rounds; both floor here, as the places are not negative
        bucket = cast(place if self._database.sqlite else func.floor(place), Integer)
        highest, mean = np.full(count, np.nan), np.full(count, np.nan)
        number = np.zeros(count, dtype=np.int64)
        with self._database.read() as connection:
            model, others = self._model_of(connection, camera, start, end, scored_by)
            query = (
                select(bucket, func.max(scores.score), func.avg(scores.score), func.count())
                .where(*self._stretch(camera, start, end), scores.model_id == model)
                .group_by(bucket)
            )
            for index, high, average, rows in connection.execute(query):
                place_in = min(int(index), count - 1)  # rounding may put a last moment at the end itself
                highest[place_in] = np.fmax(highest[place_in], high)
                before = number[place_in]
                mean[place_in] = average if not before else (mean[place_in] * before + average * rows) / (before + rows)
                number[place_in] += rows
        return ScoreBuckets(start + width * np.arange(count), width, highest, mean, number, others)

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

    def __init__(self, log: ScoreLog, camera: str, run: str, categories: Sequence[str], fingerprint: str = "") -> None:
        self._log, self._camera, self._run, self._categories = log, camera, run, tuple(categories)
        self._fingerprint = fingerprint
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
                self._log.add(self._camera, self._run, self._categories, rows, self._fingerprint)
            except (StorageError, InputError) as error:  # InputError: storage was away when the camera was added
                self.trouble = str(error)
                return False
            self.trouble = ""
            written = set(map(id, rows))
            with self._lock:  # meanwhile some may have been dropped at the front and others have come at the back
                while self._rows and id(self._rows[0]) in written:
                    self._rows.popleft()
            return True
