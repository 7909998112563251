"""Flames, smoke, glow, rain, birds: what is mixed over the finished frame, in frame pixels."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from refinevad.apps.demo.camera import FRAME_HEIGHT, FRAME_WIDTH, MARGIN, SUPERSAMPLE, Camera
from refinevad.apps.demo.layout import Colour
from refinevad.apps.demo.pose import Times

Picture = UInt8[np.ndarray, "row column 3"]


def to_frame(camera: Camera, point: tuple[float, float, float]) -> tuple[float, float, float]:
    """Frame pixel of a world point and how many frame pixels a metre is there."""
    pixels, depth = camera.project(np.array(point))
    x, y = pixels / SUPERSAMPLE - MARGIN
    return float(x), float(y), camera.focal / SUPERSAMPLE / max(float(depth), 1.0)


@lru_cache(maxsize=1)
def _noise() -> Float[np.ndarray, "256 256"]:
    """Tileable soft noise within 0..1."""
    rng = np.random.default_rng(7)
    total = np.zeros((256, 256), np.float32)
    for cells, weight in ((8, 1.0), (16, 0.7), (32, 0.45), (64, 0.25)):
        coarse = np.pad(rng.uniform(0, 1, (cells, cells)), 1, mode="wrap")
        scale = 256 // cells
        fine = cv2.resize(coarse, ((cells + 2) * scale,) * 2, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        total += weight * fine[scale : scale + 256, scale : scale + 256]
    unit: Float[np.ndarray, "256 256"] = (total - total.min()) / (total.max() - total.min())
    return unit


@lru_cache(maxsize=1)
def _flame_colours() -> UInt8[np.ndarray, "256 3"]:
    """Dark red over orange and yellow to white, by heat."""
    heat = np.linspace(0, 1, 256)
    red, green = np.clip(heat * 2.6 + 0.25, 0, 1), np.clip(heat * 1.35 - 0.22, 0, 1)
    blue = np.clip(heat * 2.2 - 1.55, 0, 1)
    return (np.stack([blue, green, red], axis=1) * 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _puffs() -> Float[np.ndarray, "4 64 64"]:
    """Four soft, ragged opacity masks."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    ball = np.clip(1.25 - np.hypot(x, y) * 1.3, 0, 1)
    noise = _noise()
    return np.stack(
        [np.clip(ball * (0.35 + 1.1 * noise[k * 64 : k * 64 + 64, 64:128]), 0, 1) for k in range(4)]
    ).astype(np.float32)


@lru_cache(maxsize=1)
def _halo() -> Float[np.ndarray, "64 64"]:
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    halo: Float[np.ndarray, "64 64"] = np.square(np.clip(1 - np.hypot(x, y), 0, 1)).astype(np.float32)
    return halo


