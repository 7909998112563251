"""cameras.toml: the cameras, their model, where events go, what is kept. Unknown keys are refused in one sentence.

    model = "runs/mine"                     # for every camera that names none
    storage = "sqlite:///live.db"           # or postgresql+psycopg://user:password@host/name
    media = "media"                         # clips, snapshots, uploads

    [retention]
    events_days = 90

    [[camera]]
    name = "door"
    source = "rtsps://10.0.0.5/small"       # what is scored: a file, rtsp(s), http(s), /dev/videoN, or env:NAME
    main = "rtsps://10.0.0.5/large"         # the same in full size, for clips, recordings and the large view
    username = "viewer"
    password = "file:/run/secrets/door"     # secrets: in place, env:NAME or file:PATH
    ca_file = "camera.pem"                  # rtsps, https: hold the server's certificate against this

    [[camera.mask]]                         # and [[camera.zone]]: video/zones.py
    points = [[0.1, 0.0], [0.3, 0.0], [0.3, 0.4]]

    [[sink]]
    type = "mqtt"
    name = "home"
    host = "10.0.0.2"

Relative paths are relative to the file's folder.
"""

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from refinevad.apps.live.disk import RESERVE_MB
from refinevad.apps.live.settings.addresses import VOUCHED, Address, parse_address, require_pair
from refinevad.apps.live.settings.secret import Secret, read_secret
from refinevad.apps.live.settings.sink_options import SINK_TYPES, SinkOptions, StdoutOptions
from refinevad.errors import InputError
from refinevad.files.shown import short
from refinevad.files.toml_files import read_toml
from refinevad.shipped.names import find_run
from refinevad.video.masks import checked_zones
from refinevad.video.zones import Zones

DEFAULT_STORAGE = "sqlite:///refinevad-live.db"
NAME = re.compile(r"\w(?:[\w .-]{0,62}\w)?")  # also a folder's name and a topic's level
_AT_LEAST = {
    "port": 1,
    "burst": 1,
    "outbox_envelopes": 1,
    "media_gb": 0.001,
    "uploads_gb": 0.001,
    "recordings_gb": 0.001,
    "timeout_s": 0.1,
    "rate_per_minute": 0.1,
    "longest_event_s": 5.0,
}
_MAY_BE_EMPTY = ("discovery_prefix", "hours", "page")  # empty: none
LONGEST_EVENT_S = 120.0  # what goes on is told again so often, as another event with a clip of its own
_AT_MOST = {
    **{
        "longest_event_s": 3600.0,
        "threshold": 1.0,
        "least_score": 1.0,
        "port": 65535,
        "pre_roll_s": 60.0,
        "post_roll_s": 60.0,
    },
    **dict.fromkeys(
        (f"{kind}_days" for kind in ("scores", "events", "reviewed", "jobs", "audit", "recordings")), 36_500.0
    ),
}
_MOST = 1e9  # of anything else: seconds beyond it are no time that can be waited for


@dataclass(frozen=True)
class RetentionConfig:
    """How many days things are kept, and how many gigabytes clips with snapshots, uploads and recordings may take.

    The rule: retention.py; uploads_gb: apps/service/uploads.py; audit_days: apps/service/audit.py.
    """

    scores_days: float = 30.0
    events_days: float = 90.0
    reviewed_days: float = 365.0
    jobs_days: float = 30.0
    media_gb: float = 20.0
    uploads_gb: float = 20.0
    audit_days: float = 365.0
    recordings_days: float = 7.0
    recordings_gb: float = 50.0


@dataclass(frozen=True)
class CameraConfig:
    """One camera. `threshold` None: the model's own; `sinks` None: all of them.

    `main`: the same camera's stream in full size, of which clips, recordings and the large view are made; None: of
    `source`, which alone is decoded and scored. `record`: keep the stream all the time.
    """

    name: str
    source: Address
    model: Path
    threshold: float | None = None
    sinks: tuple[str, ...] | None = None
    pre_roll_s: float = 5.0
    post_roll_s: float = 5.0
    reserve_mb: float = RESERVE_MB
    longest_event_s: float = LONGEST_EVENT_S
    zones: Zones = field(default_factory=Zones)
    main: Address | None = None
    record: bool = False


