"""A dog that runs through the picture."""

import cv2
import numpy as np
from jaxtyping import UInt8

from refinevad.apps.demo.camera import reach, subpixel
from refinevad.apps.demo.layout import Colour, Layout, Light, light_at
from refinevad.apps.demo.pose import Times

BACK_M, HALF_M, LEG_M = 0.46, 0.30, 0.40
BONES = (
    (2, 6, 0.06),
    (3, 7, 0.06),
    (4, 8, 0.06),
    (5, 9, 0.06),
    (0, 1, 0.21),
    (1, 10, 0.13),
    (10, 11, 0.12),
    (11, 12, 0.08),
    (0, 13, 0.05),
)


class Dog:
    """Body, head, tail and four legs at a gallop along a straight line."""

    still = False

    def __init__(self, x: Times, z: Times, direction: float, coat: Colour, layout: Layout, light: Light) -> None:
        phase = 2 * np.pi * (x * direction) / 1.3
        bob = 0.04 * np.sin(phase)
        zero = np.zeros_like(x)
        local: list[tuple[float | Times, Times, Times]] = [(-HALF_M, BACK_M + bob, zero), (HALF_M, BACK_M - bob, zero)]
        hips = [(-HALF_M, 0.06), (-HALF_M, -0.06), (HALF_M, 0.06), (HALF_M, -0.06)]
        local += [(along, BACK_M - 0.04 + zero, side + zero) for along, side in hips]
        for k, (along, side) in enumerate(hips):
            swing = 0.75 * np.sin(phase + (0.0, 0.5, 2.6, 3.1)[k])
            foot = BACK_M - LEG_M * np.cos(swing) + 0.06 * np.maximum(np.cos(phase + k), 0)
            local.append((along + LEG_M * np.sin(swing), foot, side + zero))
        local += [
            (HALF_M + 0.17, BACK_M + 0.17 - bob, zero),
            (HALF_M + 0.27, BACK_M + 0.22 - bob, zero),
            (HALF_M + 0.42, BACK_M + 0.15 - bob, zero),
            (-HALF_M - 0.25, BACK_M + 0.18 + 2 * bob, 0.08 * np.sin(3 * phase)),
        ]
        world = np.stack([np.stack([x + direction * a, zero + up, z + side], axis=1) for a, up, side in local], axis=1)
        pixels, depths = layout.camera.project(world)
        self.depth: Times = depths[:, 0]
        on, self.columns = reach(pixels)
        self.visible: list[bool] = (np.array(on) & (depths.min(axis=1) > 2.0)).tolist()
        self._points = subpixel(pixels).tolist()
        self._unit = (layout.camera.focal / np.maximum(self.depth, 1.0)).tolist()
        self._colour = np.clip(np.array(coat) * light_at(layout, light, x, z), 0, 255).tolist()
        shift = light.sun or (0.0, 0.0)
        flat = world * np.array([1.0, 0.0, 1.0]) + world[..., 1:2] * np.array([shift[0], 0.0, shift[1]])
        self._shadow = subpixel(layout.camera.project(flat)[0]).tolist()

    def _bones(
        self,
        canvas: UInt8[np.ndarray, "row column *channel"],
        points: list[list[int]],
        unit: float,
        colour: list[float] | int,
    ) -> None:
        for a, b, width in BONES:
            cv2.line(canvas, points[a], points[b], colour, max(round(width * unit), 1), cv2.LINE_AA, 4)

    def shadow(self, mask: UInt8[np.ndarray, "row column"], frame: int) -> None:
        """Mark the ground the dog shades."""
        self._bones(mask, self._shadow[frame], self._unit[frame], 255)

    def draw(self, canvas: UInt8[np.ndarray, "row column 3"], frame: int) -> None:
        """Paint legs, body, head and tail."""
        self._bones(canvas, self._points[frame], self._unit[frame], self._colour[frame])
