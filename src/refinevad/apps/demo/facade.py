"""The front of a house as a flat picture, and what of it shines at night."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import UInt8

from refinevad.apps.demo.layout import Colour, House

PIXELS_A_METRE = 26
SHOP_HEIGHT_M = 3.6
STOREY_M = 3.1

Picture = UInt8[np.ndarray, "row column 3"]


def _box(picture: Picture, x: float, y: float, width: float, height: float, colour: Colour) -> None:
    """Fill a box given in metres from the lower left corner of the front."""
    s, rows = PIXELS_A_METRE, picture.shape[0]
    corner = (round(x * s), round(rows - (y + height) * s))
    opposite = (round((x + width) * s), round(rows - y * s))
    cv2.rectangle(picture, corner, opposite, colour, -1)


def _shade(colour: Colour, gain: float) -> Colour:
    return (min(colour[0] * gain, 255), min(colour[1] * gain, 255), min(colour[2] * gain, 255))


def _window(front: Picture, glow: Picture, x: float, y: float, wall: Colour, rng: np.random.Generator) -> None:
    """One upstairs window: frame, two panes that mirror the sky, perhaps curtains, a sill; perhaps a light."""
    _box(front, x - 0.12, y - 0.1, 1.34, 1.8, _shade(wall, 1.22))
    _box(front, x, y, 1.1, 1.6, (236, 238, 238))
    pane = (96 + 30 * rng.random(), 78 + 20 * rng.random(), 60 + 15 * rng.random())
    lit = rng.random() < 0.35
    for side in (0.05, 0.58):
        _box(front, x + side, y + 0.06, 0.47, 1.48, pane)
        _box(front, x + side, y + 0.9, 0.47, 0.64, _shade(pane, 1.35))
        if lit:
            _box(
                glow,
                x + side,
                y + 0.06,
                0.47,
                1.48,
                (95, 165, 215) if rng.random() < 0.7 else (190, 190, 170),
            )
    if rng.random() < 0.5:
        _box(front, x + 0.05, y + 0.06, 0.24, 1.48, (205, 212, 220))
        _box(front, x + 0.81, y + 0.06, 0.24, 1.48, (205, 212, 220))
    _box(front, x - 0.18, y - 0.2, 1.46, 0.14, _shade(wall, 0.7))


def _shop(front: Picture, glow: Picture, house: House, rng: np.random.Generator) -> None:
    """Shop windows with goods, a door and the name over them."""
    hue = np.array([[[int(rng.integers(180)), 125, 120]]], np.uint8)
    trim = tuple(float(c) for c in cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0])
    accent: Colour = (trim[0], trim[1], trim[2])
    _box(front, 0.2, 0.0, house.width - 0.4, SHOP_HEIGHT_M - 0.2, _shade(accent, 0.8))
    door = house.width / 2 - 0.6
    bays = [(0.6, door - 0.3), (door + 1.5, house.width - 0.6)]
    for left, right in bays:
        _box(front, left, 0.45, right - left, 2.1, (98, 88, 76))
        _box(front, left, 0.45, right - left, 0.9, (120, 132, 138))
        _box(glow, left, 0.45, right - left, 2.1, (105, 165, 200))
        for x in np.arange(left + 0.2, right - 0.5, 0.62):
            tint = (float(rng.integers(60, 230)), float(rng.integers(60, 230)), float(rng.integers(60, 230)))
            tall = float(rng.uniform(0.3, 1.2))
            _box(front, float(x), 0.55, 0.42, tall, tint)
            _box(glow, float(x), 0.55, 0.42, tall, _shade(tint, 0.75))
        _box(front, (left + right) / 2 - 0.04, 0.45, 0.08, 2.1, _shade(accent, 0.9))
    _box(front, door, 0.0, 1.2, 2.5, (70, 64, 58))
    _box(front, door + 0.12, 0.3, 0.96, 2.0, (130, 120, 106))
    _box(glow, door + 0.12, 0.3, 0.96, 2.0, (80, 130, 160))
    _box(front, 0.3, 2.75, house.width - 0.6, 0.75, _shade(accent, 1.25))
    origin = (
        round((house.width / 2 - 0.34 * len(house.shop)) * PIXELS_A_METRE),
        front.shape[0] - round(2.9 * PIXELS_A_METRE),
    )
    for picture, ink in ((front, (245, 245, 245)), (glow, (225, 235, 240))):
        cv2.putText(picture, house.shop, origin, cv2.FONT_HERSHEY_DUPLEX, 0.75, ink, 2, cv2.LINE_AA)


@lru_cache(maxsize=256)
def paint_front(house: House) -> tuple[Picture, Picture]:
    """The front's surface colours, and the light its windows give off at night (black: none)."""
    rng = np.random.default_rng(house.seed)
    size = (round(house.height * PIXELS_A_METRE), round(house.width * PIXELS_A_METRE))
    grain = rng.normal(0, 4.0, (*size, 1)) + cv2.resize(rng.normal(0, 5.0, (9, 12)), size[::-1])[..., None]
    front = np.clip(np.array(house.wall) + grain, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        front[:: PIXELS_A_METRE // 4] = np.clip(np.array(house.wall) * 0.88, 0, 255).astype(np.uint8)
    glow = np.zeros_like(front)
    first = SHOP_HEIGHT_M + 0.75 if house.shop else 1.2
    columns = max(int((house.width - 1.0) / 2.3), 1)
    pitch = house.width / columns
    for y in np.arange(first, house.height - 2.0, STOREY_M):
        for column in range(columns):
            _window(front, glow, (column + 0.5) * pitch - 0.55, float(y), house.wall, rng)
        if house.shop or y > first:
            _box(front, 0.0, float(y) - 0.62, house.width, 0.12, _shade(house.wall, 0.78))
    _box(front, 0.0, house.height - 0.5, house.width, 0.5, _shade(house.wall, 0.66))
    _box(front, 0.0, house.height - 0.28, house.width, 0.12, _shade(house.wall, 1.2))
    if house.shop:
        _shop(front, glow, house, rng)
    else:
        _box(front, house.width / 2 - 0.6, 0.0, 1.3, 2.4, (62, 70, 92))
        _box(front, 0.0, 0.0, house.width, 0.5, _shade(house.wall, 0.7))
    return front, glow
