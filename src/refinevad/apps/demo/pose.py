"""How people hold and move their limbs: poses as rows of joint angles, one row a frame.

Angles in radians: positive hip and shoulder angles swing a limb forward, positive knee and elbow angles bend it,
`pitch` tips the whole body forward (pi/2: face down), `roll` tips it to its right.
"""

from enum import IntEnum

import numpy as np
from jaxtyping import Float

Times = Float[np.ndarray, "frame"]
Pose = Float[np.ndarray, "frame angle"]


class Angle(IntEnum):
    """Columns of a pose."""

    PITCH = 0
    ROLL = 1
    LEAN = 2
    TWIST = 3
    HIP_L = 4
    HIP_R = 5
    KNEE_L = 6
    KNEE_R = 7
    SHOULDER_L = 8
    SHOULDER_R = 9
    SPREAD_L = 10
    SPREAD_R = 11
    ELBOW_L = 12
    ELBOW_R = 13
    HOP = 14  # metres the feet leave the ground


def pose(frames: int, **angles: float | int | Times) -> Pose:
    """A pose from named angles (lower case names of `Angle`), the others zero."""
    rows = np.zeros((frames, len(Angle)))
    for name, value in angles.items():
        rows[:, Angle[name.upper()]] = value
    return rows


def smooth(t: Times, start: float, end: float) -> Times:
    """0 before `start`, 1 after `end`, an ease in between."""
    share = np.clip((t - start) / max(end - start, 1e-6), 0, 1)
    eased: Times = share * share * (3 - 2 * share)
    return eased


def mix(first: Pose, second: Pose, weight: Times) -> Pose:
    """`first` where weight is 0, `second` where it is 1."""
    mixed: Pose = first + (second - first) * weight[:, None]
    return mixed


def wander(rng: np.random.Generator, t: Times, hz: float) -> Times:
    """A smooth random signal within about -1..1 that turns about `hz` times a second."""
    signal = np.zeros_like(t)
    for factor in (0.6, 1.0, 1.7):
        signal += np.sin(2 * np.pi * hz * factor * t * rng.uniform(0.85, 1.15) + rng.uniform(0, 2 * np.pi)) / 1.9
    return signal


def stand(rng: np.random.Generator, t: Times) -> Pose:
    """Standing at ease, shifting a little."""
    sway = wander(rng, t, 0.25)
    return pose(
        len(t),
        lean=0.04 + 0.02 * sway,
        twist=0.12 * sway,
        hip_l=0.03,
        hip_r=-0.03,
        knee_l=0.05,
        knee_r=0.05,
        shoulder_l=0.05 + 0.06 * sway,
        shoulder_r=0.02 - 0.05 * sway,
        spread_l=0.12,
        spread_r=0.12,
        elbow_l=0.25,
        elbow_r=0.3,
    )


def gait(distance: Times, speed: Times) -> Pose:
    """Walking or running: the phase follows the distance covered, the style follows the speed (m/s)."""
    run = np.clip((speed - 1.9) / 1.6, 0, 1)
    moving = np.clip(speed / 0.5, 0, 1)
    phase = 2 * np.pi * distance / (1.45 + 1.0 * run)
    swing = (0.46 + 0.32 * run) * moving
    lift = (0.95 + 0.8 * run) * moving
    arm = (0.50 + 0.45 * run) * moving
    return pose(
        len(distance),
        lean=0.05 + 0.18 * run,
        twist=0.16 * np.sin(phase) * moving,
        hip_l=0.08 + swing * np.sin(phase),
        hip_r=0.08 - swing * np.sin(phase),
        knee_l=0.08 + lift * np.maximum(np.cos(phase + 0.4), 0) ** 2,
        knee_r=0.08 + lift * np.maximum(-np.cos(phase + 0.4), 0) ** 2,
        shoulder_l=-arm * np.sin(phase),
        shoulder_r=arm * np.sin(phase),
        spread_l=0.1,
        spread_r=0.1,
        elbow_l=0.3 + 1.15 * run,
        elbow_r=0.3 + 1.15 * run,
        hop=0.07 * run * np.abs(np.cos(phase)),
    )


def brawl(rng: np.random.Generator, t: Times, kicks: bool) -> Pose:
    """Punches with alternating arms four or five times a second, ducking, blocking; perhaps kicks."""
    rate = rng.uniform(2.0, 2.7)
    beat = 2 * np.pi * rate * t + rng.uniform(0, 6) + 1.2 * wander(rng, t, 0.8)
    left, right = np.maximum(np.sin(beat), 0) ** 2, np.maximum(-np.sin(beat), 0) ** 2
    recoil = wander(rng, t, 1.6)
    kick = np.maximum(np.sin(2 * np.pi * 0.45 * t + rng.uniform(0, 6)) - 0.75, 0) * 4 * float(kicks)
    return pose(
        len(t),
        lean=0.2 + 0.32 * recoil,
        roll=0.10 * wander(rng, t, 1.3),
        twist=0.7 * (right - left),
        hip_l=0.35 + 0.25 * wander(rng, t, 1.8),
        hip_r=-0.2 + 0.25 * wander(rng, t, 1.8) + 1.5 * kick,
        knee_l=0.4 + 0.25 * recoil,
        knee_r=0.45 + 0.3 * wander(rng, t, 2.0),
        shoulder_l=0.75 + 1.0 * left,
        shoulder_r=0.75 + 1.0 * right,
        spread_l=0.25 + 0.3 * right,
        spread_r=0.25 + 0.3 * left,
        elbow_l=2.1 - 1.9 * left,
        elbow_r=2.1 - 1.9 * right,
    )


