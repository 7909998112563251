"""What every route works with, and how a request gets at it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import Depends, HTTPException, Query
from starlette.requests import HTTPConnection

from refinevad.apps.live.courier import Backlog
from refinevad.apps.live.store import Store
from refinevad.apps.service.feed import Feed
from refinevad.apps.service.jobs import JobRunner
from refinevad.apps.service.metrics import Metrics
from refinevad.apps.service.sessions import Sessions
from refinevad.apps.service.settings import ServiceSettings
from refinevad.apps.service.watch import Watch, Watched


@dataclass(frozen=True)
class Context:
    """One service."""

    watch: Watch
    store: Store
    settings: ServiceSettings
    sessions: Sessions
    feed: Feed
    jobs: JobRunner
    metrics: Metrics
    ready: Callable[[], list[str]] = list
    backlog: Callable[[], list[Backlog]] = list

    def camera(self, name: str) -> Watched:
        """A camera that is watched or paused. Answers 404 where there is none of that name."""
        found = self.watch.find(name)
        if found is None:
            raise HTTPException(404, f"no camera is called {name!r}")
        return found


def _context(connection: HTTPConnection) -> Context:
    return cast(Context, connection.app.state.context)


Here = Annotated[Context, Depends(_context)]


def seconds(moment: datetime) -> float:
    """Unix seconds; a time without a zone is UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True)
class Span:
    """A stretch of time in Unix seconds."""

    start: float
    end: float


def _span(start: Annotated[datetime, Query(description="UTC, ISO 8601")], end: Annotated[datetime, Query()]) -> Span:
    if not seconds(start) < seconds(end):
        raise HTTPException(422, "start must lie before end")
    return Span(seconds(start), seconds(end))


Stretch = Annotated[Span, Depends(_span)]
