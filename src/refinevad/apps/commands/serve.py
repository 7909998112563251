"""refinevad serve: cameras, a page in the browser, REST, websocket and metrics, in one process."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from refinevad.apps.live.settings.config import LiveConfig
    from refinevad.apps.service.access_token import TokenHash

HELP = "watch cameras and serve the page, the API and metrics"
EXAMPLE = """\
example:
  refinevad serve                                        then open http://127.0.0.1:8600
  refinevad serve --config cameras.toml --model runs/mine
  refinevad serve --token-file token --make-token        once: makes a token and shows it
  refinevad serve --host 0.0.0.0 --token-file token --tls-cert server.pem --tls-key key.pem

Without a token or users only this machine can reach it; any other --host needs one of them. The first admin is made by
refinevad users add NAME --role admin; others are added on the page, as are cameras.
What it stores lies in DIR: events and scores, clips, uploads. docs/service.md has the rest.
"""
DEFAULT_PORT = 8600
MEGABYTE = 1_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--config", type=Path, metavar="FILE", help="cameras.toml: cameras, sinks, what is kept")
    parser.add_argument(
        "--model", type=Path, metavar="RUN", help="run for cameras that name none, and for uploads (fighting)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (127.0.0.1)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"port (default {DEFAULT_PORT}; 0: any free one)"
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file with the hash of the access token")
    parser.add_argument("--make-token", action="store_true", help="make that file, show its token once, and end")
    parser.add_argument("--storage", metavar="URL", help="sqlite:///FILE or postgresql://user:password@host/name")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder for what is stored (refinevad-data)")
    parser.add_argument(
        "--files-from", type=Path, action="append", default=[], metavar="DIR", help="files in it may be cameras"
    )
    parser.add_argument("--window", type=float, metavar="SECONDS", help="stretch of time a live score rests on")
    parser.add_argument("--delay", type=float, metavar="SECONDS", help="how long it may wait for what follows")
    parser.add_argument(
        "--no-where", action="store_true", help="do not look for the place in the picture that an event came from"
    )
    parser.add_argument(
        "--no-learning", action="store_true", help="cameras keep the run's threshold, and learn none of their own hours"
    )
    parser.add_argument("--upload-mb", type=int, default=2000, metavar="N", help="largest upload (2000 megabytes)")
    parser.add_argument("--upload-hours", type=float, default=4.0, metavar="H", help="longest upload (4 hours)")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="speak https with this certificate (PEM)")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key")
    parser.add_argument(
        "--proxy", action="append", default=[], metavar="ADDRESS", help="believe X-Forwarded-For from it; repeatable"
    )
    parser.add_argument(
        "--user-header", default="", metavar="NAME", help="the --proxy says in it who is logged in, as X-Remote-User"
    )
    parser.add_argument("--connections", type=int, default=400, metavar="N", help="connections in all (400)")
    parser.add_argument("--connections-each", type=int, default=100, metavar="N", help="from one address (100)")
    parser.add_argument("--analyses", type=int, metavar="N", help="uploads analysed at a time (half of the cores)")
    parser.add_argument("--allow-download", action="store_true", help="fetch an encoder that a run names from a hub")
    parser.add_argument("--json", metavar="FILE", help="once it listens, write its address as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; 2 where the configuration, the address or the model is at fault."""
    from refinevad.apps.live.engine.engine import EngineOptions
    from refinevad.apps.service.access_token import make_token_file, read_token_file
    from refinevad.apps.service.connections import ConnectionLimits
    from refinevad.apps.service.running import serve
    from refinevad.apps.service.settings import ServiceSettings
    from refinevad.apps.speaking import who_speaks
    from refinevad.apps.terminal import note
    from refinevad.errors import InputError
    from refinevad.machine.cores import usable_cores

    if args.make_token:
        if args.token_file is None:
            raise InputError("--make-token needs --token-file, the file to make")
        print(make_token_file(args.token_file))
        return 0
    if not 0 <= args.port <= 65535:
        raise InputError(f"--port must lie in [0, 65535]: got {args.port}")
    if args.upload_mb < 1 or not args.upload_hours > 0:
        raise InputError("--upload-mb and --upload-hours must be above 0")
    if min(args.connections, args.connections_each, args.analyses or 1) < 1:
        raise InputError("--connections, --connections-each and --analyses must be at least 1")
    tls = _tls(args)
    token: TokenHash | None = read_token_file(args.token_file) if args.token_file is not None else None
    config = config_from(args)
    settings = ServiceSettings(
        data=args.data or (config.media.parent if args.config else DEFAULT_DATA),
        token=token,
        runs=config.model.resolve().parent if config.model is not None else None,
        roots=tuple(args.files_from),
        upload_bytes=args.upload_mb * MEGABYTE,
        upload_s=args.upload_hours * 3600,
        uploads_bytes=round(config.retention.uploads_gb * 1e9),
        audit_days=config.retention.audit_days,
        learn=not args.no_learning,
        analyses=args.analyses or max(1, usable_cores() // 2),
        connections=ConnectionLimits(args.connections, args.connections_each),
        proxies=_proxies(args.proxy),
        user_header=_user_header(args.user_header, args.proxy),
    )
    for sentence in who_speaks([*([config.model] if config.model else []), *(each.model for each in config.cameras)]):
        note(sentence)
    options = EngineOptions(
        window_s=args.window, delay_s=args.delay, allow_download=args.allow_download, where=not args.no_where
    )
    return serve(config, settings, options, args.host, args.port, args.json, tls)


def _tls(args: argparse.Namespace) -> "ssl.SSLContext | None":
    from refinevad.apps.service.tls import tls_context
    from refinevad.errors import InputError

    if (args.tls_cert is None) != (args.tls_key is None):
        raise InputError("--tls-cert and --tls-key belong together; give both or neither")
    return None if args.tls_cert is None else tls_context(args.tls_cert, args.tls_key)


def _proxies(given: list[str]) -> tuple[str, ...]:
    from ipaddress import ip_network

    from refinevad.errors import InputError

    for text in given:
        try:
            ip_network(text)
        except ValueError as error:
            raise InputError(
                f"--proxy {text!r} is no address and no network; write 127.0.0.1 or 10.0.0.0/24"
            ) from error
    return tuple(given)


def _say_what_data_overrides(config: Path, data: Path, storage_too: bool) -> None:
    """The command line goes before the file; where the file says otherwise, that is said. A server's storage stays."""
    from refinevad.apps.terminal import note
    from refinevad.files.toml_files import read_toml

    said = read_toml(config, "configuration")
    over = [name for name in ("storage", "media", "outbox") if name in said and (name != "storage" or storage_too)]
    if over:
        note(f"--data {data} goes before {config}: its {', '.join(over)} count for nothing; leave either out")


def _user_header(name: str, proxies: list[str]) -> str:
    import re

    from refinevad.errors import InputError

    if name and not proxies:
        raise InputError("--user-header needs --proxy, the address that may send it: else anybody could be anybody")
    if name and not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name):
        raise InputError(f"--user-header {name!r} is no header's name; write X-Remote-User")
    return name


DEFAULT_DATA = Path("refinevad-data")


def config_from(args: argparse.Namespace) -> "LiveConfig":
    """cameras.toml, or none, with the command line's options laid over it. Raises InputError."""
    from dataclasses import replace

    from refinevad.apps.live.settings.config import LiveConfig, read_config
    from refinevad.apps.live.settings.secret import Secret
    from refinevad.apps.live.storage.stored import DATABASE, MEDIA
    from refinevad.shipped.names import find_run

    config = read_config(args.config) if args.config is not None else LiveConfig(())
    if args.model is not None or config.model is None:
        config = replace(config, model=find_run(args.model))
    if args.data is not None or args.config is None:
        data = args.data or DEFAULT_DATA
        if args.config is not None:
            _say_what_data_overrides(args.config, data, config.storage.reveal().startswith("sqlite:"))
        config = replace(config, media=data / MEDIA, outbox=data / "outbox.db")
        if config.storage.reveal().startswith("sqlite:"):  # a server named in cameras.toml stays
            config = replace(config, storage=Secret(f"sqlite:///{(data / DATABASE).resolve()}"))
    if args.storage is not None:
        config = replace(config, storage=Secret(args.storage))
    return config
