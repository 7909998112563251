"""What stands in the street: lamp posts, tree trunks, benches, bins; crowns of trees that sway in the wind."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from refinevad.apps.demo.camera import (
    CANVAS_WIDTH,
    FRAME_HEIGHT,
    FRAME_WIDTH,
    MARGIN,
    NEAR_M,
    SUPERSAMPLE,
    reach,
    subpixel,
)
from refinevad.apps.demo.layout import Colour, Layout, Light, Number, light_at
from refinevad.apps.demo.pose import Times

LAMP_HEIGHT_M = 5.2
Place = tuple[Number, Number, Number]  # x, y, z in metres
Bar = tuple[Place, Place, float, Colour]  # from, to, metres thick


class Post:
    """A thing made of straight bars: (start, end, metres thick, colour) in world metres."""

    still = True

    def __init__(
        self,
        bars: list[Bar],
        layout: Layout,
        light: Light,
        frames: int,
    ) -> None:
        ends = np.array([[a, b] for a, b, _, _ in bars])
        pixels, depths = layout.camera.project(ends)
        ground = ends[0, 0]
        self.depth: Times = np.full(frames, layout.camera.view(np.array([ground[0], 0.0, ground[2]]))[2])
        on, columns = reach(pixels.reshape(1, -1, 2))
        self.visible: list[bool] = [on[0] and bool((depths > max(NEAR_M, 2.5)).all())] * frames
        self.columns = np.repeat(columns, frames, axis=0)
        gain = light_at(layout, light, ends[:, 0, 0], ends[:, 0, 2])
        shift = light.sun or (0.0, 0.0)
        flat = ends * np.array([1.0, 0.0, 1.0]) + ends[..., 1:2] * np.array([shift[0], 0.0, shift[1]])
        self._shadow = subpixel(layout.camera.project(flat)[0]).tolist()
        self._bars = [
            (
                *subpixel(pixels[k]).tolist(),
                max(round(width * layout.camera.focal / max(depths[k].mean(), 1.0)), 1),
                tuple(np.clip(np.array(colour) * gain[k], 0, 255).tolist()),
            )
            for k, (_, _, width, colour) in enumerate(bars)
        ]

    def shadow(self, mask: UInt8[np.ndarray, "row column"], frame: int) -> None:
        """Mark the ground the bars shade."""
        for (a, b), (_, _, thick, _) in zip(self._shadow, self._bars, strict=True):
            cv2.line(mask, a, b, 255, thick, cv2.LINE_8, 4)

    def draw(self, canvas: UInt8[np.ndarray, "row column 3"], frame: int) -> None:
        """Paint the bars in order."""
        for a, b, thick, colour in self._bars:
            cv2.line(canvas, a, b, colour, thick, cv2.LINE_AA, 4)


def lamp_post(x: float, z: float, towards: float, layout: Layout, light: Light, frames: int) -> Post:
    """A lamp whose arm reaches `towards` metres over the road."""
    steel = (88.0, 86.0, 84.0)
    head = (250.0, 250.0, 250.0) if light.lamps == 0 else (600.0, 900.0, 1200.0)
    top = (x, LAMP_HEIGHT_M, z)
    return Post(
        [
            ((x, 0, z), (x, 0.8, z), 0.2, steel),
            ((x, 0, z), top, 0.11, steel),
            (top, (x, 5.3, z + towards), 0.08, steel),
            ((x, 5.28, z + 0.6 * towards), (x, 5.28, z + towards), 0.16, head),
        ],
        layout,
        light,
        frames,
    )


def bench(x: float, z: float, layout: Layout, light: Light, frames: int) -> Post:
    """A wooden bench for two, facing the camera."""
    wood, steel = (62.0, 96.0, 142.0), (70.0, 70.0, 70.0)
    bars: list[Bar] = [((x + dx, 0.0, z), (x + dx, 0.45, z), 0.07, steel) for dx in (-0.75, 0.75)]
    bars += [((x - 0.9, 0.45, z + d), (x + 0.9, 0.45, z + d), 0.13, wood) for d in (0.2, 0.0, -0.2)]
    bars += [((x - 0.9, y, z + 0.3), (x + 0.9, y, z + 0.3), 0.12, wood) for y in (0.7, 0.9)]
    return Post([*bars[5:], *bars[:5]], layout, light, frames)


def litter_bin(x: float, z: float, layout: Layout, light: Light, frames: int) -> Post:
    """A green street bin."""
    green = (64.0, 98.0, 52.0)
    return Post(
        [((x, 0.2, z), (x, 0.85, z), 0.5, green), ((x, 0.93, z), (x, 0.97, z), 0.56, (46.0, 66.0, 40.0))],
        layout,
        light,
        frames,
    )


def trunk(x: float, z: float, height: float, layout: Layout, light: Light, frames: int) -> Post:
    """A tree's trunk up into its crown."""
    bark = (58.0, 78.0, 98.0)
    low: Place = (x, 0.0, z)
    return Post(
        [
            (low, (x, height * 0.62, z), 0.26, bark),
            ((x, 0.45 * height, z), (x + 0.5, 0.7 * height, z), 0.14, bark),
            ((x, 0.42 * height, z), (x - 0.6, 0.68 * height, z), 0.13, bark),
        ],
        layout,
        light,
        frames,
    )