@dataclass(frozen=True)
class LiveConfig:
    """Everything `watch` and `serve` need to know."""

    cameras: tuple[CameraConfig, ...]
    sinks: tuple[SinkOptions, ...] = ()
    model: Path | None = None
    storage: Secret = field(default_factory=lambda: Secret(DEFAULT_STORAGE))
    media: Path = Path("media")
    outbox: Path = Path("outbox.db")
    outbox_envelopes: int = 10_000
    reserve_mb: float = RESERVE_MB
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    pre_roll_s: float = 5.0
    post_roll_s: float = 5.0
    longest_event_s: float = LONGEST_EVENT_S
    record: bool = False

    def camera(self, name: str, source: Address, model: Path) -> CameraConfig:
        """A camera that the file does not name, with what the file says of all cameras."""
        return CameraConfig(
            name,
            source,
            model,
            pre_roll_s=self.pre_roll_s,
            post_roll_s=self.post_roll_s,
            reserve_mb=self.reserve_mb,
            longest_event_s=self.longest_event_s,
            record=self.record,
        )

    def sinks_of(self, camera: CameraConfig) -> tuple[str, ...]:
        """Names of the sinks a camera's events go to."""
        return camera.sinks if camera.sinks is not None else tuple(sink.name for sink in self.sinks)


@dataclass(frozen=True)
class _Top:
    """The keys outside of tables."""

    model: Path | None = None
    storage: Secret = field(default_factory=lambda: Secret(DEFAULT_STORAGE))
    media: Path = Path("media")
    outbox: Path = Path("outbox.db")
    outbox_envelopes: int = 10_000
    reserve_mb: float = RESERVE_MB
    pre_roll_s: float = 5.0
    post_roll_s: float = 5.0
    longest_event_s: float = LONGEST_EVENT_S
    record: bool = False


@dataclass(frozen=True)
class _CameraTable:
    name: str
    source: str
    model: Path | None = None
    threshold: float | None = None
    sinks: tuple[str, ...] | None = None
    pre_roll_s: float | None = None
    post_roll_s: float | None = None
    longest_event_s: float | None = None
    username: str | None = None
    password: Secret | None = None
    ca_file: Path | None = None
    main: str | None = None
    record: bool | None = None


def read_config(path: Path) -> LiveConfig:
    """Read cameras.toml.

    Raises:
        InputError: not TOML, an unknown key, a value of the wrong kind, an address or secret at fault.
    """
    content = read_toml(path, "configuration")
    tables = {name: content.pop(name, []) for name in ("camera", "sink")}
    retention = content.pop("retention", {})
    for name, entries in tables.items():
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InputError(f"configuration {path}: write each {name} as a table of its own, [[{name}]]")
    if not isinstance(retention, dict):
        raise InputError(f"configuration {path}: write retention as a table, [retention]")
    base = path.parent
    top = _build(_Top, content, f"{path}", base)
    top = replace(top, model=find_run(top.model, base))
    sinks = tuple(_sink(entry, f"{path}, sink {i}", base) for i, entry in enumerate(tables["sink"], start=1))
    cameras = tuple(_camera(entry, f"{path}, camera {i}", base, top) for i, entry in enumerate(tables["camera"], 1))
    config = LiveConfig(
        cameras,
        sinks,
        top.model,
        _storage(top.storage, base),
        base / top.media,
        base / top.outbox,
        top.outbox_envelopes,
        top.reserve_mb,
        _build(RetentionConfig, retention, f"{path}, [retention]", base),
        top.pre_roll_s,
        top.post_roll_s,
        top.longest_event_s,
        top.record,
    )
    _check_names(config, str(path))
    return config


def watch_config(sources: Sequence[str], model: Path, threshold: float | None = None) -> LiveConfig:
    """A configuration for addresses named on the command line; events go to stdout. Raises InputError."""
    cameras: dict[str, CameraConfig] = {}
    for text in sources:
        address = parse_address(text)
        stem = Path(text).stem if address.scheme in ("file", "device") else re.split(r"[/?]", address.shown)[2]
        plain = re.sub(r"[^\w.-]+", "-", stem.rpartition("@")[2]).strip("-.")[:60] or "camera"
        name = next(n for n in (plain, *(f"{plain}-{i}" for i in range(2, len(sources) + 2))) if n not in cameras)
        cameras[name] = CameraConfig(name, address, model, threshold)
    return LiveConfig(tuple(cameras.values()), (StdoutOptions(),), model)


def _storage(url: Secret, base: Path) -> Secret:
    """A relative SQLite file lies beside the configuration."""
    head, separator, name = url.reveal().partition("sqlite:///")
    if head or not separator or not name or name.startswith((":", "/")):
        return url
    return Secret(f"sqlite:///{(base / name).resolve()}")


def _camera(values: Mapping[str, Any], where: str, base: Path, top: _Top) -> CameraConfig:
    areas = {kind: values[kind] for kind in ("mask", "zone") if kind in values}
    table = _build(_CameraTable, {key: value for key, value in values.items() if key not in areas}, where, base)
    model = find_run(table.model, base) if table.model is not None else find_run(top.model)
    source, main = _addresses(table, base, where)
    return CameraConfig(
        table.name,
        source,
        model,
        table.threshold,
        table.sinks,
        top.pre_roll_s if table.pre_roll_s is None else table.pre_roll_s,
        top.post_roll_s if table.post_roll_s is None else table.post_roll_s,
        top.reserve_mb,
        top.longest_event_s if table.longest_event_s is None else table.longest_event_s,
        checked_zones(areas, where),
        main,
        top.record if table.record is None else table.record,
    )


