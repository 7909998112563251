"""What people changed through the service, kept over restarts: cameras added, paused or removed, thresholds, the model.

A file of its own, because cameras.toml is the operator's and addresses hold passwords: only its owner can read it.
"""

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from refinevad.errors import InputError
from refinevad.files.finite import is_finite
from refinevad.files.json_files import read_own
from refinevad.files.shown import short
from refinevad.files.whole import atomic_write
from refinevad.video.masks import checked_zones
from refinevad.video.zones import Zones


@dataclass(frozen=True)
class Changes:
    """`added`: address of each camera added, credentials included; `removed`: those of cameras.toml left out.

    `sources`: addresses given in the browser to cameras of cameras.toml; `mains`: of streams in full size, "" for
    none; `record`: whether a camera is recorded all the time.
    """

    added: dict[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()
    thresholds: dict[str, float] = field(default_factory=dict)
    model: str | None = None
    zones: dict[str, Any] = field(default_factory=dict)  # of each camera, as video/zones.py writes them
    kept: dict[str, float] = field(default_factory=dict)  # alerts a day at which a camera's threshold is kept
    sources: dict[str, str] = field(default_factory=dict)
    mains: dict[str, str] = field(default_factory=dict)
    record: dict[str, bool] = field(default_factory=dict)

    def with_added(self, name: str, address: str) -> "Changes":
        return replace(self, added={**self.added, name: address}, removed=_without(self.removed, name))

    def with_removed(self, name: str, configured: bool) -> "Changes":
        """`configured`: cameras.toml names it, so that its absence must be remembered."""
        return replace(
            self,
            removed=(*_without(self.removed, name), name) if configured else self.removed,
            paused=_without(self.paused, name),
            added=_but(self.added, name),
            thresholds=_but(self.thresholds, name),
            zones=_but(self.zones, name),
            kept=_but(self.kept, name),
            sources=_but(self.sources, name),
            mains=_but(self.mains, name),
            record=_but(self.record, name),
        )

    def with_paused(self, name: str, paused: bool) -> "Changes":
        others = _without(self.paused, name)
        return replace(self, paused=(*others, name) if paused else others)

    def with_streams(self, name: str, source: str | None, main: str | None, record: bool | None) -> "Changes":
        """Addresses of a camera, None: as they are; `main` "": none."""
        changed = self
        if source is not None and name in self.added:
            changed = replace(changed, added={**self.added, name: source})
        elif source is not None:
            changed = replace(changed, sources={**self.sources, name: source})
        if main is not None:
            changed = replace(changed, mains={**self.mains, name: main})
        return changed if record is None else replace(changed, record={**self.record, name: record})

    def with_threshold(self, name: str, threshold: float | None) -> "Changes":
        others = _but(self.thresholds, name)
        return replace(self, thresholds=others if threshold is None else {**others, name: threshold})

    def with_kept(self, name: str, alerts_per_day: float | None) -> "Changes":
        others = _but(self.kept, name)
        return replace(self, kept=others if alerts_per_day is None else {**others, name: alerts_per_day})

    def with_zones(self, name: str, zones: Zones) -> "Changes":
        return replace(self, zones={**self.zones, name: zones.as_dict()})


def _but(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {camera: value for camera, value in values.items() if camera != name}


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _are_zones(value: object) -> bool:
    try:
        return isinstance(value, dict) and checked_zones(value, "") is not None
    except InputError:
        return False


def _are_texts(value: object) -> bool:
    return isinstance(value, dict) and _are_names([*value.values()])


_KINDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("added", "sources", "mains"), _are_texts),
    "record": lambda value: isinstance(value, dict) and all(isinstance(one, bool) for one in value.values()),
    "removed": _are_names,
    "paused": _are_names,
    "thresholds": lambda value: isinstance(value, dict) and all(is_finite(n) and 0 <= n <= 1 for n in value.values()),
    "kept": lambda value: isinstance(value, dict) and all(is_finite(n) and n > 0 for n in value.values()),
    "model": lambda value: value is None or isinstance(value, str),
    "zones": lambda value: isinstance(value, dict) and all(map(_are_zones, value.values())),
}


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)


class ChangeLog:
    """The file. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Raises InputError where the file is not one of ours."""
        self._path, self._lock = path, threading.Lock()
        self._changes = self._read()

    @property
    def now(self) -> Changes:
        return self._changes

    def change(self, how: Callable[[Changes], Changes]) -> None:
        """Apply a change and write it. Raises InputError where the disk refuses; then nothing changed."""
        with self._lock:
            changed = how(self._changes)
            with atomic_write(self._path) as partial:
                # made with its mode: never readable by others, not for a moment
                descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(asdict(changed), file, indent=1)
            self._changes = changed

    def _read(self) -> Changes:
        if not self._path.exists():
            return Changes()
        content = read_own(self._path, {}, "move it away to begin anew")
        if wrong := [name for name, value in content.items() if name not in _KINDS or not _KINDS[name](value)]:
            said = f"{wrong[0][:60]} is {short(content[wrong[0]])}"
            raise InputError(f"{self._path} is damaged or of another version ({said}); move it away to begin anew")
        names = {name: tuple(content.get(name, ())) for name in ("removed", "paused")}
        numbers = {
            kind: {name: float(value) for name, value in content.get(kind, {}).items()}
            for kind in ("thresholds", "kept")
        }
        return Changes(**{**content, **names, **numbers})
