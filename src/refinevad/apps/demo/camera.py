"""A fixed CCTV camera: a pinhole above the ground that looks down the street.

World axes in metres: x along the street, y up, z across the street, away from the camera; the camera stands at
(0, height_m, 0). Pixels are those of the canvas, which is larger than the frame (see `SUPERSAMPLE`, `MARGIN`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Shaped

FRAME_WIDTH = 384
FRAME_HEIGHT = 216
SUPERSAMPLE = 2  # canvas pixels a frame pixel, so that edges come out smooth
MARGIN = 4  # frame pixels on each side that the shaking camera may wander into
CANVAS_WIDTH = SUPERSAMPLE * (FRAME_WIDTH + 2 * MARGIN)
CANVAS_HEIGHT = SUPERSAMPLE * (FRAME_HEIGHT + 2 * MARGIN)
NEAR_M = 0.6  # nothing nearer than this is drawn


@dataclass(frozen=True)
class Camera:
    """Where the camera hangs and how it looks; angles in radians, `focal` in canvas pixels."""

    height_m: float
    pitch: float
    yaw: float
    focal: float

    @cached_property
    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Rows: the camera's right, down and forward directions in the world."""
        sin_yaw, cos_yaw = np.sin(self.yaw), np.cos(self.yaw)
        sin_pitch, cos_pitch = np.sin(self.pitch), np.cos(self.pitch)
        right = (cos_yaw, 0.0, -sin_yaw)
        down = (-sin_yaw * sin_pitch, -cos_pitch, -cos_yaw * sin_pitch)
        forward = (sin_yaw * cos_pitch, -sin_pitch, cos_yaw * cos_pitch)
        return np.array([right, down, forward])

    def view(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
        """World points in camera axes (right, down, forward), metres."""
        seen: Float[np.ndarray, "*batch 3"] = (points - np.array([0.0, self.height_m, 0.0])) @ self.axes.T
        return seen

    def project(
        self, points: Float[np.ndarray, "*batch 3"]
    ) -> tuple[Float[np.ndarray, "*batch 2"], Float[np.ndarray, "*batch"]]:
        """Canvas pixels of world points, and their depth in metres (pixels mean nothing where depth < NEAR_M)."""
        seen = self.view(points)
        depth = seen[..., 2]
        pixels = seen[..., :2] * (self.focal / np.maximum(depth, NEAR_M))[..., None]
        return pixels + np.array([CANVAS_WIDTH / 2, CANVAS_HEIGHT / 2]), depth

    def polygon(self, corners: Float[np.ndarray, "corner 3"]) -> Float[np.ndarray, "clipped 2"]:
        """A world polygon in canvas pixels, cut where it passes behind the camera (possibly no corner is left)."""
        seen = self.view(corners)
        kept: list[Float[np.ndarray, 3]] = []
        for here, there in zip(seen, np.roll(seen, -1, axis=0), strict=True):
            if here[2] >= NEAR_M:
                kept.append(here)
            if (here[2] >= NEAR_M) != (there[2] >= NEAR_M):
                kept.append(here + (there - here) * ((NEAR_M - here[2]) / (there[2] - here[2])))
        if not kept:
            return np.zeros((0, 2))
        inside = np.array(kept)
        pixels: Float[np.ndarray, "clipped 2"] = inside[:, :2] * (self.focal / inside[:, 2:])
        pixels += np.array([CANVAS_WIDTH / 2, CANVAS_HEIGHT / 2])
        return pixels

    def ground(self) -> tuple[Float[np.ndarray, "row column"], Float[np.ndarray, "row column"]]:
        """World x and z of the ground under each canvas pixel; infinite at and above the horizon."""
        across = (np.arange(CANVAS_WIDTH) + 0.5 - CANVAS_WIDTH / 2) / self.focal
        below = (np.arange(CANVAS_HEIGHT) + 0.5 - CANVAS_HEIGHT / 2) / self.focal
        right, down, forward = self.axes
        fall = -(down[1] * below + forward[1])[:, None]  # metres lost in height a metre of depth
        depth = np.where(fall > 1e-3, self.height_m / np.maximum(fall, 1e-3), np.inf)
        x = depth * (right[0] * across[None, :] + down[0] * below[:, None] + forward[0])
        z = depth * (right[2] * across[None, :] + down[2] * below[:, None] + forward[2])
        return x, z

    def in_frame(self, spots: Float[np.ndarray, "spot 2"], border: float) -> Bool[np.ndarray, "spot"]:
        """Whether a person standing at (x, z) is inside the frame, `border` of its width left free on each side."""
        feet = np.stack([spots[:, 0], np.zeros(len(spots)), spots[:, 1]], axis=1)
        pixels, depth = self.project(np.stack([feet, feet + np.array([0.0, 1.9, 0.0])], axis=1))
        low = np.array([border * CANVAS_WIDTH, 0.08 * CANVAS_HEIGHT])
        high = np.array([(1 - border) * CANVAS_WIDTH, 0.94 * CANVAS_HEIGHT])
        inside = (pixels > low) & (pixels < high) & (depth > NEAR_M)[..., None]
        return np.asarray(inside.all(axis=(1, 2)))


def subpixel(pixels: Shaped[np.ndarray, "*batch 2"]) -> Shaped[np.ndarray, "*batch 2"]:
    """Pixels as the fixed-point integers OpenCV draws with at `shift=4`."""
    return np.ascontiguousarray(np.clip(np.round(pixels * 16), -400_000, 400_000), np.int32)


def reach(pixels: Float[np.ndarray, "frame point 2"]) -> tuple[list[bool], Float[np.ndarray, "frame 2"]]:
    """Whether each frame's points touch the canvas, and the columns they span (with room for a limb's thickness)."""
    low, high = pixels.min(axis=1) - 12, pixels.max(axis=1) + 12
    on = (high > 0).all(axis=1) & (low[:, 0] < CANVAS_WIDTH) & (low[:, 1] < CANVAS_HEIGHT)
    return on.tolist(), np.stack([low[:, 0], high[:, 0]], axis=1)
