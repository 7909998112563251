"""The still picture of a place by one light: sky, houses, ground. Painted once for a camera and light."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from refinevad.apps.demo.camera import CANVAS_HEIGHT, CANVAS_WIDTH, Camera, subpixel
from refinevad.apps.demo.facade import SHOP_HEIGHT_M, paint_front
from refinevad.apps.demo.layout import Colour, House, Layout, Light, light_at

Canvas = UInt8[np.ndarray, "row column 3"]
Texture = UInt8[np.ndarray, "texture_row texture_column 3"]
World = Float[np.ndarray, "row column"]


@dataclass(frozen=True)
class Backdrop:
    """The still picture, and the same with every ground point in shadow."""

    lit: Canvas
    shaded: Canvas


def fill(canvas: Canvas, polygon: Float[np.ndarray, "corner 2"], colour: Colour) -> None:
    """Fill a convex polygon given in canvas pixels."""
    if len(polygon) >= 3:
        cv2.fillConvexPoly(canvas, subpixel(polygon), colour, cv2.LINE_AA, 4)


def _times(colour: Colour, gain: Float[np.ndarray, "3"] | tuple[float, float, float]) -> Colour:
    return (min(colour[0] * gain[0], 255.0), min(colour[1] * gain[1], 255.0), min(colour[2] * gain[2], 255.0))


def _quad(left: float, right: float, z: float, low: float, high: float) -> Float[np.ndarray, "corner 3"]:
    return np.array([[left, high, z], [right, high, z], [right, low, z], [left, low, z]])


@lru_cache(maxsize=1)
def _grain() -> Float[np.ndarray, "512 512"]:
    """Tileable surface noise, mean 0 and standard deviation 1, fine and coarse grains together."""
    rng = np.random.default_rng(20)
    noise = np.zeros((512, 512), np.float32)
    for cells, weight in ((512, 0.55), (128, 0.6), (32, 0.6), (8, 0.5)):
        coarse = np.pad(rng.normal(0, 1, (cells, cells)), 1, mode="wrap")
        scale = 512 // cells
        fine = cv2.resize(coarse, ((cells + 2) * scale,) * 2, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        noise += weight * fine[scale : scale + 512, scale : scale + 512]
    unit: Float[np.ndarray, "512 512"] = noise / noise.std()
    return unit


def _sample_grain(x: World, z: World, cell_m: float) -> World:
    near = np.isfinite(x) & np.isfinite(z)
    column = np.where(near, x / cell_m, 0).astype(np.int64) & 511
    row = np.where(near, z / cell_m, 0).astype(np.int64) & 511
    return np.asarray(_grain()[row, column])


def _stripes(x: World, period_m: float, width_m: float) -> Bool[np.ndarray, "row column"]:
    inside: Bool[np.ndarray, "row column"] = np.mod(x, period_m) < width_m
    return inside


def _ground(layout: Layout, x: World, z: World) -> Float[np.ndarray, "row column 3"]:
    """Surface colours of asphalt, paving, kerbs and road markings at each canvas pixel's ground point."""
    finite = np.isfinite(x)
    x, z = np.where(finite, x, 0.0), np.where(finite, z, 1e6)
    road = (z > layout.near_edge) & (z < layout.far_edge)
    if layout.side_street:
        side = (x > layout.side_street[0]) & (x < layout.side_street[1]) & (z >= layout.far_edge)
        road |= side
    fade = np.exp(-z / 14.0)  # fine lines vanish with distance
    seams = _stripes(x + layout.tile_m * 0.5 * (np.floor(z / layout.tile_m) % 2), layout.tile_m, 0.05)
    seams |= _stripes(z, layout.tile_m, 0.05)
    tiles = np.array(layout.paving, np.float32) * (1.0 - 0.30 * (seams * np.minimum(fade * 1.6, 1.0)))[..., None]
    patch = _grain()[
        np.floor(z / layout.tile_m).astype(np.int64) & 511, np.floor(x / layout.tile_m).astype(np.int64) & 511
    ]
    tiles += (5.0 * patch)[..., None]
    asphalt = np.array([92.0, 90.0, 88.0], np.float32) * np.ones((*x.shape, 1), np.float32)
    wear = np.abs(np.abs((z - layout.near_edge) / (layout.far_edge - layout.near_edge) - 0.5) - 0.25)
    asphalt -= (7.0 * np.exp(-((wear * 9) ** 2)))[..., None]
    colours = np.where(road[..., None], asphalt, tiles)
    middle = (layout.near_edge + layout.far_edge) / 2
    crossing = (np.abs(x - layout.crossing_x) < 1.7) & road & (z < layout.far_edge)
    paint = crossing & _stripes(z - layout.near_edge, 1.0, 0.5)
    paint |= road & (np.abs(z - middle) < 0.07) & _stripes(x, 3.2, 1.7) & ~crossing
    paint |= (
        road & (np.abs(x - layout.crossing_x) > 2.4) & (np.abs(x - layout.crossing_x) < 2.7) & (z < layout.far_edge)
    )
    colours[paint] = (205, 208, 208)
    for edge in (layout.near_edge, layout.far_edge):
        kerb = np.abs(z - edge) < 0.14
        gutter = np.abs(z - edge - np.sign(middle - edge) * 0.26) < 0.12
        if layout.side_street and edge == layout.far_edge:
            kerb &= ~((x > layout.side_street[0]) & (x < layout.side_street[1]))
        colours[gutter] *= 0.72
        colours[kerb] = (178, 182, 184)
    grain = 4.0 * _sample_grain(x, z, 0.05) + 4.0 * _sample_grain(x, z, 0.31)
    colours += (grain * np.minimum(1.5 * np.exp(-z / 30.0), 1.0))[..., None]
    hole = (x - layout.crossing_x - 4.0) ** 2 + (z - middle + 1.2) ** 2
    colours[hole < 0.14] = (58, 58, 58)
    return np.clip(colours, 0, 255)