def grapple(rng: np.random.Generator, t: Times) -> Pose:
    """Holding on to one another, bent forward, pulling."""
    pull = wander(rng, t, 1.5)
    return pose(
        len(t),
        lean=0.5 + 0.2 * pull,
        roll=0.14 * wander(rng, t, 1.1),
        twist=0.4 * wander(rng, t, 1.4),
        hip_l=0.5 + 0.3 * wander(rng, t, 1.6),
        hip_r=-0.3 + 0.3 * wander(rng, t, 1.6),
        knee_l=0.6,
        knee_r=0.5,
        shoulder_l=1.35 + 0.3 * pull,
        shoulder_r=1.35 - 0.3 * pull,
        spread_l=0.25,
        spread_r=0.25,
        elbow_l=0.5 + 0.4 * wander(rng, t, 1.7),
        elbow_r=0.5 + 0.4 * wander(rng, t, 1.7),
    )


def hug(t: Times, sway: Times) -> Pose:
    """Arms around another, rocking gently."""
    return pose(
        len(t),
        lean=0.10,
        roll=0.05 * sway,
        shoulder_l=1.25,
        shoulder_r=1.05,
        spread_l=0.15,
        spread_r=0.15,
        elbow_l=1.2,
        elbow_r=1.3,
        knee_l=0.05,
        knee_r=0.05,
    )


def handshake(t: Times) -> Pose:
    """The right hand held out, pumping a little."""
    return pose(
        len(t),
        lean=0.08,
        shoulder_r=0.75 + 0.08 * np.sin(2 * np.pi * 1.4 * t),
        elbow_r=0.7,
        spread_l=0.1,
        elbow_l=0.25,
        knee_l=0.05,
        knee_r=0.05,
    )


def talk(rng: np.random.Generator, t: Times) -> Pose:
    """Standing and talking: the hands speak along now and then."""
    left, right = (np.clip(wander(rng, t, 0.5) + 0.2, 0, 1) for _ in range(2))
    beat = wander(rng, t, 1.2)
    return mix(
        stand(rng, t),
        pose(
            len(t),
            lean=0.05,
            twist=0.15 * beat,
            shoulder_l=0.45 * left,
            shoulder_r=0.45 * right,
            elbow_l=(1.2 + 0.35 * beat) * left,
            elbow_r=(1.3 - 0.35 * beat) * right,
            spread_l=0.12,
            spread_r=0.12,
        ),
        np.full_like(t, 0.8),
    )


def wave(rng: np.random.Generator, t: Times) -> Pose:
    """Both arms up, waving: a witness who shouts."""
    beat = np.sin(2 * np.pi * 1.5 * t + rng.uniform(0, 6))
    return pose(
        len(t),
        lean=-0.05,
        shoulder_l=2.5 + 0.25 * beat,
        shoulder_r=2.3 - 0.3 * beat,
        spread_l=0.35,
        spread_r=0.35,
        elbow_l=0.5,
        elbow_r=0.6,
        knee_l=0.15,
        knee_r=0.1,
    )


def sit(rng: np.random.Generator, t: Times) -> Pose:
    """Seated: thighs level, back upright."""
    sway = wander(rng, t, 0.2)
    return pose(
        len(t),
        lean=0.05 + 0.05 * sway,
        twist=0.15 * sway,
        hip_l=1.5,
        hip_r=1.45,
        knee_l=1.5,
        knee_r=1.4,
        shoulder_l=0.5,
        shoulder_r=0.45,
        elbow_l=0.9,
        elbow_r=0.8 + 0.2 * sway,
    )


def crouch(t: Times) -> Pose:
    """On one knee with both hands at a shoe."""
    busy = 0.15 * np.sin(2 * np.pi * 1.1 * t)
    return pose(
        len(t),
        lean=0.85,
        hip_l=1.75,
        hip_r=0.25,
        knee_l=1.85,
        knee_r=1.85,
        shoulder_l=0.35 + busy,
        shoulder_r=0.35 - busy,
        elbow_l=0.35,
        elbow_r=0.35,
    )


def stumble(t: Times) -> Pose:
    """The instant of losing balance: arms flung up, one leg caught behind."""
    return pose(
        len(t),
        lean=0.35,
        hip_l=0.75,
        hip_r=-0.55,
        knee_l=0.9,
        knee_r=0.7,
        shoulder_l=1.9,
        shoulder_r=1.4,
        spread_l=0.8,
        spread_r=0.9,
        elbow_l=0.5,
        elbow_r=0.6,
    )


def lie(rng: np.random.Generator, t: Times, face_down: bool) -> Pose:
    """Lying on the ground with slack limbs, stirring now and then."""
    stir = np.maximum(wander(rng, t, 0.35) - 0.4, 0)
    tip = 1.5 if face_down else -1.5
    return pose(
        len(t),
        pitch=tip,
        roll=0.12,
        lean=0.05,
        hip_l=0.25 + 0.2 * stir,
        hip_r=-0.05,
        knee_l=0.55 + 0.4 * stir,
        knee_r=0.15,
        shoulder_l=1.9 + 0.3 * stir if face_down else 0.5,
        shoulder_r=0.5 + 0.6 * stir,
        spread_l=0.7,
        spread_r=0.6,
        elbow_l=0.7,
        elbow_r=0.5 + 0.4 * stir,
    )
