"""What `refinevad watch` does: a configuration from the command line, and the engine run until it is told to stop."""

import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from refinevad.apps.live.clock import SystemClock
from refinevad.apps.live.delivery.delivery import Delivery
from refinevad.apps.live.engine.engine import Engine, EngineOptions
from refinevad.apps.live.learning import Learner, learning
from refinevad.apps.live.settings.addresses import mask
from refinevad.apps.live.settings.config import LiveConfig, read_config, watch_config
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.settings.sink_options import (
    FolderOptions,
    MqttOptions,
    SinkOptions,
    StdoutOptions,
    WebhookOptions,
)
from refinevad.apps.live.status import CameraStatus
from refinevad.apps.live.storage.store import Store
from refinevad.apps.terminal import note
from refinevad.errors import InputError
from refinevad.shipped.names import find_run

STATE = Path("refinevad-live")
SECRET_VARIABLE = "REFINEVAD_WEBHOOK_SECRET"
_DATABASES = ("sqlite://", "postgresql://", "postgresql+psycopg://")
_LOOK_S = 0.2


@dataclass(frozen=True)
class WatchPlan:
    """What is to be watched; `keep`: whether anything outlives the program, clips and snapshots among it."""

    config: LiveConfig
    keep: bool


def configured(
    sources: Sequence[str],
    *,
    config: Path | None,
    model: Path | None,
    threshold: float | None,
    sinks: Sequence[str],
    state: Path | None,
    lines: bool,
    files: ExitStack,
) -> WatchPlan:
    """The configuration that a command line asks for.

    Without a file and without sinks nothing outlives the program: what it keeps lies in a temporary folder that
    `files` removes.

    Raises:
        InputError: sources and a file together, neither, or a sink that is none.
    """
    if (config is None) == (not sources):
        raise InputError("name what to watch, or a file that does with --config; one of the two")
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"--threshold must lie in [0, 1]: got {threshold}")
    keep = config is not None or state is not None or bool(sinks)
    if config is not None:
        if model is not None or threshold is not None or state is not None:
            raise InputError("--model, --threshold and --state are for sources named here; with --config the file says")
        chosen = read_config(config)
        if not chosen.cameras:
            raise InputError(f"{config} names no camera; add a [[camera]] table")
        chosen = replace(chosen, sinks=tuple(sink for sink in chosen.sinks if not isinstance(sink, StdoutOptions)))
    else:
        chosen = replace(watch_config(sources, find_run(model), threshold), sinks=())
        if not keep:
            folder = Path(files.enter_context(TemporaryDirectory(prefix="refinevad-", ignore_cleanup_errors=True)))
        else:
            folder = state or STATE
        storage = Secret(f"sqlite:///{(folder / 'live.db').absolute()}")
        chosen = replace(chosen, storage=storage, media=folder / "media", outbox=folder / "outbox.db")
    for number, text in enumerate(sinks, start=1):
        chosen = _with_sink(chosen, text, number)
    if lines:
        chosen = replace(chosen, sinks=(StdoutOptions(), *chosen.sinks))
    return WatchPlan(chosen, keep)


def _with_sink(config: LiveConfig, text: str, number: int) -> LiveConfig:
    scheme, _, rest = text.partition(":")
    sink: SinkOptions
    if scheme == "folder" and rest:
        sink = FolderOptions(f"folder-{number}", Path(rest).expanduser())
    elif scheme in ("http", "https"):
        secret = os.environ.get(SECRET_VARIABLE)
        sink = WebhookOptions(f"webhook-{number}", Secret(text), Secret(secret) if secret else None)
    elif scheme in ("mqtt", "mqtts"):
        sink = _mqtt(text, scheme == "mqtts", number)
    elif text.startswith(_DATABASES):
        return replace(config, storage=Secret(text.replace("postgresql://", "postgresql+psycopg://", 1)))
    else:
        raise InputError(
            f"{mask(text)} is no sink; use folder:DIR, http(s)://..., mqtt://host or a database's URL (see --help)"
        )
    return replace(config, sinks=(*config.sinks, sink))


def _mqtt(text: str, tls: bool, number: int) -> MqttOptions:
    try:
        parts = urlsplit(text)
        port = parts.port or (8883 if tls else 1883)
    except ValueError:
        raise InputError(f"{mask(text)} is no URL; write mqtt://user:password@host:port") from None
    if not parts.hostname:
        raise InputError(f"{mask(text)} names no host; write mqtt://user:password@host:port")
    password = Secret(unquote(parts.password)) if parts.password else None
    name = unquote(parts.username or "")
    return MqttOptions(f"mqtt-{number}", parts.hostname, port, name, password, tls)


def run_watch(plan: WatchPlan, options: EngineOptions, *, statistics_s: float = 60.0, learn: bool = True) -> int:
    """Watch all cameras until every source has ended, or SIGINT or SIGTERM comes; 1 where a source failed.

    `learn`: cameras learn their thresholds of their own hours, where these are kept.

    Raises:
        InputError: a run, a sink or the storage is at fault.
        StorageError: the database cannot be reached.
    """
    clock, config = SystemClock(), plan.config
    with ExitStack() as parts:
        store = Store.open(config.storage, config.media, clock)
        parts.callback(store.close)
        delivery = Delivery.open(config, store, note)
        parts.callback(delivery.stop)
        engine = Engine(
            options, media=config.media if plan.keep else None, listeners=[delivery], clock=clock, tell=note
        )
        parts.callback(engine.stop)
        for camera in config.cameras:
            engine.add(camera)
        stopping = parts.enter_context(_told_to_stop())
        engine.start()
        if learn and plan.keep:
            parts.enter_context(learning(Learner(engine, store, clock, note), note))
        due = clock.monotonic() + statistics_s
        while not (stopping() or delivery.reader_gone or engine.wait(_LOOK_S)):
            if statistics_s and clock.monotonic() >= due:
                due = clock.monotonic() + statistics_s
                for status in engine.statuses():
                    note(line(status))
        engine.stop()
        last = engine.statuses()
        for status in last:
            note(line(status))
        if delivery.reader_gone:  # as with `| head`: what is left in the buffer has nowhere to go
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
    return 1 if any(status.state == "failed" for status in last) else 0


@contextmanager
def _told_to_stop() -> Iterator[Callable[[], bool]]:
    """While it lasts, Ctrl-C and SIGTERM are remembered in place of breaking off."""
    told = threading.Event()
    before = {number: signal.signal(number, lambda *_: told.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def line(status: CameraStatus) -> str:
    """A camera's statistics in one line."""
    latency = status.latency
    words = [
        f"{status.name}: {status.state}",
        f"{status.fps_in:.1f} fps in",
        f"{status.fps_scored:.1f} scored",
        f"{status.frames_in} frames",
        f"{status.frames_dropped} dropped",
        f"{status.reconnects} reconnects",
        f"{status.events} events",
    ]
    if status.score is not None:
        words.append(f"score {status.score:.2f}")
    if math.isfinite(latency.encoded_p50):
        words.append(f"latency {1000 * latency.encoded_p50:.0f}/{1000 * latency.encoded_p99:.0f} ms (p50/p99)")
    return ", ".join(words)