class Crown:
    """A tree's leaves: a cut-out in frame pixels that leans with the wind. Drawn after all else: it hangs overhead."""

    def __init__(self, x: float, z: float, height: float, layout: Layout, light: Light, seed: int) -> None:
        rng = np.random.default_rng(seed)
        pixels, depth = layout.camera.project(np.array([x, height * 0.74, z]))
        scale = layout.camera.focal / max(float(depth), 1.0) / SUPERSAMPLE
        self.visible = bool(depth > 4.0) and bool(-100 < pixels[0] < CANVAS_WIDTH + 100)
        self._radius = min(max(round(height * 0.36 * scale), 4), 90)
        self._centre = pixels / SUPERSAMPLE - MARGIN
        size = 2 * self._radius + 1
        self._bent: dict[int, tuple[UInt8[np.ndarray, "row column 3"], UInt8[np.ndarray, "row column 3"]]] = {}
        big = np.zeros((size * 3, size * 3, 4), np.float32)
        gain = light_at(layout, light, np.array(x), np.array(z))
        for shade, count, extent in ((0.62, 60, 0.62), (0.85, 90, 0.58), (1.08, 90, 0.52), (1.3, 40, 0.42)):
            for _ in range(count):
                angle, distance = rng.uniform(0, 2 * np.pi), size * 1.5 * extent * np.sqrt(rng.uniform())
                lift = -(shade - 0.9) * size * 0.35
                spot = (
                    int(size * 1.5 + distance * np.cos(angle)),
                    int(size * 1.5 + lift + 0.85 * distance * np.sin(angle)),
                )
                leaf = np.array([52.0, 116.0, 84.0]) * shade * gain * rng.uniform(0.85, 1.15)
                cv2.circle(
                    big,
                    spot,
                    max(int(size * rng.uniform(0.1, 0.22)), 1),
                    (*np.clip(leaf, 0, 255).tolist(), 1.0),
                    -1,
                )
        small = cv2.resize(big, (size, size), interpolation=cv2.INTER_AREA)
        grain = rng.normal(1.0, 0.12, (size, size, 1))
        self._leaves = np.clip(small[..., :3] * grain, 0, 255).astype(np.uint8)
        self._clear = np.repeat(np.clip(255 * (1 - small[..., 3:]), 0, 255).astype(np.uint8), 3, axis=2)

    def draw(self, picture: UInt8[np.ndarray, "row column 3"], wind: float, shift: Float[np.ndarray, "2"]) -> None:
        """Paint into the frame, the top pushed by `wind` (fractions of the radius) and all moved by `shift` pixels."""
        size = 2 * self._radius + 1
        x, y = (self._centre + shift - self._radius).round().astype(int).tolist()
        left, top, right, bottom = (
            max(x, 0),
            max(y, 0),
            min(x + size, FRAME_WIDTH),
            min(y + size, FRAME_HEIGHT),
        )
        if left >= right or top >= bottom:
            return
        leaves, clear = self._bend(round(wind * 80))
        rows, columns = slice(top - y, bottom - y), slice(left - x, right - x)
        below = picture[top:bottom, left:right]
        behind = cv2.multiply(below, clear[rows, columns], scale=1 / 255)
        cv2.add(behind, leaves[rows, columns], dst=below)

    def _bend(self, step: int) -> tuple[UInt8[np.ndarray, "row column 3"], UInt8[np.ndarray, "row column 3"]]:
        """Leaves and what is seen through them, pushed by step / 80 of the radius; each push is computed once."""
        if step not in self._bent:
            wind, size = step / 80, 2 * self._radius + 1
            lean = np.array([[1.0, -wind, wind * self._radius * 1.6], [0.0, 1.0, 0.5 * wind * self._radius]])
            leaves = cv2.warpAffine(self._leaves, lean, (size, size))
            self._bent[step] = (
                leaves,
                cv2.warpAffine(self._clear, lean, (size, size), borderValue=(255, 255, 255)),
            )
        return self._bent[step]
