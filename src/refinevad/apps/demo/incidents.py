"""The anomalies: fight, fall, road accident, fire. Each puts its cast on the stage and returns (start, end) seconds."""

import numpy as np

from refinevad.apps.demo import pose as poses
from refinevad.apps.demo import props
from refinevad.apps.demo.effects import Debris, Flames, Smoke
from refinevad.apps.demo.people import Track
from refinevad.apps.demo.pose import Times, mix, pose, smooth, wander
from refinevad.apps.demo.staging import Stage, act, between, follow, pause, stroll
from refinevad.apps.demo.vehicles import Body, Drive, pick_body


def witnesses(stage: Stage, centre: tuple[float, float], alarm: float, count: int, flee: bool) -> None:
    """People who stand near, then step back from `centre` (or run off), look at it, and perhaps wave for help."""
    times, rng = stage.times, stage.rng
    low, high = stage.layout.walks[0 if centre[1] < stage.layout.near_edge else -1]
    for _ in range(count):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(2.0, 3.6)
        x = centre[0] + reach * 1.25 * np.cos(angle)
        z = float(np.clip(centre[1] + reach * np.sin(angle), low - 0.3, high + 0.2))
        away_x, away_z = x - centre[0], 0.4 * (z - centre[1])
        norm = max(float(np.hypot(away_x, away_z)), 0.1)
        away_x, away_z = away_x / norm, away_z / norm
        delay = alarm + rng.uniform(0.2, 0.9)
        runs = flee and rng.random() < 0.6
        gone = (
            smooth(times, delay, delay + 1.3) * rng.uniform(0.7, 1.5)
            if not runs
            else 3.6 * np.maximum(times - delay, 0)
        )
        face = np.full_like(times, np.arctan2(-away_x, -away_z))
        looks = face + (1 - smooth(times, delay - 0.2, delay + 0.3)) * rng.uniform(-1.6, 1.6)
        track = follow(x + away_x * gone, z + away_z * gone, stage.step, looks)
        if not runs:
            track = Track(track.x, track.z, looks, track.pose)
        idle = mix(
            poses.stand(rng, times),
            poses.wave(rng, times),
            between(times, delay + 1.0, delay + 3.5) * float(rng.random() < 0.4),
        )
        weight = 1 - between(times, delay, delay + 1.3) if not runs else 1 - smooth(times, delay, delay + 0.3)
        stage.person(act(track, idle, weight))
        stage.taken.append((float(x), z))


def fight(stage: Stage, start: float, end: float) -> tuple[float, float]:
    """Two or three people meet, then punch, kick, shove and grapple, circling; one runs off at the end."""
    times, rng = stage.times, stage.rng
    x, z = stage.spot(near=True)
    fighting = between(times, start, end, 0.25)
    hold = np.clip(2.0 * wander(rng, times, 0.3) - 0.4, 0, 1)  # grappling rather than punching
    angle = rng.uniform(-0.5, 0.5) + (1.1 * wander(rng, times, 0.4) + 1.2 * hold) * fighting
    centre_x = x + 0.6 * wander(rng, times, 0.6) * fighting
    centre_z = z + 0.3 * wander(rng, times, 0.5) * fighting
    near = 0.85 - 0.30 * hold + 0.2 * wander(rng, times, 1.6)
    shove = np.maximum(wander(rng, times, 0.7) - 0.4, 0) * 1.7  # thrown back, then at each other again
    apart = near + shove * fighting
    apart = apart + 3.6 * (1 - smooth(times, start - 2.4, start - 0.2))
    leaving = np.maximum(times - end + 0.2, 0) * smooth(times, end - 0.2, end + 0.5)
    for turn in (np.pi, 0.0, np.pi / 2)[: 2 + int(rng.random() < 0.5)]:
        side, around = np.cos(turn), angle + turn
        off = (2.9 if side > 0.5 else 0.6) * side * leaving
        px, pz = centre_x + apart / 2 * np.cos(around) + off, centre_z + apart / 2 * np.sin(around)
        face = np.arctan2(-np.cos(around), -np.sin(around))
        track = follow(px, pz, stage.step, face)
        heading = face + (track.heading - face) * (1 - fighting) + 0.3 * wander(rng, times, 1.2) * fighting
        blows = mix(poses.brawl(rng, times, kicks=bool(rng.random() < 0.7)), poses.grapple(rng, times), hold)
        stage.person(act(Track(px, pz, heading, track.pose), blows, fighting))
    witnesses(stage, (x, z), start, int(rng.integers(1, 3)), flee=False)
    return start, end