def _sky(canvas: Canvas, light: Light, rng: np.random.Generator) -> None:
    """A gradient with clouds, or stars' darkness, down to the middle of the canvas."""
    rows = CANVAS_HEIGHT // 2
    share = np.linspace(0, 1, rows)[:, None, None] ** 0.7
    sky = np.array(light.sky_top) * (1 - share) + np.array(light.sky_low) * share
    shift = int(rng.integers(512))
    clouds = cv2.resize(np.roll(_grain(), shift, 1)[::16, ::16], (CANVAS_WIDTH, rows), interpolation=cv2.INTER_CUBIC)
    cover = np.clip(clouds - 0.2, 0, 1)[..., None] * (0.55 if light.lamps == 0 else 0.12)
    canvas[:rows] = np.clip(sky + (np.array(light.sky_low) * 1.08 - sky) * cover, 0, 255)


def _skyline(canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator) -> None:
    """Distant houses and trees in the haze, all around."""
    haze = np.array(light.sky_low) * 0.72 + 0.28 * np.array([110.0, 110, 100]) * np.array(light.ambient)
    for z, gain in ((95.0, 0.98), (70.0, 0.88)):
        for x in np.arange(-190.0, 260.0, 9.0):
            top = float(rng.uniform(7, 19))
            colour = tuple(haze * gain * rng.uniform(0.93, 1.04))
            fill(canvas, camera.polygon(_quad(x, x + 9.2, z, 0.0, top)), (colour[0], colour[1], colour[2]))
    for x in np.arange(-170.0, 220.0, 4.0):
        pixels, depth = camera.project(np.array([x, float(rng.uniform(1.5, 4.0)), 60.0]))
        if depth > 5:
            radius = int(camera.focal * rng.uniform(2.0, 3.2) / depth)
            green = _times((70, 112, 88), light.ambient)
            cv2.circle(canvas, (int(pixels[0]), int(pixels[1])), radius, green, -1, cv2.LINE_AA)


