"""The whole service in one process: store, delivery, engine, cameras, web server; started and stopped in order."""

import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from refinevad.apps.live.delivery.delivery import Delivery
from refinevad.apps.live.engine.engine import Engine, EngineOptions
from refinevad.apps.live.learning import Learner, learning
from refinevad.apps.live.repeating import repeating
from refinevad.apps.live.settings.config import LiveConfig
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.retention import Retention
from refinevad.apps.live.storage.store import Store
from refinevad.apps.service.access_token import is_loopback, require_token
from refinevad.apps.service.analysis import analyse
from refinevad.apps.service.app import create_app
from refinevad.apps.service.audit import AuditLog
from refinevad.apps.service.changes import ChangeLog
from refinevad.apps.service.connections import Connections
from refinevad.apps.service.quiet import log_sparingly
from refinevad.apps.service.server import BACKLOG, Server
from refinevad.apps.service.settings import ServiceSettings
from refinevad.apps.service.watched_cameras import WatchedCameras
from refinevad.apps.terminal import give_json
from refinevad.checkpoint import Checkpoint
from refinevad.encoders.choice import require_at_hand
from refinevad.errors import InputError
from refinevad.files.shown import shown

FIRST_ADMIN = "refinevad users add NAME --role admin"
RETENTION_EVERY_S = 3600.0
RECORDINGS_EVERY_S = 60.0  # a disk fills faster by them
_MOST_HEADERS = 16_384  # bytes of a request's line and headers
_MOST_MESSAGE = 4_096  # bytes of a websocket's message: none is expected
_CLOSING_S = 5  # open requests and websockets are given so long when the service stops


def serve(
    config: LiveConfig,
    settings: ServiceSettings,
    options: EngineOptions,
    host: str,
    port: int,
    told: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Run until SIGINT or SIGTERM. `told`: where to write the address as JSON once it listens, as --json says.

    `tls`: speak https; None: plain HTTP.

    Raises:
        InputError: the model, a sink, the folders or the address are at fault.
        StorageError: the database cannot be reached.
    """
    if config.model is not None:
        named = Checkpoint.load(config.model)  # fails here, before anything is opened
        require_at_hand(named.encoder, options.allow_download, f"run {config.model}")
    require_token(host, settings.token, there_already(config.storage))  # before anything is made
    listening = _bind(host, port)
    with ExitStack() as open_:
        open_.callback(listening.close)
        settings.data.mkdir(parents=True, exist_ok=True)
        changes = ChangeLog(settings.data / "changes.json")
        store = Store.open(config.storage, config.media)
        open_.callback(store.close)
        users = store.people.any()
        require_token(host, settings.token, users)
        settings = replace(settings, login=users)
        delivery = Delivery.open(config, store, _tell)
        open_.callback(delivery.stop)
        engine = Engine(replace(options, recordings=True), media=config.media, listeners=[delivery], tell=_tell)
        engine.start()
        open_.callback(engine.stop)
        watch = WatchedCameras(engine, changes, config.cameras, config.model, config.camera)
        work = partial(analyse, allow_download=options.allow_download)
        backlog = delivery.backlog
        app = create_app(
            watch,
            store,
            settings,
            work=work,
            ready=lambda: [*filter(None, [engine.broken]), *delivery.troubles()],
            backlog=backlog,
            people=delivery.people,
            tell=_tell,
        )
        if settings.learn:
            open_.enter_context(learning(Learner(engine, store, store.clock, _tell), _tell))
        open_.enter_context(deleting(Retention(store, config.retention), app.state.context.audit, _tell))
        # cameras take a while to load; the page is there meanwhile
        threading.Thread(target=watch.start, args=(_tell,), name="cameras", daemon=True).start()
        address = _address(host, listening.getsockname()[1], tls is not None)
        if tls is None and not is_loopback(host):
            _tell(f"{host} is reached in plain HTTP, token included: use --tls-cert and --tls-key, or a proxy with TLS")
        if not users and settings.token is None:
            _tell(f"nobody has to log in on this machine; the first admin: {FIRST_ADMIN} --data {settings.data}")
        if not give_json({"address": address}, told):
            _tell(f"listening on {address}")
        sys.stdout.flush()
        server = Server(_uvicorn(app, settings), _connections(settings), _tell, tls)
        log_sparingly()
        with suppress(KeyboardInterrupt, SystemExit):  # uvicorn raises the signal again once it has closed all
            server.run(sockets=[listening])
    return 0


def there_already(storage: Secret) -> bool:
    """Whether a database was made before: without one there are no users, and nothing is made to find that out."""
    kind, _, rest = storage.reveal().partition(":///")
    return kind != "sqlite" or Path(rest).is_file()


def _uvicorn(app: FastAPI, settings: ServiceSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",  # what Server's connections are made for
        ws="websockets-sansio",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the application looks at them itself, from proxies it was told of
        timeout_graceful_shutdown=_CLOSING_S,
        timeout_keep_alive=round(settings.connections.idle_s),
        h11_max_incomplete_event_size=_MOST_HEADERS,
        ws_max_size=_MOST_MESSAGE,
        ws_per_message_deflate=False,
    )


def _connections(settings: ServiceSettings) -> Connections:
    proxies = [ip_network(proxy, strict=False) for proxy in settings.proxies]

    def is_proxy(host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        return any(address in proxy for proxy in proxies)

    return Connections(settings.connections, is_proxy)


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket; made here, so that a port in use is one sentence and port 0 can be told."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        reason = error.strerror or os.strerror(error.errno or 0)
        raise InputError(f"cannot listen on {host} port {port}: {reason}; choose another --host or --port") from error
    return listening


def _address(host: str, port: int, tls: bool) -> str:
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def deleting(retention: Retention, audit: AuditLog, tell: Callable[[str], None]) -> AbstractContextManager[None]:
    """Delete what is due now and every hour, on a thread. `tell` is given a sentence about what could not be."""
    due = 0.0

    def delete() -> None:
        nonlocal due
        try:
            retention.shrink_recordings()
            if time.monotonic() >= due:
                due = time.monotonic() + RETENTION_EVERY_S
                audit.expire()
                if stuck := retention.run().stuck:
                    tell(f"retention: {stuck} files are due to go and cannot be deleted; look at the media folder")
        except (StorageError, OSError) as error:  # OSError: no descriptors are left, or a folder cannot be read
            tell(f"retention waits: {error}")

    return repeating("retention", delete, RECORDINGS_EVERY_S)


def _tell(sentence: str) -> None:
    print(f"refinevad: {shown(sentence)}", file=sys.stderr, flush=True)
