"""The whole service in one process: store, delivery, engine, cameras, web server; started and stopped in order."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import uvicorn

from refinevad.apps.live.config import LiveConfig
from refinevad.apps.live.database import StorageError
from refinevad.apps.live.delivery import Delivery
from refinevad.apps.live.engine import Engine, EngineOptions
from refinevad.apps.live.retention import Retention
from refinevad.apps.live.store import Store
from refinevad.apps.service.analysis import analyse
from refinevad.apps.service.app import create_app
from refinevad.apps.service.changes import ChangeLog
from refinevad.apps.service.settings import ServiceSettings
from refinevad.apps.service.watch import Watch
from refinevad.apps.terminal import give_json
from refinevad.checkpoint import Checkpoint
from refinevad.encoders.choice import require_at_hand
from refinevad.errors import InputError

RETENTION_EVERY_S = 3600.0
_CLOSING_S = 5  # open requests and websockets are given so long when the service stops


def serve(
    config: LiveConfig,
    settings: ServiceSettings,
    options: EngineOptions,
    host: str,
    port: int,
    told: str | None = None,
) -> int:
    """Run until SIGINT or SIGTERM. `told`: where to write the address as JSON once it listens, as --json says.

    Raises:
        InputError: the model, a sink, the folders or the address are at fault.
        StorageError: the database cannot be reached.
    """
    if config.model is not None:
        named = Checkpoint.load(config.model)  # fails here, before anything is opened
        require_at_hand(named.encoder, options.allow_download, f"run {config.model}")
    listening = _bind(host, port)
    with ExitStack() as open_:
        open_.callback(listening.close)
        settings.data.mkdir(parents=True, exist_ok=True)
        changes = ChangeLog(settings.data / "changes.json")
        store = Store.open(config.storage, config.media)
        open_.callback(store.close)
        delivery = Delivery.open(config, store, _tell)
        open_.callback(delivery.stop)
        engine = Engine(options, media=config.media, listeners=[delivery], tell=_tell)
        engine.start()
        open_.callback(engine.stop)
        open_.enter_context(_retention(Retention(store, config.retention)))
        watch = Watch(engine, changes, config.cameras, config.model)
        work = partial(analyse, allow_download=options.allow_download)
        app = create_app(watch, store, settings, work=work, ready=delivery.troubles, backlog=delivery.backlog)
        # cameras take a while to load; the page is there meanwhile
        threading.Thread(target=watch.start, args=(_tell,), name="cameras", daemon=True).start()
        address = _address(host, listening.getsockname()[1])
        if not give_json({"address": address}, told):
            _tell(f"listening on {address}")
        sys.stdout.flush()
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_CLOSING_S,
                ws_max_size=65_536,
            )
        )
        with suppress(KeyboardInterrupt, SystemExit):  # uvicorn raises the signal again once it has closed all
            server.run(sockets=[listening])
    return 0


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket; made here, so that a port in use is one sentence and port 0 can be told."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        reason = error.strerror or os.strerror(error.errno or 0)
        raise InputError(f"cannot listen on {host} port {port}: {reason}; choose another --host or --port") from error
    return listening


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _retention(retention: Retention) -> Iterator[None]:
    """Delete what is due now and every hour, on a thread."""
    stop = threading.Event()

    def work() -> None:
        while True:
            try:
                retention.run()
            except StorageError as error:
                _tell(f"retention waits: {error}")
            if stop.wait(RETENTION_EVERY_S):
                return

    thread = threading.Thread(target=work, name="retention", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def _tell(sentence: str) -> None:
    print(f"refinevad: {sentence}", file=sys.stderr, flush=True)
