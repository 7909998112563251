"""The FastAPI application: routes, the gate before them, the page, and one sentence for every error."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from threading import BoundedSemaphore

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Lifespan
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import refinevad
from refinevad.apps.live.delivery.courier import Backlog
from refinevad.apps.live.delivery.sinks.base import PeopleSink
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.records import Job
from refinevad.apps.live.storage.store import Store
from refinevad.apps.service.access import AccessGate
from refinevad.apps.service.analysis import analyse
from refinevad.apps.service.audit import AuditLog
from refinevad.apps.service.bodies import BodyLimit
from refinevad.apps.service.context import Context
from refinevad.apps.service.feed import Feed
from refinevad.apps.service.guesses import Guesses
from refinevad.apps.service.headers import SecurityHeaders
from refinevad.apps.service.jobs import Analyse, JobRunner
from refinevad.apps.service.prometheus import Metrics
from refinevad.apps.service.routes import audit as audits
from refinevad.apps.service.routes import (
    camera_tests,
    cameras,
    events,
    health,
    jobs,
    live,
    models,
    people,
    playable,
    recordings,
    reviews,
    scores,
    sessions,
    sinks,
    troubles,
    view,
)
from refinevad.apps.service.schemas import JobOut
from refinevad.apps.service.sessions import Sessions
from refinevad.apps.service.settings import ServiceSettings
from refinevad.apps.service.thresholds import Thresholds
from refinevad.apps.service.vouching import Vouching
from refinevad.apps.service.watched_cameras import WatchedCameras
from refinevad.apps.service.whoever import Whoever
from refinevad.errors import InputError, RefineVADError

PAGE = Path(__file__).parent / "page"
REPORT = Path(__file__).parents[1] / "report"  # its style and charts are the page's too: one product


def create_app(
    watch: WatchedCameras,
    store: Store,
    settings: ServiceSettings,
    *,
    work: Analyse = analyse,
    ready: Callable[[], list[str]] = list,
    backlog: Callable[[], list[Backlog]] = list,
    people: Callable[[], Mapping[str, PeopleSink]] = dict,
    tell: Callable[[str], None] = lambda sentence: None,
) -> FastAPI:
    """The service over an engine's cameras and a store, both opened and closed by the caller.

    Args:
        work: the analysis of an uploaded file, run in a process of its own.
        ready: reasons why the service is not ready.
        backlog: what has not been delivered, of each sink.
        people: the sinks that reach people.
        tell: is given sentences for the operator.
    """
    feed, log = Feed(), Sessions(store, settings.token, settings.session_s)
    whoever = Whoever(store, settings.login or bool(settings.user_header))
    guesses = Guesses(store.clock, tell)
    metrics = Metrics(watch.cameras, backlog, guesses, store.clock, ready)
    audit = AuditLog(settings.data / "audit.db", store.clock, tell, settings.audit_days, settings.audit_entries)

    def publish(job: Job) -> None:
        feed.publish({"type": "job", "job": JobOut.of(job, whole=False).model_dump(mode="json")})

    thresholds = Thresholds(watch, store, audit, tell)
    runner = JobRunner(store, settings, lambda: watch.model, publish, work)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        feed.start()
        leave = [watch.engine.listen(listener) for listener in (metrics, feed)]
        runner.start()
        try:
            with thresholds.kept():
                yield
        finally:
            for stop in leave:
                stop()
            feed.stop()
            runner.stop()

    app = _described(lifespan)
    parts = (watch, store, settings, log, feed, runner, metrics, guesses, audit)
    incoming = BoundedSemaphore(settings.incoming)
    app.state.context = Context(*parts, incoming, whoever, thresholds, ready=ready, backlog=backlog, people=people)
    _add_routes(app)
    _add_page(app)
    _add_errors(app)
    _add_guards(app, settings, log, guesses, whoever)
    return app


def _described(lifespan: Lifespan[FastAPI]) -> FastAPI:
    return FastAPI(
        title="refinevad",
        version=refinevad.__version__,
        description="Live cameras, their events and scores. Versioned under /api/v1; changes need a bearer token, or "
        "the header X-RefineVAD: 1 with a login or from this machine.",
        lifespan=lifespan,
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )


def _add_routes(app: FastAPI) -> None:
    api = APIRouter(prefix="/api/v1")
    watching = (camera_tests, cameras, recordings, playable, scores, events, reviews)
    for module in (sessions, people, *watching, jobs, models, sinks, troubles, audits):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(health.router)
    app.include_router(live.router)
    app.include_router(view.router)


def _add_guards(app: FastAPI, settings: ServiceSettings, log: Sessions, guesses: Guesses, whoever: Whoever) -> None:
    """What every request passes, the last one added first."""
    app.add_middleware(AccessGate, token=settings.token, sessions=log, guesses=guesses, whoever=whoever)
    app.add_middleware(BodyLimit)
    app.add_middleware(SecurityHeaders)  # around the others: refusals carry the headers too
    if settings.proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.proxies))
    if settings.user_header:  # outermost: it looks at who is really connected, before a proxy's word is taken
        app.add_middleware(Vouching, header=settings.user_header, proxies=settings.proxies)


def _add_page(app: FastAPI) -> None:
    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> Response:
        return FileResponse(PAGE / "icon.svg", media_type="image/svg+xml")

    # the report's style sheet and plotting library; nothing else of that folder
    for name in ("style.css", "vendor/uplot/uPlot.iife.min.js", "vendor/uplot/uPlot.min.css"):
        _add_file(app, f"/page/report/{name}", REPORT / name)
    app.mount("/page", _Page(directory=PAGE), name="page")


def _add_file(app: FastAPI, path: str, file: Path) -> None:
    @app.get(path, include_in_schema=False)
    def asset() -> FileResponse:
        return FileResponse(file, headers={"cache-control": "no-cache"})


class _Page(StaticFiles):
    """The page's files, asked for anew each time and answered with 304: an update shows at once."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = "no-cache"
        return response


def _add_errors(app: FastAPI) -> None:
    """Every error is {"detail": one sentence}."""

    @app.exception_handler(InputError)
    def at_fault(_: Request, error: InputError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    @app.exception_handler(StorageError)
    def away(_: Request, error: StorageError) -> JSONResponse:
        return JSONResponse({"detail": "storage cannot be reached; try again in a moment"}, 503)

    @app.exception_handler(RefineVADError)
    def failed(_: Request, error: RefineVADError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 500)

    @app.exception_handler(RequestValidationError)
    def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return JSONResponse({"detail": f"{place or 'the request'}: {first['msg']}"}, 422)
