"""The anomalies: fight, fall, road accident, fire. Each puts its cast on the stage and returns (start, end) seconds.

Each can be staged with `happens` false, for normal videos: the same cast in the same places, the same pictures up to
the moment itself (for the accident up to a driver's reaction before it), and then nothing comes of it. So what an
incident brings with it, people near the camera or a parked car, says nothing.
"""

import numpy as np

from refinevad.apps.demo import pose as poses
from refinevad.apps.demo import props
from refinevad.apps.demo.effects import Debris, Flames, Smoke
from refinevad.apps.demo.people import Track
from refinevad.apps.demo.pose import Times, mix, pose, smooth, wander
from refinevad.apps.demo.staging import Stage, act, between, follow, pause, stroll
from refinevad.apps.demo.vehicles import Body, Drive, pick_body

REACTION_S = 1.6  # a driver who sees a standing car in time brakes this long before he would have hit it
DRIVE_ON = 6.0  # metres a second after a halt


def witnesses(stage: Stage, centre: tuple[float, float], alarm: float, count: int, flee: bool, happens: bool) -> None:
    """People who stand near, then step back from `centre` (or run off), look at it, and perhaps wave for help.

    With `happens` false they stroll off sooner or later.
    """
    times, rng = stage.times, stage.rng
    low, high = stage.layout.walks[0 if centre[1] < stage.layout.near_edge else -1]
    for _ in range(count):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(2.0, 3.6)
        x = centre[0] + reach * 1.25 * np.cos(angle)
        z = float(np.clip(centre[1] + reach * np.sin(angle), low - 0.3, high + 0.2))
        away_x, away_z = x - centre[0], 0.4 * (z - centre[1])
        norm = max(float(np.hypot(away_x, away_z)), 0.1)
        away_x, away_z = away_x / norm, away_z / norm
        delay, linger = alarm + rng.uniform(0.2, 0.9), rng.uniform(0.5, 7.0)
        runs = flee and rng.random() < 0.6
        back = rng.uniform(0.7, 1.5)
        if not happens:
            gone = 1.25 * np.maximum(times - delay - linger, 0)
            weight = 1 - smooth(times, delay + linger, delay + linger + 0.3)
        elif runs:
            gone = 3.6 * np.maximum(times - delay, 0)
            weight = 1 - smooth(times, delay, delay + 0.3)
        else:
            gone = smooth(times, delay, delay + 1.3) * back
            weight = 1 - between(times, delay, delay + 1.3)
        face = np.full_like(times, np.arctan2(-away_x, -away_z))
        looks = face + (1 - smooth(times, delay - 0.2, delay + 0.3) * happens) * rng.uniform(-1.6, 1.6)
        track = follow(x + away_x * gone, z + away_z * gone, stage.step, looks)
        if happens and not runs:
            track = Track(track.x, track.z, looks, track.pose)
        calls = between(times, delay + 1.0, delay + 3.5) * float(rng.random() < 0.4) * happens
        idle = mix(poses.stand(rng, times), poses.wave(rng, times), calls)
        stage.person(act(track, idle, weight))
        stage.taken.append((float(x), z))


