"""What is normal: passers-by, traffic, and the happenings that only look like trouble."""

from collections.abc import Callable

import numpy as np

from refinevad.apps.demo import pose as poses
from refinevad.apps.demo.animals import Dog
from refinevad.apps.demo.effects import Birds, Rain, Smoke
from refinevad.apps.demo.people import Track
from refinevad.apps.demo.pose import Times, mix, smooth, wander
from refinevad.apps.demo.staging import Stage, act, between, follow, pause, stroll
from refinevad.apps.demo.vehicles import Drive


def _way(stage: Stage) -> float:
    return float(stage.rng.choice(np.array([-1.0, 1.0])))


def _free_line(stage: Stage) -> float:
    """A z to walk along that keeps clear of what is going on and of the benches."""
    rng, layout = stage.rng, stage.layout
    z = 0.0
    for _ in range(12):
        low, high = layout.walks[-1 if rng.random() < 0.5 else 0]
        z = float(rng.uniform(low, high))
        busy = [*(b for _, b in stage.taken), *(b for _, b in layout.benches)]
        if all(abs(z - b) > 0.8 for b in busy):
            break
    return z


def passer_by(stage: Stage) -> None:
    """Somebody walks along the street at an even pace."""
    z, way = _free_line(stage), _way(stage)
    left, right = stage.layout.visible_x(z)
    speed = stage.rng.uniform(1.0, 1.7) + 0.0 * stage.times
    at = (float(stage.rng.uniform(left, right)), z)
    path = stroll(stage, at, (way, 0.04 * stage.rng.uniform(-1, 1)), speed, float(stage.rng.uniform(0, stage.seconds)))
    stage.person(follow(*path, stage.step))


def traffic(stage: Stage) -> None:
    """Vehicles at even speed in the open lanes, well apart."""
    rng, times = stage.rng, stage.times
    for lane, (z, way) in enumerate(stage.layout.lanes):
        if lane in stage.closed_lanes:
            continue
        speed = rng.uniform(6.0, 10.5)
        when = rng.uniform(0.5, 4.0)
        left, right = stage.layout.visible_x(z)
        while when < stage.seconds and rng.random() < 0.5:
            x = (left + right) / 2 + way * speed * (times - when)
            heading = np.full_like(times, 0.0 if way > 0 else np.pi)
            stage.vehicle(Drive(x, np.full_like(times, z), heading, 0 * times))
            when += rng.uniform(2.2, 6.0)


def bus_runner(stage: Stage, when: float) -> None:
    """One or two people break into a run."""
    z, way = _free_line(stage), _way(stage)
    left, right = stage.layout.visible_x(z, 0.25)
    for k in range(int(stage.rng.integers(1, 3))):
        speed = 1.3 + stage.rng.uniform(1.9, 2.5) * smooth(stage.times, when - 0.5, when + 0.3)
        path = stroll(stage, (float(stage.rng.uniform(left, right)), z + 0.7 * k), (way, 0.0), speed, when + 0.3 * k)
        stage.person(follow(*path, stage.step))


def _meeting(
    stage: Stage, when: float, hurry: float, gap: float, greeting: Callable[[Times], poses.Pose], spin: float
) -> None:
    """Two people come up to one another, greet for some seconds, and part."""
    times, rng = stage.times, stage.rng
    x, z = stage.spot()
    leave = when + rng.uniform(2.0, 4.0)
    angle = spin * between(times, when, leave, 1.0) * 0.9 + rng.uniform(-0.3, 0.3)
    for side in (-1.0, 1.0):
        distance = hurry * np.maximum(when - times, 0) + 1.2 * np.maximum(times - leave - 0.3, 0)
        radius = gap / 2 + distance
        px, pz = x + side * radius * np.cos(angle), z + side * radius * np.sin(angle) * np.exp(-distance)
        face = np.arctan2(-side * np.cos(angle), -side * np.sin(angle))
        track = follow(px, pz, stage.step, face)
        stage.person(act(track, greeting(times), between(times, when - 0.2, leave + 0.2)))


def hug(stage: Stage, when: float) -> None:
    """Friends hurry into each other's arms and turn on the spot."""
    sway = wander(stage.rng, stage.times, 0.5)
    hurry = float(stage.rng.uniform(1.3, 2.8))
    _meeting(
        stage,
        when,
        hurry,
        0.42,
        lambda t: poses.hug(t, sway),
        float(stage.rng.choice(np.array([0.0, 1.0, -1.2]))),
    )


def greet(stage: Stage, when: float) -> None:
    """A handshake."""
    _meeting(stage, when, 1.25, 0.95, poses.handshake, 0.0)


def tie_shoes(stage: Stage, when: float) -> None:
    """A walker kneels down, sees to a shoe and walks on."""
    at, way = stage.spot(), _way(stage)
    leave = when + stage.rng.uniform(2.5, 4.5)
    path = stroll(stage, at, (way, 0.0), pause(stage, when, leave, 1.35), when)
    stage.person(act(follow(*path, stage.step), poses.crouch(stage.times), between(stage.times, when, leave, 0.7)))