def fall(stage: Stage, start: float, end: float) -> tuple[float, float]:
    """A walker trips or faints and lies on the ground; gets up at the end, or stays down when end is the video's."""
    times, rng = stage.times, stage.rng
    x, z = stage.spot(near=True)
    rises = end < stage.seconds - 0.6
    way = float(rng.choice(np.array([-1.0, 1.0])))
    faints = bool(rng.random() < 0.4)
    speed = 1.4 * (1 - smooth(times, start - (0.9 if faints else 0.0), start + (0.0 if faints else 0.8)))
    if rises:
        speed = speed + 0.9 * smooth(times, end, end + 0.8)
    path = stroll(stage, (x, z), (way, 0.12 * rng.uniform(-1, 1)), speed, start)
    track = follow(*path, stage.step)
    down = poses.lie(rng, times, face_down=not faints)
    first = (
        poses.stumble(times)
        if not faints
        else pose(
            len(times), lean=0.55, hip_l=0.9, hip_r=0.7, knee_l=1.5, knee_r=1.3, elbow_l=0.4, elbow_r=0.4, twist=0.3
        )
    )
    moves = mix(track.pose, first, smooth(times, start, start + 0.3))
    moves = mix(moves, down, smooth(times, start + 0.12, start + 0.6) ** 1.5)
    if rises:
        moves = mix(moves, poses.crouch(times), smooth(times, end - 1.6, end - 0.8))
        moves = mix(moves, track.pose, smooth(times, end - 0.7, end))
    heading = np.full_like(times, way * np.pi / 2)
    stage.person(Track(track.x, track.z, heading, moves))
    lying = (float(np.interp(start + 1, times, path[0])), z)
    for side in (-way, way):
        _helper(stage, lying, side, start, end)
    witnesses(stage, lying, start, 1, flee=False)
    return start, end


def _helper(stage: Stage, at: tuple[float, float], side: float, start: float, end: float) -> None:
    """Somebody runs up from `side`, then kneels beside the fallen or stands there and waves for help."""
    times, rng = stage.times, stage.rng
    arrive, leave = start + rng.uniform(1.5, 2.3), end + 0.3
    rush = smooth(times, start + 0.3, start + 0.7)
    speed = pause(stage, arrive, leave, 1.0) * (0.8 + 2.6 * rush)
    path = stroll(stage, (at[0] + side * 0.9, at[1] - 0.35), (-side, 0.0), speed, arrive)
    track = follow(*path, stage.step)
    calls = between(times, arrive + 0.4, leave, 0.5) * float(rng.random() < 0.6)
    help_given = mix(poses.crouch(times), poses.wave(rng, times), calls)
    stage.person(act(track, help_given, between(times, arrive - 0.1, leave, 0.5)))


def _glide(times: Times, meet: float, before: float, after: float, settle: float) -> Times:
    """Metres past the point of impact: `before` m/s until then, then `after` m/s that dies out in `settle` seconds."""
    later = np.maximum(times - meet, 0)
    return before * np.minimum(times - meet, 0) + after * settle * (1 - np.exp(-later / settle))


