"""Stored events and what people said of them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, Select, case, delete, func, insert, select, update

from refinevad.apps.live.clock import Clock
from refinevad.apps.live.storage import tables
from refinevad.apps.live.storage.cameras import CameraRegistry
from refinevad.apps.live.storage.database import Database
from refinevad.apps.live.storage.records import EventRecord, EventState, Review, ReviewedEvent, Verdict
from refinevad.errors import InputError

# no ; and no line end, which mean something in videos.csv
_CATEGORY = re.compile(r"\w(?:[\w .&/'()-]{0,98}[\w)])?")
EVENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # also a file's name
_OPEN: tuple[EventState, ...] = ("new", "open")
# a state is never taken back: what is delivered late or twice changes nothing. An end that was still on its way when a
# restart closed the event is nevertheless its true end.
_RANK: dict[EventState, int] = {"new": 0, "open": 1, "closed-by-restart": 2, "ended": 3}


class EventLog:
    """Events of all cameras, and their reviews."""

    def __init__(self, database: Database, cameras: CameraRegistry, clock: Clock) -> None:
        self._database, self._cameras, self._clock = database, cameras, clock

    def upsert(self, event: EventRecord) -> None:
        """Store an event or its newer state; an older state than the stored one is ignored. None erases no file.

        Raises:
            InputError: the camera is not known, the id is no plain name, or a path leads out of the media folder.
            StorageError: nothing was stored.
        """
        if not EVENT_ID.fullmatch(event.id):
            raise InputError(f"event id {event.id!r}: use at most 64 letters, digits, - and _")
        for path in (event.clip, event.snapshot):
            _check_inside(path)
        values: dict[str, Any] = {
            "camera_id": self._cameras.id_of(event.camera),
            "start": event.start,
            "end": event.end,
            "peak": event.peak,
            "peak_time": event.peak_time,
            "category": event.category,
            "probabilities": dict(event.probabilities),
            "state": event.state,
            "model": event.model,
            "reason": event.reason,
        }
        files = {"clip": event.clip, "snapshot": event.snapshot, "located": event.located}
        statement = self._database.insert(tables.events).values(id=event.id, **values, **files)
        old, new = tables.events.c, statement.excluded
        kept: dict[str, ColumnElement[Any]] = {name: func.coalesce(new[name], old[name]) for name in files}
        # a true end after a restart's has its own reason, or none; else what is known stays
        restarted = old.state == "closed-by-restart"
        kept["reason"] = case((restarted, new.reason), else_=func.coalesce(new.reason, old.reason))
        statement = statement.on_conflict_do_update(
            index_elements=["id"], set_={**values, **kept}, where=_rank(new["state"]) >= _rank(old.state)
        )
        with self._database.write() as connection:
            connection.execute(statement)

    def drop_files(self, event: str) -> None:
        """Forget an event's files once they are deleted."""
        self._update(event, {"clip": None, "snapshot": None})

    def _update(self, event: str, values: dict[str, Any]) -> None:
        with self._database.write() as connection:
            connection.execute(update(tables.events).where(tables.events.c.id == event).values(**values))

    def get(self, event: str) -> ReviewedEvent | None:
        with self._database.read() as connection:
            row = connection.execute(_with_review().where(tables.events.c.id == event)).one_or_none()
        return None if row is None else _reviewed(row._asdict())

    def find(
        self,
        *,
        camera: str | None = None,
        start: float | None = None,
        end: float | None = None,
        category: str | None = None,
        states: Sequence[EventState] = (),
        verdict: Verdict | None = None,
        reviewed: bool | None = None,
        limit: int = 1000,
        skip: int = 0,
    ) -> list[ReviewedEvent]:
        """Events that touch [start, end), newest first. `category` is the reviewer's where it was relabelled."""
        events, conditions = tables.events.c, list[ColumnElement[bool]]()
        if camera is not None:
            conditions.append(events.camera_id == self._cameras.id_of(camera))
        if start is not None:
            conditions.append(events.end >= start)
        if end is not None:
            conditions.append(events.start < end)
        if category is not None:
            conditions.append(func.coalesce(_LATEST.c.category, events.category) == category)
        if states:
            conditions.append(events.state.in_(states))
        if verdict is not None:
            conditions.append(_LATEST.c.verdict == verdict)
        if reviewed is not None:
            conditions.append(_LATEST.c.id.is_not(None) if reviewed else _LATEST.c.id.is_(None))
        query = _with_review().where(*conditions).order_by(events.start.desc(), events.id).limit(limit).offset(skip)
        with self._database.read() as connection:
            return [_reviewed(row._asdict()) for row in connection.execute(query)]

    def ended_before(self, time: float, reviewed: bool) -> list[EventRecord]:
        """Events that are over and ended before `time`, oldest first."""
        events = tables.events.c
        given = _LATEST.c.id.is_not(None) if reviewed else _LATEST.c.id.is_(None)
        query = _with_review().where(events.end < time, events.state.not_in(_OPEN), given).order_by(events.end)
        with self._database.read() as connection:
            return [_reviewed(row._asdict()).event for row in connection.execute(query)]

    def with_files(self) -> list[ReviewedEvent]:
        """Events that have a clip or a snapshot, oldest first."""
        events = tables.events.c
        query = _with_review().where(events.clip.is_not(None) | events.snapshot.is_not(None))
        with self._database.read() as connection:
            return [_reviewed(row._asdict()) for row in connection.execute(query.order_by(events.start, events.id))]

    def close_open(self, reason: str) -> list[EventRecord]:
        """Close what a stopped process left open, as `closed-by-restart`; return the events as they are now."""
        with self._database.write() as connection:
            rows = connection.execute(_with_review().where(tables.events.c.state.in_(_OPEN))).all()
            left = [_reviewed(row._asdict()).event for row in rows]
            closing = update(tables.events).where(tables.events.c.id.in_([event.id for event in left]))
            if left:
                connection.execute(closing.values(state="closed-by-restart", reason=reason))
        return [replace(event, state="closed-by-restart", reason=reason) for event in left]

    def delete(self, event: str) -> None:
        """Delete an event with its reviews. Its files are the caller's."""
        with self._database.write() as connection:
            connection.execute(delete(tables.events).where(tables.events.c.id == event))

    def add_review(
        self, event: str, verdict: Verdict, reviewer: str = "", category: str | None = None, note: str = ""
    ) -> Review:
        """Add a verdict; those before it stay in the history.

        Raises:
            InputError: the event is not there, or a category is missing, of no use, or given where none belongs.
        """
        return self.add_reviews([event], verdict, reviewer, category, note)[0]

    def add_reviews(
        self, events: Sequence[str], verdict: Verdict, reviewer: str = "", category: str | None = None, note: str = ""
    ) -> list[Review]:
        """One verdict on many events: on all of them or, where it raises, on none. As `add_review`."""
        _check_verdict(verdict, category)
        known, made, now = tables.events.c.id, list[Review](), self._clock.now()
        values = {"verdict": verdict, "time": now, "reviewer": reviewer[:100], "category": category, "note": note}
        with self._database.write() as connection:
            for event in dict.fromkeys(events):
                if connection.execute(select(known).where(known == event)).one_or_none() is None:
                    raise InputError(f"event not found: {event}")
                statement = insert(tables.reviews).values(event_id=event, **values).returning(tables.reviews.c.id)
                number = connection.execute(statement).scalar_one()
                made.append(Review(event, verdict, now, reviewer[:100], category, note, number))
        return made

    def undo_reviews(self, numbers: Sequence[int]) -> list[str]:
        """Take verdicts back; the ones before them count again. Return the events they were on.

        Raises:
            InputError: one of them is not there, or was taken back before; then none is.
        """
        reviews, events = tables.reviews.c, dict[str, None]()
        with self._database.write() as connection:
            for number in numbers:
                statement = update(tables.reviews).where(reviews.id == number, reviews.undone.is_(None))
                undone = connection.execute(statement.values(undone=self._clock.now()).returning(reviews.event_id))
                if (event := undone.scalar_one_or_none()) is None:
                    raise InputError(f"there is no verdict {number} to take back")
                events[event] = None
        return list(events)

    def reviews(self, event: str) -> list[Review]:
        """All verdicts on an event, oldest first."""
        columns = tables.reviews.c
        query = select(tables.reviews).where(columns.event_id == event).order_by(columns.id)
        with self._database.read() as connection:
            return [_review(row._asdict()) for row in connection.execute(query)]


