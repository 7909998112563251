"""Cars and vans: a side profile drawn out to a body, with glass, wheels and lamps, shaded face by face."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from refinevad.apps.demo.camera import reach, subpixel
from refinevad.apps.demo.layout import Colour, Layout, Light, light_at
from refinevad.apps.demo.pose import Times

# (metres ahead of the middle, metres up), front first, over the roof to the back
SALOON = np.array(
    [
        [2.15, 0.28],
        [2.18, 0.62],
        [1.95, 0.82],
        [1.0, 0.96],
        [0.35, 1.42],
        [-0.95, 1.45],
        [-1.55, 1.02],
        [-2.05, 0.95],
        [-2.12, 0.3],
    ]
)
HATCH = np.array(
    [
        [1.9, 0.28],
        [1.93, 0.65],
        [1.7, 0.86],
        [0.95, 1.0],
        [0.35, 1.50],
        [-1.3, 1.52],
        [-1.75, 1.05],
        [-1.85, 0.9],
        [-1.85, 0.3],
    ]
)
VAN = np.array(
    [
        [2.45, 0.3],
        [2.48, 0.8],
        [2.3, 1.05],
        [1.75, 1.2],
        [1.25, 2.1],
        [-2.3, 2.15],
        [-2.42, 1.2],
        [-2.44, 0.95],
        [-2.4, 0.32],
    ]
)
PROFILES = {"saloon": (SALOON, 0.86), "hatch": (HATCH, 0.84), "van": (VAN, 0.95)}
PAINTS: tuple[Colour, ...] = (
    (40, 40, 165),
    (150, 95, 40),
    (205, 205, 205),
    (52, 50, 50),
    (150, 148, 145),
    (70, 110, 60),
    (60, 170, 215),
    (110, 40, 30),
)
GLASS = np.array([92.0, 80.0, 66.0])
GLASS_STRIPS = (3, 5)  # profile edges that are the windscreen and the rear window
WHEEL_M = 0.33


@dataclass(frozen=True)
class Drive:
    """Where a vehicle is for each frame: ground middle, heading (0: along +x, counted towards -z), brake lamps 0..1."""

    x: Times
    z: Times
    heading: Times
    brake: Times
    lamps_on: bool = True


@dataclass(frozen=True)
class Body:
    """Kind of vehicle and paint."""

    kind: str
    paint: Colour
    crumpled_at: int | None = None  # frame after which the front is bent


def pick_body(rng: np.random.Generator) -> Body:
    """A random vehicle of the town."""
    kind = str(rng.choice(np.array(["saloon", "saloon", "hatch", "van"])))
    return Body(kind, PAINTS[int(rng.integers(len(PAINTS)))])


class Vehicle:
    """One vehicle through a video; every frame's pixels are computed beforehand."""

    still = False

    def __init__(self, drive: Drive, body: Body, layout: Layout, light: Light) -> None:
        profile, half = PROFILES[body.kind]
        upper = profile[:, 1] > 1.0
        inset = np.where(upper, half - 0.16, half)
        left = np.stack([profile[:, 0], profile[:, 1], inset], axis=1)
        right = left * np.array([1.0, 1.0, -1.0])
        wheel_x = (float(profile[0, 0] - 0.78), float(profile[-1, 0] + 0.72))
        angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        wheels = [
            np.stack([x + WHEEL_M * np.cos(angle), WHEEL_M + WHEEL_M * np.sin(angle), np.full(12, side * half)], axis=1)
            for side in (1.0, -1.0)
            for x in wheel_x
        ]
        self._count = len(profile)
        local = np.concatenate([left, right, *wheels])
        bent = local.copy()
        front = bent[:, 0] > profile[0, 0] - 0.9
        bent[front, 0] -= 0.5 * (bent[front, 0] - profile[0, 0] + 0.9) / 0.9
        bent[front & (local[:, 1] > 0.7), 1] += 0.16
        frames = len(drive.x)
        when = frames if body.crumpled_at is None else body.crumpled_at
        shape = np.where((np.arange(frames) >= when)[:, None, None], bent[None], local[None])
        sin, cos = np.sin(drive.heading)[:, None], np.cos(drive.heading)[:, None]
        world = np.stack(
            [
                drive.x[:, None] + cos * shape[..., 0] + sin * shape[..., 2],
                shape[..., 1],
                drive.z[:, None] - sin * shape[..., 0] + cos * shape[..., 2],
            ],
            axis=2,
        )
        pixels, depths = layout.camera.project(world)
        self.depth: Times = layout.camera.view(np.stack([drive.x, np.zeros(frames), drive.z], axis=1))[:, 2]
        on, self.columns = reach(pixels)
        self.visible: list[bool] = (np.array(on) & (depths.min(axis=1) > 1.5)).tolist()
        self._points = subpixel(pixels)
        self._panes, self._rims = self._insets(pixels)
        gain = light_at(layout, light, drive.x, drive.z)
        shine = self._shade(world, light)
        self._paint = np.clip(np.array(body.paint) * gain[:, None] * shine[..., None], 0, 255).tolist()
        self._glass = np.clip(GLASS * np.maximum(gain, 0.3), 0, 255).tolist()
        self._dark = np.clip(np.array([34.0, 34.0, 36.0]) * np.maximum(gain, 0.4), 0, 255).tolist()
        self._rim = np.clip(np.array([150.0, 150.0, 150.0]) * gain, 0, 255).tolist()
        self._lamps = drive.lamps_on and light.lamps > 0
        self._brake = drive.brake
        self._facing = self._sides(world, layout.camera.height_m)
        shift = light.sun or (0.25, 0.0)
        flat = world * np.array([1.0, 0.0, 1.0]) + world[..., 1:2] * np.array([shift[0], 0.0, shift[1]])
        shadow = np.concatenate(
            [flat[:, : 2 * self._count], world[:, : 2 * self._count] * np.array([1.0, 0.0, 1.0])], axis=1
        )
        self._shadow = subpixel(layout.camera.project(shadow)[0])
        self._unit = (layout.camera.focal / np.maximum(self.depth, 1.0)).tolist()
        self.front: Float[np.ndarray, "frame 3"] = world[:, [1, 1 + self._count]].mean(axis=1)
        self.heading = drive.heading

    def _shade(self, world: Float[np.ndarray, "frame vertex 3"], light: Light) -> Float[np.ndarray, "frame face"]:
        """Brightness of each profile strip and of the two sides: bright above, darker away from the sun."""
        count = self._count
        left, right = world[:, :count], world[:, count : 2 * count]
        along = np.roll(left, -1, axis=1) - left
        normal = np.cross(along, right - left)
        normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-9)
        normal *= np.where(normal[..., 1:2] < -0.05, -1.0, 1.0)
        sun = light.sun or (0.0, 0.0)
        towards = np.array([-sun[0], 1.0, -sun[1]]) / np.linalg.norm([sun[0], 1.0, sun[1]])
        strips = 0.72 + 0.42 * np.clip(normal @ towards, -0.3, 1.0)
        return np.concatenate([strips, np.full((len(world), 2), 0.80)], axis=1)

    def _sides(self, world: Float[np.ndarray, "frame vertex 3"], height: float) -> Float[np.ndarray, "frame strip"]:
        """Per profile strip and for the left side: positive where the camera sees it from outside."""
        count = self._count
        left, right = world[:, :count], world[:, count : 2 * count]
        normal = np.cross(right - left, np.roll(left, -1, axis=1) - left)
        centre = (left + right) / 2
        middle = centre.mean(axis=1, keepdims=True)
        outward = np.sign((normal * ((centre + np.roll(centre, -1, axis=1)) / 2 - middle)).sum(axis=2))
        eye = np.array([0.0, height, 0.0])
        strips = ((eye - centre) * normal).sum(axis=2) * outward
        side = ((eye - left[:, 0]) * (left[:, 0] - right[:, 0])).sum(axis=1)
        return np.concatenate([strips, side[:, None]], axis=1)

    def _insets(
        self, pixels: Float[np.ndarray, "frame vertex 2"]
    ) -> tuple[Int[np.ndarray, "frame 4 4 2"], Int[np.ndarray, "frame 4 12 2"]]:
        """Panes within the windscreen, rear window, left and right cabin; rims within the four wheels."""
        count = self._count
        across = [[k, k + 1, count + k + 1, count + k] for k in GLASS_STRIPS]
        panes = pixels[:, np.array([*across, [3, 4, 5, 6], [count + 3, count + 4, count + 5, count + 6]])]
        middle = panes.mean(axis=2, keepdims=True)
        wheels = pixels[:, 2 * count :].reshape(len(pixels), 4, 12, 2)
        hub = wheels.mean(axis=2, keepdims=True)
        return subpixel(middle + (panes - middle) * 0.83), subpixel(hub + (wheels - hub) * 0.55)

    def shadow(self, mask: UInt8[np.ndarray, "row column"], frame: int) -> None:
        """Mark the ground this vehicle shades."""
        cv2.fillConvexPoly(mask, cv2.convexHull(self._shadow[frame]), 255, cv2.LINE_8, 4)

    def draw(self, canvas: UInt8[np.ndarray, "row column 3"], frame: int) -> None:
        """Paint the visible strips, the visible side with its windows, the wheels and the lamps."""
        points, count, facing = self._points[frame], self._count, self._facing[frame]
        base = 0 if facing[-1] > 0 else count
        self._wheels(canvas, frame, 24 if base == 0 else 0, rim=False)
        for k in range(count - 1):
            if facing[k] <= 0:
                continue
            quad = points[[k, k + 1, count + k + 1, count + k]]
            cv2.fillConvexPoly(canvas, quad, self._paint[frame][k], cv2.LINE_8, 4)
            if k in GLASS_STRIPS:
                pane = self._panes[frame, GLASS_STRIPS.index(k)]
                cv2.fillConvexPoly(canvas, pane, self._glass[frame], cv2.LINE_8, 4)
        side = points[base : base + count]
        colour = self._paint[frame][count]
        lower = side[[0, 1, 2, 3, 6, 7, 8]]
        cv2.fillPoly(canvas, [lower], colour, cv2.LINE_8, 4)
        cabin = side[[3, 4, 5, 6]]
        cv2.fillConvexPoly(canvas, cabin, colour, cv2.LINE_8, 4)
        pane = self._panes[frame, 2 if base == 0 else 3]
        cv2.fillConvexPoly(canvas, pane, self._glass[frame], cv2.LINE_8, 4)
        post = ((pane + pane[[3, 2, 1, 0]]) // 2).tolist()  # between the front and the back door
        cv2.line(canvas, post[0], post[1], colour, max(int(0.09 * self._unit[frame]), 1), cv2.LINE_8, 4)
        self._wheels(canvas, frame, 0 if base == 0 else 24, rim=True)
        self._signals(canvas, frame)

    def _wheels(self, canvas: UInt8[np.ndarray, "row column 3"], frame: int, offset: int, rim: bool) -> None:
        start = 2 * self._count + offset
        for first in (start, start + 12):
            ring = self._points[frame, first : first + 12]
            cv2.fillConvexPoly(canvas, ring, self._dark[frame], cv2.LINE_8, 4)
            if rim:
                hub = self._rims[frame, (first - 2 * self._count) // 12]
                cv2.fillConvexPoly(canvas, hub, self._rim[frame], cv2.LINE_8, 4)

    def _signals(self, canvas: UInt8[np.ndarray, "row column 3"], frame: int) -> None:
        """Head lamps on a visible front, tail lamps (brighter when braking) on a visible back."""
        points, count = self._points[frame], self._count
        radius = max(int(0.12 * self._unit[frame] * 16), 8)
        seen_front, seen_back = self._facing[frame, 0] > 0, self._facing[frame, count - 2] > 0
        brake = float(self._brake[frame])
        for corner, other, seen, colour in (
            (1, count + 1, seen_front, (240, 250, 255) if self._lamps else (215, 222, 225)),
            (
                count - 2,
                2 * count - 2,
                seen_back,
                (40 + 60 * brake, 40 + 60 * brake, 150 + 105 * max(brake, 0.4 * self._lamps)),
            ),
        ):
            if seen:
                a, b = points[corner].astype(float), points[other].astype(float)
                for share in (0.14, 0.86):
                    x, y = a + (b - a) * share
                    cv2.circle(canvas, (int(x), int(y)), radius, colour, -1, cv2.LINE_8, 4)