def road_accident(stage: Stage, start: float, end: float) -> tuple[float, float]:
    """Two vehicles collide: into the back of a standing one, or head on after one swerves; both stay, one smokes."""
    times, rng, layout = stage.times, stage.rng, stage.layout
    lane = int(rng.integers(2))
    z, way = layout.lanes[lane]
    stage.closed_lanes |= {0, 1}
    left, right = layout.visible_x(z, 0.28)
    x = rng.uniform(left, right)
    crash = round(start / stage.step)
    head_on = bool(rng.random() < 0.5)
    hit = smooth(times, start, start + 0.7)
    paint = [pick_body(rng), pick_body(rng)]
    speed = rng.uniform(10.0, 13.0)
    forward = 0.0 if way > 0 else np.pi
    spin = rng.uniform(0.25, 0.7) * rng.choice(np.array([-1.0, 1.0]))
    swerve = smooth(times, start - 0.8, start)
    drift = (layout.lanes[1 - lane][0] - z) * 0.62 * swerve if head_on else 0.0 * times
    turn = -way * np.gradient(drift, stage.step) / speed if head_on else 0.0 * times
    striker = Drive(
        x + way * (_glide(times, start, speed, 1.2, 0.25) - 2.2), z + drift, forward + turn + spin * hit, hit
    )
    stage.vehicle(striker, Body(paint[0].kind, paint[0].paint, crash))
    if head_on:
        other_z = layout.lanes[1 - lane][0]
        other = Drive(
            x - way * (_glide(times, start, speed * 0.8, -2.6, 0.35) - 2.2),
            other_z + 0.3 * hit,
            forward + np.pi - 1.4 * spin * hit,
            hit,
        )
    else:
        halt = smooth(times, start - 4.5, start - 1.6)
        creep = np.cumsum(7.0 * (1 - halt)) * stage.step
        creep -= np.interp(start, times, creep)
        shoved = _glide(times, start, 0.0, 6.5, 0.45)
        other = Drive(
            x + way * (creep + shoved + 2.3), z + 0.5 * hit, forward - 0.8 * spin * hit, np.maximum(halt, hit)
        )
    stage.vehicle(other, Body(paint[1].kind, paint[1].paint, crash if head_on else None))
    at = (float(x), 0.8, float(z + drift[min(crash, len(times) - 1)]))
    stage.overlays.append(Debris(layout.camera, at, start, times, rng))
    rate = 26 * between(times, start, start + 0.5, 0.1) + 9.0 * smooth(times, start, start + 0.6)
    grey = 150.0 if stage.light.lamps == 0 else 95.0
    stage.overlays.append(Smoke(layout.camera, at, rate, times, (grey, grey, grey), rng, 0.75, 2.6))
    kerb = (float(x), layout.near_edge - 1.2 if len(layout.walks) > 1 else layout.far_edge + 1.5)
    witnesses(stage, kerb, start, int(rng.integers(1, 3)), flee=False)
    return start, end


def fire(stage: Stage, start: float, end: float) -> tuple[float, float]:
    """A bin, a parked car or a shop catches fire; flames and smoke grow; people run. It may burn out by the end."""
    times, rng, layout = stage.times, stage.rng, stage.layout
    what = str(rng.choice(np.array(["bin", "car", "shop"])))
    left, right = layout.visible_x(layout.near_edge, 0.3)
    if what == "bin":
        x, z = stage.spot(near=True)
        stage.solids.append(props.litter_bin(x, z, layout, stage.light, len(times)))
        at, largest = (x, 0.75, z), 1.9
    elif what == "car":
        lane = 0 if layout.kind != "square" else 1
        x, z = float(rng.uniform(left, right)), layout.lanes[lane][0]
        stage.closed_lanes.add(lane)
        heading = np.full_like(times, 0.0 if lane == 0 else np.pi)
        stage.vehicle(Drive(np.full_like(times, x), np.full_like(times, z), heading, 0 * times, lamps_on=False))
        at, largest = (x + (1.3 if lane == 0 else -1.3), 0.6, z - 0.9), 2.7
    else:
        left, right = layout.visible_x(layout.front, 0.15)
        fronts = [max(min(h.left + h.width * 0.3, h.left + h.width - 2), h.left + 2) for h in layout.houses]
        x, z = min(fronts, key=lambda front: abs(front - rng.uniform(left, right))), layout.front
        at, largest = (x, 0.3, z - 0.4), 4.0
    burnt_out = end < stage.seconds - 0.6
    size = largest * (0.3 * smooth(times, start, start + 0.3) + 0.7 * smooth(times, start + 0.2, start + 2.4))
    if burnt_out:
        size = size * (1 - smooth(times, end - 1.2, end))
    size = size * (1 + 0.12 * wander(rng, times, 2.5))
    soot = 52.0 if stage.light.lamps == 0 else 24.0
    stage.overlays.append(
        Smoke(
            layout.camera,
            (at[0], at[1] + 0.7 * largest, at[2]),
            10 * np.minimum(size / largest * 2, 1),
            times,
            (soot, soot, soot),
            rng,
            0.30 + 0.20 * largest,
            3.4,
        )
    )
    stage.overlays.append(Flames(layout.camera, at, size, times))
    low, high = layout.walks[-1 if what == "shop" else 0]
    where = (at[0], float(np.clip(at[2], low, high)))
    witnesses(stage, where, start + 0.6, int(rng.integers(1, 4)), flee=True)
    return start, end


INCIDENTS = {"fight": fight, "fall": fall, "road_accident": road_accident, "fire": fire}
