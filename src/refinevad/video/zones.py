"""Which parts of a camera's picture count: masks, whose motion never does, and zones, outside of which nothing does.

Areas are polygons in fractions of the upright picture, (0, 0) its upper left corner and (1, 1) its lower right one, so
that they stay where they are when the picture changes its size. A file of them, and a camera's in cameras.toml:

    [[mask]]
    name = "tree"
    points = [[0.1, 0.0], [0.3, 0.0], [0.3, 0.4]]

    [[zone]]
    name = "floor"
    points = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]]
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refinevad.errors import InputError
from refinevad.files.finite import is_finite
from refinevad.files.shown import short
from refinevad.files.toml_files import read_toml

MOST_AREAS, MOST_POINTS, _MOST_NAME = 32, 64, 64
_LEAST_AREA = 1e-5  # of the picture: two pixels of 640 x 360
Point = tuple[float, float]


@dataclass(frozen=True)
class Area:
    """A polygon of the picture: (x, y) of each corner, in order, in fractions of width and height."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Zones:
    """A camera's areas. Falsy where the whole picture counts.

    Attributes:
        masks: what moves there never counts.
        zones: where there are some, what lies in none of them does not count either.
    """

    masks: tuple[Area, ...] = ()
    zones: tuple[Area, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.masks or self.zones)

    def as_dict(self) -> dict[str, list[dict[str, Any]]]:
        """As the file holds them."""
        return {
            kind: [{"name": area.name, "points": [list(point) for point in area.points]} for area in areas]
            for kind, areas in (("mask", self.masks), ("zone", self.zones))
        }

    @property
    def digest(self) -> str:
        """Tells these areas from others, whatever they are called."""
        places = [[area.points for area in areas] for areas in (self.masks, self.zones)]
        return hashlib.sha256(json.dumps(places).encode()).hexdigest()[:16]


def read_zones(path: Path) -> Zones:
    """Areas of a file.

    Raises:
        InputError: no TOML, an unknown key, no area in it, or one that is none.
    """
    found = zones_of(read_toml(path, "zones"), f"zones {path}")
    if not found:
        raise InputError(f"zones {path} hold no area: write each as a table, [[mask]] or [[zone]], with its points")
    return found


def zones_of(values: Mapping[str, Any], where: str) -> Zones:
    """Areas of tables `mask` and `zone`; `where` begins the sentence of an error.

    Raises:
        InputError: an unknown key, an area that is none, or nothing of the picture is left.
    """
    if unknown := sorted(set(values) - {"mask", "zone"}):
        raise InputError(f"{where}: unknown key {unknown[0]!r}; known: mask, zone")
    masks, zones = (_areas(values.get(kind, []), kind, where) for kind in ("mask", "zone"))
    return Zones(masks, zones)


def _areas(tables: Any, kind: str, where: str) -> tuple[Area, ...]:
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise InputError(f"{where}: write each {kind} as a table of its own, with its points")
    if len(tables) > MOST_AREAS:
        raise InputError(f"{where}: {len(tables)} areas of kind {kind}; a camera has {MOST_AREAS} at most")
    return tuple(_area(table, kind, number, where) for number, table in enumerate(tables, start=1))


def _area(table: Mapping[str, Any], kind: str, number: int, where: str) -> Area:
    where = f"{where}, {kind} {number}"
    if unknown := sorted(set(table) - {"name", "points"}):
        raise InputError(f"{where}: unknown key {unknown[0]!r}; known: name, points")
    name, points = table.get("name", f"{kind} {number}"), table.get("points")
    if not isinstance(name, str) or not 0 < len(name) <= _MOST_NAME or not name.isprintable():
        raise InputError(f"{where}: a name is a line of at most {_MOST_NAME} characters; got {short(name)}")
    if not isinstance(points, list | tuple) or not 3 <= len(points) <= MOST_POINTS:
        raise InputError(f"{where}: points are 3 to {MOST_POINTS} corners, [[x, y], ...]; got {short(points)}")
    corners = tuple(_point(point, where) for point in points)
    if abs(_signed_area(corners)) < _LEAST_AREA:
        raise InputError(f"{where}: its corners enclose nothing; draw it again")
    return Area(name, corners)


def _point(point: Any, where: str) -> Point:
    if not isinstance(point, list | tuple) or len(point) != 2 or not all(is_finite(part) for part in point):
        raise InputError(f"{where}: a corner is [x, y]; got {short(point)}")
    x, y = float(point[0]), float(point[1])
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise InputError(f"{where}: a corner lies within the picture, from [0, 0] to [1, 1]; got {short(point)}")
    return x, y


def _signed_area(corners: tuple[Point, ...]) -> float:
    pairs = zip(corners, (*corners[1:], corners[0]), strict=True)
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs) / 2