def _paste(canvas: Canvas, camera: Camera, corners: Float[np.ndarray, "4 3"], picture: Texture, glow: Texture) -> None:
    """Warp a front onto its four world corners (only where all lie before the camera), adding its own light."""
    pixels, depth = camera.project(corners)
    if (depth < 1.0).any():
        return
    height, width = picture.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    if (pixels[:, 0].max() < 0) or (pixels[:, 0].min() > CANVAS_WIDTH):
        return
    matrix = cv2.getPerspectiveTransform(source, pixels.astype(np.float32))
    size = (CANVAS_WIDTH, CANVAS_HEIGHT)
    mask = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, size)
    total = cv2.add(picture, glow)
    warped = cv2.warpPerspective(total, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cv2.copyTo(warped, (mask > 127).astype(np.uint8), canvas)


def _house(canvas: Canvas, camera: Camera, house: House, light: Light) -> None:
    """Front, the side walls that look out on a gap, and an awning over the shop."""
    front, glow = paint_front(house)
    rise = np.linspace(0.75, 1.15, front.shape[0])[:, None, None] if light.lamps else np.ones((1, 1, 1))
    surface = np.clip(front * np.array(light.ambient) * rise, 0, 255).astype(np.uint8)
    if light.lamps:
        pool = np.exp(-np.linspace(house.height, 0, front.shape[0]) / 3.0)[:, None, None]
        surface = np.clip(surface + front * pool * light.lamps * 0.30 * np.array([0.45, 0.75, 1.0]), 0, 255).astype(
            np.uint8
        )
    shine = np.clip(glow * (0.85 * light.lamps), 0, 255).astype(np.uint8)
    right = house.left + house.width
    wall = _times(house.wall, tuple(np.array(light.ambient) * 0.62))
    for x, faces_right in ((house.left, False), (right, True)):
        if (x < 0) == faces_right:
            side = np.array(
                [
                    [x, house.height, house.z],
                    [x, house.height, house.z + 12],
                    [x, 0, house.z + 12],
                    [x, 0, house.z],
                ]
            )
            fill(canvas, camera.polygon(side), wall)
    _paste(canvas, camera, _quad(house.left, right, house.z, 0.0, house.height), surface, shine)
    if house.shop and house.seed % 3:
        stripe = ((70, 70, 190), (90, 140, 60), (150, 90, 60), (60, 160, 210))[house.seed % 4]
        for k, x in enumerate(np.arange(house.left + 0.5, right - 0.5, 0.5)):
            colour = stripe if k % 2 else (232, 234, 236)
            cloth = np.array(
                [
                    [x, SHOP_HEIGHT_M - 0.8, house.z],
                    [x + 0.5, SHOP_HEIGHT_M - 0.8, house.z],
                    [x + 0.5, 2.3, house.z - 1.0],
                    [x, 2.3, house.z - 1.0],
                ]
            )
            gain = light_at_front(light)
            fill(canvas, camera.polygon(cloth), _times(colour, gain))


def light_at_front(light: Light) -> tuple[float, float, float]:
    """Colour gain of things that stand before the houses."""
    warm = np.array(light.ambient) + light.lamps * np.array([0.12, 0.2, 0.26])
    return float(warm[0]), float(warm[1]), float(warm[2])


@lru_cache(maxsize=8)
def paint_backdrop(layout: Layout, light: Light) -> Backdrop:
    """Paint the place; equal arguments give equal pixels."""
    rng = np.random.default_rng([layout.number, 5])
    canvas = np.zeros((CANVAS_HEIGHT, CANVAS_WIDTH, 3), np.uint8)
    _sky(canvas, light, rng)
    x, z = (axis.astype(np.float32) for axis in layout.camera.ground())
    near_x, near_z = np.where(np.isfinite(x), x, 1e6), np.where(np.isfinite(z), z, 1e6)
    gain = light_at(layout, light, near_x, near_z)
    surface = _ground(layout, x, z)
    below = np.isfinite(x)
    haze = np.exp(-np.hypot(near_x, near_z) / 220.0)[..., None]
    lit = np.clip((surface * gain) * haze + np.array(light.sky_low, np.float32) * 0.8 * (1 - haze), 0, 255)
    canvas[below] = lit[below]
    _skyline(canvas, layout.camera, light, rng)
    horizon = below & (np.hypot(near_x, near_z) < 58)
    canvas[horizon] = lit[horizon]
    for house in sorted(layout.houses, key=lambda h: -abs(h.left + h.width / 2)):
        _house(canvas, layout.camera, house, light)
    sun_gain = 0.52 if light.sun else 0.72
    shaded = np.clip(canvas * np.array([sun_gain * 1.08, sun_gain, sun_gain * 0.96]), 0, 255).astype(np.uint8)
    return Backdrop(canvas, shaded)
