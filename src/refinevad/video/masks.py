"""Zones -> pixels: which of a picture are hidden, and what stands in their place.

A hidden pixel gets one grey, whatever the picture shows there, before an encoder sees it. Pictures are scaled before
that, and a scaled pixel mixes several of the camera's: what is hidden reaches as much further as that can be, so that
nothing under a mask changes a bit of what is left.
"""

import math
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32, UInt8

from refinevad.errors import InputError
from refinevad.video.zones import Area, Zones, read_zones, zones_of

GREY = 127  # what the image networks' weights take for nothing at all
_SHIFT = 8  # of OpenCV's fixed-point corners
_LEAST_LEFT = 0.005
_BEYOND_PX = 4.0
_LOOKED_AT = (640, 360)

Size = tuple[int, int]


@lru_cache(maxsize=64)
def hidden(zones: Zones, size: Size, source: Size) -> Bool[np.ndarray, "height width"]:
    """Which pixels of a picture are hidden; read-only.

    Args:
        size: (width, height) of the picture.
        source: (width, height) of the camera's, from which it was scaled; both upright.
    """
    import cv2

    drawn = _drawn(zones, size)
    scale = min(source[0] / size[0], source[1] / size[1])
    # a scaled pixel mixes those within one of its own and within four of the camera's (colour has half its size);
    # one more: a polygon's rim runs through pixels
    reach = math.ceil(1 + 4 / scale) + 1
    grown = cv2.dilate(drawn, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)).astype(bool)
    grown.flags.writeable = False
    return np.asarray(grown)


def blank(
    pixels: UInt8[np.ndarray, "height width *channel"], where: Bool[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width *channel"]:
    """A picture with grey in the place of what is hidden."""
    changed = pixels.copy()
    changed[where] = GREY
    return changed


@lru_cache(maxsize=256)
def share_hidden(zones: Zones) -> float:
    """Which share of the picture is hidden."""
    return float(_drawn(zones, _LOOKED_AT).mean()) if zones else 0.0


def checked_zones(zones: "str | os.PathLike[str] | Zones | Mapping[str, Any] | None", where: str = "") -> Zones:
    """Zones as they are given: some at hand, their file, or tables as the file holds them; None: there are none.

    Raises:
        InputError: an area that is none, or nothing of the picture is left; `where` begins the sentence about tables.
    """
    if zones is None or isinstance(zones, Zones):
        found = zones or Zones()
    elif isinstance(zones, Mapping):
        found = zones_of(zones, where)
    else:
        found, where = read_zones(Path(zones)), f"zones {zones}"
    if share_hidden(found) > 1 - _LEAST_LEFT:
        what = where or "zones"
        raise InputError(f"{what}: masks and zones leave nothing of the picture; make a mask smaller or a zone larger")
    return found


def _drawn(zones: Zones, size: Size) -> UInt8[np.ndarray, "height width"]:
    """1 where the picture is hidden: outside of all zones, where there are some, and under each mask.

    Rims are hidden: a sliver between two of them may be thinner than a pixel.
    """
    import cv2

    width, height = size
    picture = np.full((height, width), int(bool(zones.zones)), np.uint8)
    for area in zones.zones:
        corners = _corners(area, size)
        outside = cv2.fillPoly(np.ones_like(picture), corners, 0, shift=_SHIFT)
        picture &= cv2.polylines(outside, corners, True, 1, shift=_SHIFT)
    for area in zones.masks:
        cv2.fillPoly(picture, _corners(area, size), 1, shift=_SHIFT)
    return picture


def _corners(area: Area, size: Size) -> list[Int32[np.ndarray, "corner 2"]]:
    """As OpenCV takes them: (0, 0) is the middle of the first pixel. The picture's own rim lies beyond it."""
    points = np.array(area.points)
    beyond = _BEYOND_PX * ((points >= 1).astype(float) - (points <= 0))
    return [np.round((points * size - 0.5 + beyond) * (1 << _SHIFT)).astype(np.int32)]