def fight(stage: Stage, start: float, end: float, happens: bool) -> tuple[float, float]:
    """Two or three people meet and talk, then punch, kick, shove and grapple, circling.

    With `happens` false they talk on, and part.
    """
    times, rng = stage.times, stage.rng
    x, z = stage.spot(near=True)
    fighting = between(times, start, end, 0.25) * happens
    hold = np.clip(2.0 * wander(rng, times, 0.3) - 0.4, 0, 1)  # grappling rather than punching
    angle = rng.uniform(-0.5, 0.5) + (1.1 * wander(rng, times, 0.4) + 1.2 * hold) * fighting
    centre_x = x + 0.6 * wander(rng, times, 0.6) * fighting
    centre_z = z + 0.3 * wander(rng, times, 0.5) * fighting
    shove = np.maximum(wander(rng, times, 0.7) - 0.4, 0) * 1.7  # thrown back, then at each other again
    apart = 0.9 + (shove - 0.05 - 0.30 * hold + 0.2 * wander(rng, times, 1.6)) * fighting
    arrive = start - rng.uniform(0.8, 3.0)
    coming = 1.25 * np.maximum(arrive - times, 0)
    leaving = np.maximum(times - end + 0.2, 0) * smooth(times, end - 0.2, end + 0.5)
    flight = rng.uniform(1.2, 2.9)
    talking = between(times, arrive - 0.2, end + 0.2, 0.5)
    for turn in (np.pi, 0.0, np.pi / 2)[: 2 + int(rng.random() < 0.5)]:
        around = angle + turn
        side = float(np.sign(np.cos(turn) + 0.1))
        pace = (flight if side > 0 else 0.6) if happens else 1.25
        px = centre_x + apart / 2 * np.cos(around) + side * (coming + pace * leaving)
        pz = centre_z + apart / 2 * np.sin(around)
        face = np.arctan2(-np.cos(around), -np.sin(around))
        track = follow(px, pz, stage.step, face)
        heading = track.heading + (face + 0.3 * wander(rng, times, 1.2) - track.heading) * fighting
        blows = mix(poses.brawl(rng, times, kicks=bool(rng.random() < 0.7)), poses.grapple(rng, times), hold)
        moves = mix(mix(track.pose, poses.talk(rng, times), talking), blows, fighting)
        stage.person(Track(px, pz, heading, moves))
    witnesses(stage, (x, z), start, int(rng.integers(1, 3)), False, happens)
    return start, end


def fall(stage: Stage, start: float, end: float, happens: bool) -> tuple[float, float]:
    """A walker trips or faints and lies on the ground; gets up at the end, or stays down when end is the video's.

    With `happens` false the walker stops there, on one knee or on foot, and goes on at the end.
    """
    times, rng = stage.times, stage.rng
    x, z = stage.spot(near=True)
    rises = end < stage.seconds - 0.6
    way = float(rng.choice(np.array([-1.0, 1.0])))
    faints, kneels = bool(rng.random() < 0.4), bool(rng.random() < 0.6)
    speed = 1.4 * (1 - smooth(times, start - (0.9 if faints else 0.0), start + (0.0 if faints else 0.8)))
    if rises:
        speed = speed + 0.9 * smooth(times, end, end + 0.8)
    path = stroll(stage, (x, z), (way, 0.12 * rng.uniform(-1, 1)), speed, start)
    track = follow(*path, stage.step)
    down, upright = poses.lie(rng, times, face_down=not faints), poses.stand(rng, times)
    if happens:
        moves = _tumble(track, down, times, (start, end) if rises else (start, np.inf), faints)
    else:
        moves = mix(track.pose, poses.crouch(times) if kneels else upright, between(times, start + 0.1, end, 0.7))
    heading = np.full_like(times, way * np.pi / 2)
    stage.person(Track(track.x, track.z, heading, moves))
    lying = (float(np.interp(start + 1, times, path[0])), z)
    for side in (-way, way):
        _helper(stage, lying, side, start, end, happens)
    witnesses(stage, lying, start, 1, False, happens)
    return start, end


def _tumble(track: Track, down: poses.Pose, times: Times, span: tuple[float, float], faints: bool) -> poses.Pose:
    """Losing balance, lying, and getting up by way of one knee at the end of `span` (seconds)."""
    start, end = span
    if faints:
        knees = {"hip_l": 0.9, "hip_r": 0.7, "knee_l": 1.5, "knee_r": 1.3}
        first = pose(len(times), lean=0.55, elbow_l=0.4, elbow_r=0.4, twist=0.3, **knees)
    else:
        first = poses.stumble(times)
    moves = mix(track.pose, first, smooth(times, start, start + 0.3))
    moves = mix(moves, down, smooth(times, start + 0.12, start + 0.6) ** 1.5)
    if np.isfinite(end):
        moves = mix(moves, poses.crouch(times), smooth(times, end - 1.6, end - 0.8))
        moves = mix(moves, track.pose, smooth(times, end - 0.7, end))
    return moves