def sit_down(stage: Stage, when: float) -> None:
    """Somebody stands before the bench, sits down, and may get up again."""
    times, layout = stage.times, stage.layout
    x, z = layout.benches[0]
    seat = (x + stage.rng.uniform(-0.4, 0.4), z - 0.1)
    leave = when + stage.rng.uniform(3.5, 9.0)
    seated = between(times, when, leave, 0.8)
    path = stroll(stage, (seat[0], seat[1] - 0.25), (_way(stage), 0.0), pause(stage, when, leave, 1.2), when)
    track = follow(*path, stage.step)
    turned = between(times, when - 0.4, leave + 0.4, 0.5)
    heading = track.heading + (np.pi * np.sign(track.heading) - track.heading) * turned
    moves = mix(track.pose, poses.sit(stage.rng, times), seated)
    lowest = 0.93 + (0.60 - 0.93) * seated  # height of the pelvis, from standing to the seat
    stage.person(Track(track.x, track.z + 0.25 * seated, heading, moves, lowest))


def dog_run(stage: Stage, when: float) -> None:
    """A dog gallops through."""
    z, way = _free_line(stage), _way(stage)
    left, right = stage.layout.visible_x(z, 0.3)
    speed = stage.rng.uniform(3.5, 5.5) + 0.0 * stage.times
    path = stroll(stage, (float(stage.rng.uniform(left, right)), z), (way, 0.05), speed, when)
    coat = ((60, 95, 150), (40, 40, 45), (190, 200, 210), (45, 65, 95))[int(stage.rng.integers(4))]
    stage.solids.append(Dog(path[0], path[1], way, coat, stage.layout, stage.light))


def birds(stage: Stage, when: float) -> None:
    """A flock crosses."""
    stage.overlays.append(Birds(stage.rng, stage.times, when - 1.0, dark=stage.light.lamps < 0.8))


def light_change(stage: Stage, when: float) -> None:
    """A cloud, or the camera's exposure, changes the brightness at a stroke."""
    depth, ease = stage.rng.uniform(0.08, 0.18), stage.rng.uniform(0.5, 1.5)
    back = when + stage.rng.uniform(2.5, 6.0)
    stage.gain *= 1 - depth * (smooth(stage.times, when, when + ease) - smooth(stage.times, back, back + ease))


def rain(stage: Stage, when: float) -> None:
    """A shower for the whole video."""
    stage.overlays.append(Rain(stage.rng, len(stage.times), int(stage.rng.integers(15, 35))))


def steam(stage: Stage, when: float) -> None:
    """White steam out of the manhole: smoke without fire."""
    layout = stage.layout
    x, z = layout.crossing_x + 4.0, (layout.near_edge + layout.far_edge) / 2 - 1.2
    left, right = layout.visible_x(z, 0.1)
    if not left < x < right:
        x, z = float(stage.rng.uniform(left, right)), layout.far_edge + 0.5
    rate = 3.0 * between(stage.times, when - 1.5, when + 6.0, 1.5)
    bright = 225.0 if stage.light.lamps == 0 else 105.0
    stage.overlays.append(
        Smoke(layout.camera, (x, 0.1, z), rate, stage.times, (bright, bright, bright), stage.rng, 0.3, 2.6)
    )


def give_way(stage: Stage, when: float) -> None:
    """A vehicle brakes hard at the crossing for a pedestrian and goes on."""
    times, layout, rng = stage.times, stage.layout, stage.rng
    lane = int(rng.integers(2))
    if lane in stage.closed_lanes:
        return
    stage.closed_lanes.add(lane)
    z, way = layout.lanes[lane]
    go = when + rng.uniform(2.0, 3.2)
    still = between(times, when - 0.9, go + 1.0, 0.9)
    distance = np.cumsum(8.0 * (1 - still)) * stage.step
    distance -= np.interp(when + 0.2, times, distance)
    x = layout.crossing_x + way * (distance - 5.2)
    stage.vehicle(Drive(x, np.full_like(times, z), np.full_like(times, 0.0 if way > 0 else np.pi), still))
    forth = _way(stage)
    speed = 1.45 + 0 * times
    middle = (layout.near_edge + layout.far_edge) / 2
    path = stroll(
        stage,
        (layout.crossing_x + rng.uniform(-0.8, 0.8), middle),
        (0.0, forth),
        speed,
        (when + go) / 2 + 0.2,
    )
    stop = np.minimum(path[1], layout.walks[-1][1])
    stage.person(follow(path[0], stop, stage.step))


HAPPENINGS: dict[str, Callable[[Stage, float], None]] = {
    "bus_runner": bus_runner,
    "hug": hug,
    "greet": greet,
    "tie_shoes": tie_shoes,
    "sit_down": sit_down,
    "dog_run": dog_run,
    "birds": birds,
    "light_change": light_change,
    "rain": rain,
    "steam": steam,
    "give_way": give_way,
}
