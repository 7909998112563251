"""Articulated people: a skeleton posed in 3D, dressed, shaded by the place's light, drawn limb by limb."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from refinevad.apps.demo.camera import reach, subpixel
from refinevad.apps.demo.layout import Colour, Layout, Light, light_at
from refinevad.apps.demo.pose import Angle, Pose, Times

THIGH, SHANK, FOOT, SPINE, NECK = 0.45, 0.43, 0.20, 0.50, 0.20  # metres, for a person of 1.75 m
UPPER_ARM, FOREARM, SHOULDER, HIP, HEAD = 0.30, 0.27, 0.185, 0.09, 0.118
PELVIS, CHEST, SKULL, SHOULDERS, ELBOWS, HANDS, HIPS, KNEES, ANKLES, TOES = 0, 1, 2, 3, 5, 7, 9, 11, 13, 15
JOINTS = 17
RADII = np.array(
    [0.11, 0.1, HEAD] + [0.07] * 2 + [0.05] * 2 + [0.05] * 2 + [0.09] * 2 + [0.07] * 2 + [0.06] * 2 + [0.03] * 2
)


@dataclass(frozen=True)
class Track:
    """Where a person is, where they face (0: along +z, pi/2: along +x) and what the limbs do, for each frame."""

    x: Times
    z: Times
    heading: Times
    pose: Pose
    lift: Times | None = None  # metres above the ground (a bench's seat); otherwise the lowest joint touches it


@dataclass(frozen=True)
class Outfit:
    """Size and colours."""

    scale: float
    skin: Colour
    hair: Colour
    top: Colour
    legs: Colour
    shoes: Colour
    bag: Colour | None
    skirt: bool
    short_sleeves: bool


SKINS: tuple[Colour, ...] = ((150, 185, 228), (120, 160, 208), (80, 112, 158), (58, 80, 118))
HAIRS: tuple[Colour, ...] = ((28, 30, 36), (40, 60, 90), (70, 120, 165), (150, 152, 155), (30, 40, 70))
TOPS: tuple[Colour, ...] = (
    (48, 48, 178),
    (150, 82, 40),
    (70, 120, 60),
    (40, 40, 44),
    (205, 205, 208),
    (60, 170, 205),
    (120, 70, 110),
    (92, 92, 96),
    (110, 90, 200),
    (130, 130, 60),
    (60, 90, 140),
)
LEGS: tuple[Colour, ...] = (
    (92, 66, 46),
    (44, 42, 42),
    (110, 124, 140),
    (70, 70, 74),
    (60, 46, 38),
    (140, 120, 96),
)


def dress(rng: np.random.Generator) -> Outfit:
    """A random person of the town."""

    def pick(colours: tuple[Colour, ...]) -> Colour:
        return colours[int(rng.integers(len(colours)))]

    bag = pick(TOPS) if rng.random() < 0.3 else None
    return Outfit(
        float(rng.uniform(0.93, 1.06)),
        pick(SKINS),
        pick(HAIRS),
        pick(TOPS),
        pick(LEGS),
        pick(LEGS[1:4]),
        bag,
        bool(rng.random() < 0.2),
        bool(rng.random() < 0.35),
    )


def _sagittal(angle: Times, spread: Times, side: float) -> Float[np.ndarray, "frame 3"]:
    """Unit vector of a hanging limb swung forward by `angle` and out by `spread`: (right, up, forward)."""
    return np.stack([side * np.sin(spread), -np.cos(angle) * np.cos(spread), np.sin(angle) * np.cos(spread)], axis=1)


def skeleton(track: Track, scale: float) -> Float[np.ndarray, "frame joint 3"]:
    """World positions of the 17 joints; the lowest of them stands on the ground."""
    p, none = track.pose, np.zeros(len(track.x))
    body = np.zeros((len(track.x), JOINTS, 3))
    lean = np.stack([none, np.cos(p[:, Angle.LEAN]), np.sin(p[:, Angle.LEAN])], axis=1)
    body[:, CHEST] = SPINE * lean
    nod = np.stack([none, np.cos(0.6 * p[:, Angle.LEAN]), np.sin(0.6 * p[:, Angle.LEAN])], axis=1)
    body[:, SKULL] = body[:, CHEST] + NECK * nod
    across = np.stack([np.cos(p[:, Angle.TWIST]), none, -np.sin(p[:, Angle.TWIST])], axis=1)
    for k, side in ((0, -1.0), (1, 1.0)):
        shoulder, spread = p[:, Angle.SHOULDER_L + k], p[:, Angle.SPREAD_L + k]
        body[:, SHOULDERS + k] = body[:, CHEST] + side * SHOULDER * across - 0.04 * lean
        body[:, ELBOWS + k] = body[:, SHOULDERS + k] + UPPER_ARM * _sagittal(shoulder, spread, side)
        bent = shoulder + p[:, Angle.ELBOW_L + k]
        body[:, HANDS + k] = body[:, ELBOWS + k] + FOREARM * _sagittal(bent, spread * 0.4, side)
        hip, knee = p[:, Angle.HIP_L + k], p[:, Angle.KNEE_L + k]
        body[:, HIPS + k] = np.array([side * HIP, -0.02, 0.0])
        body[:, KNEES + k] = body[:, HIPS + k] + THIGH * _sagittal(hip, none + 0.03, side)
        body[:, ANKLES + k] = body[:, KNEES + k] + SHANK * _sagittal(hip - knee, none, side)
        toe = hip - 0.85 * knee + np.pi / 2 - 0.15
        body[:, TOES + k] = body[:, ANKLES + k] + FOOT * _sagittal(toe, none, side) - np.array([0, 0.03, 0])
    body *= scale
    body = _tip(body, p[:, Angle.PITCH], p[:, Angle.ROLL])
    lowest = (body[:, :, 1] - RADII * scale).min(axis=1)
    body[:, :, 1] += (p[:, Angle.HOP] - lowest if track.lift is None else track.lift)[:, None]
    sin, cos = np.sin(track.heading)[:, None], np.cos(track.heading)[:, None]
    x = track.x[:, None] + cos * body[:, :, 0] + sin * body[:, :, 2]
    z = track.z[:, None] - sin * body[:, :, 0] + cos * body[:, :, 2]
    return np.stack([x, body[:, :, 1], z], axis=2)


def _tip(body: Float[np.ndarray, "frame joint 3"], pitch: Times, roll: Times) -> Float[np.ndarray, "frame joint 3"]:
    """Tip the body forward about its right axis, then to its right about its forward axis."""
    right, up, forward = body[:, :, 0], body[:, :, 1], body[:, :, 2]
    sin, cos = np.sin(pitch)[:, None], np.cos(pitch)[:, None]
    up, forward = cos * up - sin * forward, sin * up + cos * forward
    sin, cos = np.sin(roll)[:, None], np.cos(roll)[:, None]
    right, up = cos * right + sin * up, cos * up - sin * right
    return np.stack([right, up, forward], axis=2)


class Person:
    """One person through a video; every frame's pixels are computed beforehand."""

    still = False

    def __init__(self, track: Track, outfit: Outfit, layout: Layout, light: Light) -> None:
        joints = skeleton(track, outfit.scale)
        camera = layout.camera
        pixels, depths = camera.project(joints)
        self.depth: Times = depths[:, PELVIS]
        on, self.columns = reach(pixels)
        self.visible: list[bool] = (np.array(on) & (depths.min(axis=1) > 2.0)).tolist()
        self._points = subpixel(pixels).tolist()
        self._order = depths
        self._unit = (camera.focal * outfit.scale / np.maximum(self.depth, 1.0)).tolist()
        self._outfit = outfit
        gain = light_at(layout, light, track.x, track.z) * (1.0 if light.lamps == 0 else 1.12)
        parts = [outfit.skin, outfit.hair, outfit.top, outfit.legs, outfit.shoes, outfit.bag or outfit.top]
        shades = [np.array(colour) * k for colour in parts for k in (1.0, 0.74)]
        self._colours = np.clip(np.array(shades)[None] * gain[:, None], 0, 255).tolist()
        shift = light.sun or (0.0, 0.0)
        flat = joints * np.array([1.0, 0.0, 1.0]) + joints[..., 1:2] * np.array([shift[0], 0.0, shift[1]])
        self._shadow = subpixel(camera.project(flat)[0]).tolist()
        self._toward, self._side = (signal.tolist() for signal in _facing(track.heading, joints[:, PELVIS]))

    def shadow(self, mask: UInt8[np.ndarray, "row column"], frame: int) -> None:
        """Mark the ground this person shades."""
        p, unit = self._shadow[frame], self._unit[frame]
        thick = max(int(0.13 * unit), 1)
        for a, b in (
            (HIPS, KNEES),
            (HIPS + 1, KNEES + 1),
            (KNEES, ANKLES),
            (KNEES + 1, ANKLES + 1),
            (SHOULDERS, ELBOWS),
            (SHOULDERS + 1, ELBOWS + 1),
        ):
            cv2.line(mask, p[a], p[b], 255, thick, cv2.LINE_8, 4)
        cv2.line(mask, p[PELVIS], p[CHEST], 255, max(int(0.34 * unit), 1), cv2.LINE_8, 4)
        cv2.circle(mask, p[SKULL], int(0.12 * unit * 16), 255, -1, cv2.LINE_8, 4)

    def draw(self, canvas: UInt8[np.ndarray, "row column 3"], frame: int) -> None:
        """Paint far limbs first, then the torso, the head and the near limbs."""
        near = 0 if self._order[frame, SHOULDERS] < self._order[frame, SHOULDERS + 1] else 1
        far = 1 - near
        self._arm(canvas, frame, far, 1)
        self._leg(canvas, frame, far, 1)
        self._leg(canvas, frame, near, 0)
        head_last = self._order[frame, SKULL] <= self._order[frame, PELVIS] + 0.4
        if not head_last:
            self._head(canvas, frame)
        self._torso(canvas, frame)
        if head_last:
            self._head(canvas, frame)
        self._arm(canvas, frame, near, 0)

    def _limb(
        self, canvas: UInt8[np.ndarray, "row column 3"], frame: int, a: int, b: int, width: float, tone: int
    ) -> None:
        p = self._points[frame]
        thick = max(round(width * self._unit[frame]), 1)
        cv2.line(canvas, p[a], p[b], self._colours[frame][tone], thick, cv2.LINE_8, 4)

    def _leg(self, canvas: UInt8[np.ndarray, "row column 3"], frame: int, k: int, dark: int) -> None:
        lower = 0 if self._outfit.skirt else 6
        self._limb(canvas, frame, HIPS + k, KNEES + k, 0.165, 6 + dark)
        self._limb(canvas, frame, KNEES + k, ANKLES + k, 0.115, lower + dark)
        self._limb(canvas, frame, ANKLES + k, TOES + k, 0.085, 8 + dark)

    def _arm(self, canvas: UInt8[np.ndarray, "row column 3"], frame: int, k: int, dark: int) -> None:
        sleeve = 0 if self._outfit.short_sleeves else 4
        self._limb(canvas, frame, SHOULDERS + k, ELBOWS + k, 0.125, 5)
        if not dark:
            self._limb(canvas, frame, SHOULDERS + k, ELBOWS + k, 0.095, 4)
        self._limb(canvas, frame, ELBOWS + k, HANDS + k, 0.085, sleeve + dark)
        radius = int(0.05 * self._unit[frame] * 16)
        cv2.circle(canvas, self._points[frame][HANDS + k], radius, self._colours[frame][dark], -1, cv2.LINE_8, 4)

    def _torso(self, canvas: UInt8[np.ndarray, "row column 3"], frame: int) -> None:
        p, unit, colours = self._points[frame], self._unit[frame], self._colours[frame]
        corners = np.array([p[SHOULDERS], p[SHOULDERS + 1], p[HIPS + 1], p[HIPS]], np.int32)
        back_view = self._toward[frame] < -0.2
        if self._outfit.bag and not back_view:
            self._limb(canvas, frame, CHEST, PELVIS, 0.40, 11)
        if self._outfit.skirt:
            hem = np.array([p[HIPS], p[HIPS + 1], p[KNEES + 1], p[KNEES]], np.int32)
            cv2.fillConvexPoly(canvas, cv2.convexHull(hem), colours[6], cv2.LINE_8, 4)
            cv2.polylines(canvas, [hem], True, colours[6], max(int(0.14 * unit), 1), cv2.LINE_8, 4)
        cv2.polylines(canvas, [corners], True, colours[5], max(int(0.175 * unit), 1), cv2.LINE_8, 4)
        cv2.fillConvexPoly(canvas, cv2.convexHull(corners), colours[4], cv2.LINE_8, 4)
        cv2.polylines(canvas, [corners], True, colours[4], max(int(0.13 * unit), 1), cv2.LINE_8, 4)
        if self._outfit.bag and back_view:
            self._limb(canvas, frame, CHEST, PELVIS, 0.25, 11)
            self._limb(canvas, frame, CHEST, PELVIS, 0.20, 10)

    def _head(self, canvas: UInt8[np.ndarray, "row column 3"], frame: int) -> None:
        """Neck, hair behind, and a face turned by how much the person looks at the camera."""
        p, unit, colours = self._points[frame], self._unit[frame], self._colours[frame]
        self._limb(canvas, frame, CHEST, SKULL, 0.10, 1)
        radius = HEAD * unit
        x, y = p[SKULL]
        cv2.circle(canvas, (x, y), int(radius * 16), colours[2], -1, cv2.LINE_8, 4)
        toward = self._toward[frame]
        if toward > -0.55:
            turn = self._side[frame]
            centre = (int(x + 16 * radius * 0.42 * turn), int(y + 16 * radius * 0.26))
            cv2.circle(
                canvas,
                centre,
                int(radius * (0.70 + 0.12 * max(toward, 0)) * 16),
                colours[0],
                -1,
                cv2.LINE_8,
                4,
            )


def _facing(heading: Times, at: Float[np.ndarray, "frame 3"]) -> tuple[Times, Times]:
    """Cosine to the way to the camera (1: looks at us, -1: shows the back), and sine to the image's right."""
    away = np.arctan2(at[:, 0], at[:, 2])
    return -np.cos(heading - away), np.sin(heading - away)