def _helper(stage: Stage, at: tuple[float, float], side: float, start: float, end: float, happens: bool) -> None:
    """Somebody runs up from `side`, then kneels beside the fallen or waves for help; or walks up, and talks."""
    times, rng = stage.times, stage.rng
    arrive, leave = start + rng.uniform(1.5, 2.3), end + 0.3
    rush = smooth(times, start + 0.3, start + 0.7)
    speed = pause(stage, arrive, leave, 1.0) * (0.8 + 2.6 * rush)
    x, z = stroll(stage, (at[0] + side * 0.9, at[1] - 0.35), (-side, 0.0), speed, arrive)
    calls = between(times, arrive + 0.4, leave, 0.5) * float(rng.random() < 0.6)
    help_given = mix(poses.crouch(times), poses.wave(rng, times), calls)
    chat = poses.talk(rng, times)
    if happens:
        stage.person(act(follow(x, z, stage.step), help_given, between(times, arrive - 0.1, leave, 0.5)))
        return
    ahead = max(side * (float(np.interp(start, times, x)) - at[0]) - 0.9, 0.1)  # metres still to walk
    slow = np.maximum(ahead - 0.8 * (times - start), 0) - 0.8 * np.maximum(times - leave, 0)
    there = start + ahead / 0.8
    track = follow(at[0] + side * (0.9 + slow), z, stage.step)
    stage.person(act(track, chat, between(times, there, max(leave, there + 0.1), 0.5)))


def _glide(times: Times, meet: float, before: float, after: float, settle: float) -> Times:
    """Metres past the point of impact: `before` m/s until then, then `after` m/s that dies out in `settle` seconds."""
    later = np.maximum(times - meet, 0)
    return before * np.minimum(times - meet, 0) + after * settle * (1 - np.exp(-later / settle))


def _brake(times: Times, start: float, before: float, go: float) -> Times:
    """Metres past a standing car's back when a driver at `before` m/s stops 2 m short of it, and goes on at `go` s."""
    step = float(times[1] - times[0])
    first = start - REACTION_S
    stopped = first + 2 * (REACTION_S - 2.0 / before)  # half speed on average covers what is left but for 2 m
    pace = before * (1 - smooth(times, first, stopped)) + DRIVE_ON * smooth(times, go, go + 2.5)
    distance: Times = np.cumsum(pace) * step
    return distance - float(np.interp(first, times, distance)) - before * REACTION_S


def road_accident(stage: Stage, start: float, end: float, happens: bool) -> tuple[float, float]:
    """Two vehicles collide: into the back of a standing one, or head on after one swerves; both stay, one smokes.

    With `happens` false the one behind brakes in time and both drive on, or each keeps to its lane.
    """
    times, rng, layout = stage.times, stage.rng, stage.layout
    lane = int(rng.integers(2))
    z, way = layout.lanes[lane]
    stage.closed_lanes |= {0, 1}
    left, right = layout.visible_x(z, 0.28)
    x = rng.uniform(left, right)
    head_on = bool(rng.random() < 0.5)
    hit = smooth(times, start, start + 0.7) * happens
    paint = [pick_body(rng), pick_body(rng)]
    crash = round(start / stage.step) if happens else None
    speed, spin = rng.uniform(10.0, 13.0), rng.uniform(0.25, 0.7) * rng.choice(np.array([-1.0, 1.0]))
    go = start + rng.uniform(2.5, 6.0)
    forward = 0.0 if way > 0 else np.pi
    across = (layout.lanes[1 - lane][0] - z) * 0.62 * smooth(times, start - 0.8, start) * (head_on and happens)
    turn = -way * np.gradient(across, stage.step) / speed
    if happens:
        along = _glide(times, start, speed, 1.2, 0.25)
    else:
        along = speed * (times - start) if head_on else _brake(times, start, speed, go)
    striker = Drive(x + way * (along - 2.2), z + across, forward + turn + spin * hit, hit)
    stage.vehicle(striker, Body(paint[0].kind, paint[0].paint, crash))
    if head_on:
        other_z = layout.lanes[1 - lane][0]
        towards = _glide(times, start, speed * 0.8, -2.6, 0.35) if happens else speed * 0.8 * (times - start)
        other = Drive(x - way * (towards - 2.2), other_z + 0.3 * hit, forward + np.pi - 1.4 * spin * hit, hit)
    else:
        halt = smooth(times, start - 4.5, start - 1.6)
        creep = np.cumsum(7.0 * (1 - halt) + DRIVE_ON * smooth(times, go - 0.4, go + 2.1) * (not happens)) * stage.step
        creep -= np.interp(start, times, creep)
        shoved = _glide(times, start, 0.0, 6.5, 0.45) * happens
        other = Drive(
            x + way * (creep + shoved + 2.3), z + 0.5 * hit, forward - 0.8 * spin * hit, np.maximum(halt, hit)
        )
    stage.vehicle(other, Body(paint[1].kind, paint[1].paint, crash if head_on else None))
    kerb = (float(x), layout.near_edge - 1.2 if len(layout.walks) > 1 else layout.far_edge + 1.5)
    witnesses(stage, kerb, start, int(rng.integers(1, 3)), False, happens)
    if happens:
        at = (float(x), 0.8, float(z + np.interp(start, times, across)))
        stage.overlays.append(Debris(layout.camera, at, start, times, rng))
        rate = 26 * between(times, start, start + 0.5, 0.1) + 7.0 * smooth(times, start, start + 0.6)
        grey = 150.0 if stage.light.lamps == 0 else 95.0
        stage.overlays.append(Smoke(layout.camera, at, rate, times, (grey, grey, grey), rng, 0.5, 2.6))
    return start, end