def _window(x: float, y: float, width: int, height: int, coarse: int = 1) -> tuple[slice, slice, slice, slice] | None:
    """Rows and columns of the frame (pixels `coarse` times as large) a patch around (x, y) covers, and of the patch."""
    left, top = round(x - width / 2), round(y - height / 2)
    x0, y0, x1, y1 = (
        max(left, 0),
        max(top, 0),
        min(left + width, FRAME_WIDTH // coarse),
        min(top + height, FRAME_HEIGHT // coarse),
    )
    if x0 >= x1 or y0 >= y1:
        return None
    return slice(y0, y1), slice(x0, x1), slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)


def glow(picture: Picture, x: float, y: float, radius: float, colour: Colour, flat: float = 1.0) -> None:
    """Add a soft light of `radius` pixels; `flat` below 1 squeezes it to a pool on the ground."""
    width, height = max(int(2 * radius), 2), max(int(2 * radius * flat), 2)
    found = _window(x, y, width, height)
    if found is None:
        return
    rows, columns, patch_rows, patch_columns = found
    halo = np.round(_halo()[..., None] * np.array(colour)).astype(np.uint8)
    patch = cv2.resize(halo, (width, height))[patch_rows, patch_columns]
    target = picture[rows, columns]
    cv2.add(target, patch, dst=target)


class Flames:
    """A fire on the ground: `size` is its width in metres for each frame (0: none)."""

    def __init__(self, camera: Camera, at: tuple[float, float, float], size: Times, times: Times) -> None:
        self._x, self._y, self._unit = to_frame(camera, at)
        self._size, self._times = size, times

    def draw(self, picture: Picture, frame: int, shift: Float[np.ndarray, "2"]) -> None:
        """Noise that streams upward, hottest at the foot, and the light it throws around."""
        size, t = float(self._size[frame]), float(self._times[frame])
        if size < 0.05:
            return
        width, height = max(int(size * self._unit * 1.5), 3), max(int(size * self._unit * 1.9), 4)
        base_x, base_y = self._x + shift[0], self._y + shift[1]
        flicker = 0.85 + 0.3 * float(_noise()[int(t * 97) & 255, int(t * 41) & 255])
        glow(picture, base_x, base_y - height * 0.3, min(2.6 * max(width, height), 260.0) * flicker, (16, 60, 105))
        found = _window(base_x, base_y - height / 2, width, height)
        if found is None:
            return
        rows, columns, patch_rows, patch_columns = found
        v = np.linspace(1, 0, height, dtype=np.float32)[:, None]  # 1 at the tip
        u = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
        cells = 60.0 / max(width, 1)
        row, column = np.arange(height) * cells * 0.8, np.arange(width) * cells
        fast = _noise()[np.ix_((row * 1.3 + t * 120).astype(int) & 255, (1.5 * column).astype(int) & 255)]
        slow = _noise()[np.ix_((row * 0.5 + t * 62).astype(int) & 255, (column * 0.6 + 90).astype(int) & 255)]
        lean = u + (slow - 0.5) * 1.6 * v
        broad = 0.80 * (1 - v) ** 0.65 * (1 - 0.45 * (1 - v) ** 14) + 0.04
        heat = 1.02 - 0.62 * (np.abs(lean) / broad) ** 1.3 - 0.42 * v + 1.7 * (fast - 0.5) + 0.5 * (slow - 0.5)
        heat = np.clip(heat, 0, 1)[patch_rows, patch_columns]
        colour = _flame_colours()[(heat * 255).astype(np.uint8)]
        alpha = np.clip(heat * 3.0, 0, 1)[..., None]
        target = picture[rows, columns]
        np.copyto(target, (target * (1 - alpha) + colour * alpha).astype(np.uint8))


class Smoke:
    """Puffs that rise, drift and widen; `rate` is puffs a second for each frame."""

    def __init__(
        self,
        camera: Camera,
        at: tuple[float, float, float],
        rate: Times,
        times: Times,
        colour: Colour,
        rng: np.random.Generator,
        wide_m: float = 0.5,
        life_s: float = 3.6,
    ) -> None:
        self._x, self._y, self._unit = to_frame(camera, at)
        emitted = np.floor(np.cumsum(rate * np.gradient(times))).astype(int)
        born = times[np.flatnonzero(np.diff(emitted, prepend=0))]
        wind = rng.uniform(-0.5, 0.5)
        self._puffs = [
            (float(t), wind + rng.normal(0, 0.18), rng.uniform(0.9, 1.4), rng.normal(0, 0.2), int(rng.integers(4)))
            for t in born
        ]
        self._times, self._colour, self._wide, self._life = times, np.array(colour), wide_m, life_s

    def draw(self, picture: Picture, frame: int, shift: Float[np.ndarray, "2"]) -> None:
        """Gather the living puffs' opacity at half size, then mix their colour in once."""
        now, unit = float(self._times[frame]), self._unit / 2
        clear = np.ones((FRAME_HEIGHT // 2, FRAME_WIDTH // 2), np.float32)
        touched = [FRAME_HEIGHT, 0, FRAME_WIDTH, 0]
        for born, drift, rise, side, mask in self._puffs:
            age = now - born
            if not 0 <= age < self._life:
                continue
            size = int(2 * unit * self._wide * (0.6 + 0.75 * age))
            x = (self._x + shift[0]) / 2 + unit * (side * self._wide * 2 + drift * age)
            found = _window(x, (self._y + shift[1]) / 2 - unit * rise * age, size, size, 2)
            if size < 2 or found is None:
                continue
            rows, columns, patch_rows, patch_columns = found
            fade = 0.95 * min(age * 4, 1.0) * (1 - (age / self._life) ** 1.5)
            clear[rows, columns] *= 1 - cv2.resize(_puffs()[mask], (size, size))[
                patch_rows, patch_columns
            ] * np.float32(fade)
            touched = [
                min(touched[0], rows.start),
                max(touched[1], rows.stop),
                min(touched[2], columns.start),
                max(touched[3], columns.stop),
            ]
        top, bottom, left, right = touched
        if top >= bottom:
            return
        target = picture[2 * top : 2 * bottom, 2 * left : 2 * right]
        seen = cv2.resize(clear[top:bottom, left:right], (target.shape[1], target.shape[0]))[..., None]
        shade = self._colour * (1.06 - 0.12 * seen)  # thick smoke is a little lighter
        np.copyto(target, np.minimum(target * seen + shade.astype(np.float32) * (1 - seen), 255).astype(np.uint8))


class Rain:
    """Slanting streaks; `amount` drops a frame."""

    def __init__(self, rng: np.random.Generator, frames: int, amount: int) -> None:
        x, y = (
            rng.uniform(-20, FRAME_WIDTH, (frames, amount)),
            rng.uniform(-20, FRAME_HEIGHT, (frames, amount)),
        )
        length = rng.uniform(5, 14, (frames, amount))
        start = np.stack([x, y], axis=-1)
        self._streaks = np.stack([start, start + np.stack([0.22 * length, length], axis=-1)], axis=2).astype(np.int32)

    def draw(self, picture: Picture, frame: int, shift: Float[np.ndarray, "2"]) -> None:
        """Add this frame's streaks as faint light."""
        veil = np.zeros_like(picture)
        cv2.polylines(veil, list(self._streaks[frame]), False, (52, 50, 48), 1, cv2.LINE_AA)
        cv2.add(picture, veil, dst=picture)


class Birds:
    """A small flock that crosses the picture from `start` seconds on."""

    def __init__(self, rng: np.random.Generator, times: Times, start: float, dark: bool) -> None:
        count = int(rng.integers(3, 8))
        side = float(rng.choice(np.array([-1.0, 1.0])))
        speed = rng.uniform(70, 120)
        origin = FRAME_WIDTH / 2 - side * (FRAME_WIDTH / 2 + 30)
        offsets = rng.uniform(-1, 1, (count, 2)) * np.array([38, 16])
        height = rng.uniform(25, 90)
        path = np.stack([origin + side * speed * (times - start), height - 14 * (times - start)], axis=1)
        self._at = path[:, None] + offsets[None]
        self._beat = np.sin(2 * np.pi * rng.uniform(3.5, 5, count) * times[:, None] + rng.uniform(0, 6, count))
        self._alive = (times >= start).tolist()
        self._size = rng.uniform(3.0, 5.5)
        self._ink = (30, 30, 32) if dark else (60, 58, 56)

    def draw(self, picture: Picture, frame: int, shift: Float[np.ndarray, "2"]) -> None:
        """Two wing strokes each."""
        if not self._alive[frame]:
            return
        for (x, y), beat in zip(self._at[frame], self._beat[frame], strict=True):
            wing = np.array(
                [
                    [x - self._size, y - self._size * 0.7 * beat],
                    [x, y],
                    [x + self._size, y - self._size * 0.7 * beat],
                ]
            )
            cv2.polylines(picture, [(wing * 16).astype(np.int32)], False, self._ink, 1, cv2.LINE_AA, 4)


class Beam:
    """The head lamps of a vehicle at night: a halo at its front and a pool on the road ahead of it."""

    def __init__(self, camera: Camera, front: Float[np.ndarray, "frame 3"], heading: Times) -> None:
        ahead = np.stack([np.cos(heading), np.zeros_like(heading), -np.sin(heading)], axis=1)
        pool = (front + 3.5 * ahead) * np.array([1.0, 0.0, 1.0])
        self._at = [camera.project(points) for points in (front, pool)]
        self._unit = camera.focal / SUPERSAMPLE

    def draw(self, picture: Picture, frame: int, shift: Float[np.ndarray, "2"]) -> None:
        """Add halo and pool where they are before the camera."""
        for (pixels, depth), size, colour, flat in zip(
            self._at, (0.9, 3.2), ((70, 85, 95), (46, 58, 64)), (1.0, 0.5), strict=True
        ):
            if depth[frame] > 3:
                x, y = pixels[frame] / SUPERSAMPLE - MARGIN + shift
                glow(picture, float(x), float(y), size * self._unit / float(depth[frame]), colour, flat)


class Debris:
    """Splinters thrown up by an impact at `start` seconds; they fall, slide and stay lying."""

    def __init__(
        self,
        camera: Camera,
        at: tuple[float, float, float],
        start: float,
        times: Times,
        rng: np.random.Generator,
    ) -> None:
        count = 45
        # all to the camera's side: painted over the frame, what landed behind the wrecks would lie on them
        spread = rng.normal(0, 1, (count, 3)) * np.array([2.6, 1.2, 1.4])
        velocity = np.column_stack([spread[:, 0], 3.0 + spread[:, 1], -1.6 - np.abs(spread[:, 2])])
        age = np.maximum(times - start, 0)[:, None]
        landing = (velocity[:, 1] + np.sqrt(velocity[:, 1] ** 2 + 19.62 * at[1])) / 9.81
        flying = np.minimum(age, landing + 0.15)
        x, z = at[0] + velocity[:, 0] * flying, at[2] + velocity[:, 2] * flying
        y = np.maximum(at[1] + velocity[:, 1] * flying - 4.905 * flying**2, 0.02)
        pixels, depth = camera.project(np.stack([x, y, z], axis=2))
        self._at = pixels / SUPERSAMPLE - MARGIN
        self._radius = np.maximum(
            rng.uniform(0.03, 0.09, count) * camera.focal / SUPERSAMPLE / np.maximum(depth, 2), 0.6
        )
        self._ink = [(40, 40, 42), (150, 150, 150), (205, 210, 210), (50, 60, 130)]
        self._started = (times >= start).tolist()

    def draw(self, picture: Picture, frame: int, shift: Float[np.ndarray, "2"]) -> None:
        """Paint the splinters as dots."""
        if self._started[frame]:
            points = ((self._at[frame] + shift) * 16).astype(int).tolist()
            for k, (point, radius) in enumerate(zip(points, self._radius[frame], strict=True)):
                cv2.circle(picture, point, int(radius * 16), self._ink[k % 4], -1, cv2.LINE_AA, 4)