def _check_verdict(verdict: Verdict, category: str | None) -> None:
    if (verdict == "relabelled") != (category is not None):
        raise InputError("a category belongs to the verdict 'relabelled', and to it alone")
    if category is not None and not _CATEGORY.fullmatch(category):
        raise InputError(f"category {category!r}: use at most 100 letters, digits, space, - _ . / & ' ( )")


def _review(row: dict[str, Any]) -> Review:
    names = ("verdict", "time", "reviewer", "category", "note", "undone")
    return Review(event=row["event_id"], number=row["id"], **{name: row[name] for name in names})


def _check_inside(path: str | None) -> None:
    if path is None:
        return
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path or "\0" in path:
        raise InputError(f"{path!r} must lie in the media folder and be relative to it")


def _rank(state: ColumnElement[str]) -> ColumnElement[int]:
    return case(_RANK, value=state)


def _latest_review() -> Any:
    """Of each event the review with the largest number, of those that were not taken back."""
    counts = select(func.max(tables.reviews.c.id)).where(tables.reviews.c.undone.is_(None))
    newest = counts.group_by(tables.reviews.c.event_id)
    return select(tables.reviews).where(tables.reviews.c.id.in_(newest)).subquery("latest")


_LATEST = _latest_review()


def _with_review() -> Select[Any]:
    return (
        select(
            tables.events,
            tables.cameras.c.name.label("camera"),
            _LATEST.c.verdict,
            _LATEST.c.time.label("review_time"),
            _LATEST.c.reviewer,
            _LATEST.c.category.label("review_category"),
            _LATEST.c.note,
            _LATEST.c.id.label("review_number"),
        )
        .join(tables.cameras, tables.cameras.c.id == tables.events.c.camera_id)
        .outerjoin(_LATEST, _LATEST.c.event_id == tables.events.c.id)
    )


def _reviewed(row: dict[str, Any]) -> ReviewedEvent:
    names = ("id", "camera", "start", "end", "peak", "peak_time", "category", "probabilities", "state", "model")
    event = EventRecord(**{name: row[name] for name in (*names, "clip", "snapshot", "reason", "located")})
    if row["verdict"] is None:
        return ReviewedEvent(event)
    said = {name: row[name] for name in ("verdict", "reviewer", "note")}
    of_review = {name: row[f"review_{name}"] for name in ("time", "category", "number")}
    return ReviewedEvent(event, Review(event.id, **said, **of_review))
