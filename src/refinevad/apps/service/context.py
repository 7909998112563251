"""What every route works with, and how a request gets at it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock
from typing import Annotated, cast

from fastapi import Depends, HTTPException, Query
from starlette.requests import HTTPConnection

from refinevad.apps.live.delivery.courier import Backlog
from refinevad.apps.live.delivery.sinks.base import PeopleSink
from refinevad.apps.live.storage.store import Store
from refinevad.apps.service.audit import AuditLog, By
from refinevad.apps.service.feed import Feed
from refinevad.apps.service.guesses import Guesses
from refinevad.apps.service.jobs import JobRunner
from refinevad.apps.service.prometheus import Metrics
from refinevad.apps.service.schemas import Moment
from refinevad.apps.service.sessions import Sessions
from refinevad.apps.service.settings import ServiceSettings
from refinevad.apps.service.thresholds import Thresholds
from refinevad.apps.service.watched_cameras import WatchedCamera, WatchedCameras
from refinevad.apps.service.whoever import Whoever


@dataclass(frozen=True)
class Context:
    """One service."""

    watch: WatchedCameras
    store: Store
    settings: ServiceSettings
    sessions: Sessions
    feed: Feed
    jobs: JobRunner
    metrics: Metrics
    guesses: Guesses
    audit: AuditLog
    incoming: BoundedSemaphore
    whoever: Whoever
    thresholds: Thresholds
    ready: Callable[[], list[str]] = list
    backlog: Callable[[], list[Backlog]] = list
    people: Callable[[], Mapping[str, PeopleSink]] = dict
    exporting: Lock = field(default_factory=Lock)
    cutting: Lock = field(default_factory=Lock)  # a stretch of a recording
    looking: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(2))  # cameras being tested

    def camera(self, name: str) -> WatchedCamera:
        """A camera that is watched or paused. Answers 404 where there is none of that name."""
        found = self.watch.find(name)
        if found is None:
            raise HTTPException(404, f"no camera is called {name!r}")
        return found


def _context(connection: HTTPConnection) -> Context:
    return cast(Context, connection.app.state.context)


Here = Annotated[Context, Depends(_context)]


def _by(connection: HTTPConnection) -> By:
    return cast(By, connection.scope["refinevad.by"])


Who = Annotated[By, Depends(_by)]


@dataclass(frozen=True)
class Span:
    """A stretch of time in Unix seconds."""

    start: float
    end: float


def _span(start: Annotated[Moment, Query(description="UTC, ISO 8601")], end: Annotated[Moment, Query()]) -> Span:
    if not start < end:
        raise HTTPException(422, "start must lie before end")
    return Span(start.timestamp(), end.timestamp())


Stretch = Annotated[Span, Depends(_span)]