def _addresses(table: _CameraTable, base: Path, where: str) -> tuple[Address, Address | None]:
    """What is scored, and the stream in full size."""
    source = _address(table.source, table, base, f"{where}: source")
    if table.main is None:
        return _vouched(source, table.ca_file, where), None
    main = require_pair(source, _address(table.main, table, base, f"{where}: main"))
    if table.ca_file is None or source.scheme in VOUCHED:
        source = _vouched(source, table.ca_file, where)
        return source, _vouched(main, table.ca_file if main.scheme in VOUCHED else None, where)
    return source, _vouched(main, table.ca_file, where)


def _address(text: str, table: _CameraTable, base: Path, what: str) -> Address:
    if text.startswith("env:"):
        text = read_secret(text, what).reveal()
    place = str(base / text) if _is_plain_path(text) or _is_file(base / text) else text
    return parse_address(place, username=table.username, password=table.password)


def _vouched(address: Address, ca_file: Path | None, where: str) -> Address:
    if ca_file is None:
        return address
    if address.scheme not in VOUCHED:
        raise InputError(f"{where}: ca_file is for rtsps and https; {address} is neither")
    if not _is_file(ca_file):
        raise InputError(f"{where}: ca_file {ca_file} is not there")
    return replace(address, ca_file=ca_file)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name that a file may have
        return False


def _is_plain_path(source: str) -> bool:
    return ":" not in source and not source.startswith("~") and not Path(source).is_absolute()


def _sink(values: Mapping[str, Any], where: str, base: Path) -> SinkOptions:
    values = dict(values)
    kind = values.pop("type", None)
    for known, options in SINK_TYPES.items():
        if kind == known:
            return _build(options, {"name": kind, **values}, where, base)
    raise InputError(f"{where}: type {kind!r} is none of {', '.join(SINK_TYPES)}")


def _check_names(config: LiveConfig, where: str) -> None:
    for kind, names in (("camera", [c.name for c in config.cameras]), ("sink", [s.name for s in config.sinks])):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"{where}: two {kind}s are called {twice[0]!r}; names must differ")
        if bad := [name for name in names if not NAME.fullmatch(name)]:
            raise InputError(f"{where}: {kind} name {bad[0]!r}: use at most 64 letters, digits, space, - _ .")
    known = {sink.name for sink in config.sinks}
    for camera in config.cameras:
        if unknown := sorted(set(camera.sinks or ()) - known):
            raise InputError(f"{where}: camera {camera.name!r} names the sink {unknown[0]!r}, which is not there")


_T = TypeVar("_T")


def _build(kind: type[_T], values: Mapping[str, Any], where: str, base: Path) -> _T:
    """A dataclass from a TOML table, each value held against its annotation."""
    hints = get_type_hints(kind)
    if unknown := sorted(set(values) - set(hints)):
        raise InputError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(hints))}")
    needed = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]  # type: ignore[arg-type]
    if absent := [name for name in needed if name not in values]:
        raise InputError(f"{where}: {absent[0]} is missing")
    return kind(**{name: _value(name, value, hints[name], where, base) for name, value in values.items()})


def _value(name: str, value: Any, hint: Any, where: str, base: Path) -> Any:
    if get_origin(hint) in (types.UnionType, Union):
        hint = next(option for option in get_args(hint) if option is not type(None))
    if hint is Secret and isinstance(value, str):
        return read_secret(value, f"{where}: {name}")
    if hint is Path and isinstance(value, str) and value:
        try:
            return base / Path(value).expanduser()
        except RuntimeError as error:
            raise InputError(
                f"{where}: {name} {short(value)} begins in the folder of a user who is not here"
            ) from error
    if hint is str and isinstance(value, str) and (value or name in _MAY_BE_EMPTY):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if (hint is int and type(value) is int) or (hint is float and type(value) in (int, float)):
        least, most = _AT_LEAST.get(name, 0), _AT_MOST.get(name, _MOST)
        if least <= value <= most:
            return hint(value)
        raise InputError(f"{where}: {name} must lie in [{least:g}, {most:g}]; got {short(value)}")
    if get_origin(hint) is tuple and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    kinds = {
        Secret: "text",
        Path: "a path",
        str: "text",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
    }
    shown = "" if hint is Secret else f"; got {short(value)}"
    raise InputError(f"{where}: {name} must be {kinds.get(hint, 'a list of names')}{shown}")