def fire(stage: Stage, start: float, end: float, happens: bool) -> tuple[float, float]:
    """A bin, a parked car or a shop catches fire; flames and smoke grow; people run. It may burn out by the end.

    With `happens` false people just stand about there.
    """
    times, rng, layout = stage.times, stage.rng, stage.layout
    at, largest, row = _fuel(stage)
    low, high = layout.walks[row]
    where = (at[0], float(np.clip(at[2], low, high)))
    witnesses(stage, where, start + 0.6, int(rng.integers(1, 4)), True, happens)
    if not happens:
        return start, end
    size = largest * (0.3 * smooth(times, start, start + 0.3) + 0.7 * smooth(times, start + 0.2, start + 2.4))
    if end < stage.seconds - 0.6:
        size = size * (1 - smooth(times, end - 1.2, end))
    size = size * (1 + 0.12 * wander(rng, times, 2.5))
    soot = 52.0 if stage.light.lamps == 0 else 24.0
    puffs = 10 * np.minimum(size / largest * 2, 1)
    top = (at[0], at[1] + 0.7 * largest, at[2])
    wide = 0.30 + 0.20 * largest
    stage.overlays.append(Smoke(layout.camera, top, puffs, times, (soot, soot, soot), rng, wide, 3.4))
    stage.overlays.append(Flames(layout.camera, at, size, times))
    return start, end


def _fuel(stage: Stage) -> tuple[tuple[float, float, float], float, int]:
    """What may burn, put on the stage: where the flames stand, how wide they get (metres), and the nearest walk."""
    rng, layout, still = stage.rng, stage.layout, np.zeros_like(stage.times)
    what = str(rng.choice(np.array(["bin", "car", "shop"])))
    if what == "bin":
        x, z = stage.spot(near=True)
        stage.solids.append(props.litter_bin(x, z, layout, stage.light, len(stage.times)))
        return (x, 0.75, z), 0.9, 0
    if what == "car":
        lane = 0 if layout.kind != "square" else 1
        x, z = float(rng.uniform(*layout.visible_x(layout.near_edge, 0.3))), layout.lanes[lane][0]
        stage.closed_lanes.add(lane)
        stage.vehicle(Drive(still + x, still + z, still + (0.0 if lane == 0 else np.pi), still, lamps_on=False))
        return (x + (1.3 if lane == 0 else -1.3), 0.6, z - 0.9), 1.8, 0
    left, right = layout.visible_x(layout.front, 0.15)
    fronts = [max(min(h.left + h.width * 0.3, h.left + h.width - 2), h.left + 2) for h in layout.houses]
    x = min(fronts, key=lambda front: abs(front - rng.uniform(left, right)))
    return (x, 0.3, layout.front - 0.4), 2.6, -1


INCIDENTS = {"fight": fight, "fall": fall, "road_accident": road_accident, "fire": fire}
