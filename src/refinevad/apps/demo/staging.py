"""A stage: one place, one light, the time axis, and everything that has been put on it."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from refinevad.apps.demo import props
from refinevad.apps.demo.effects import Beam
from refinevad.apps.demo.layout import Layout, Light
from refinevad.apps.demo.people import Outfit, Person, Track, dress
from refinevad.apps.demo.pose import Pose, Times, gait, mix, smooth
from refinevad.apps.demo.vehicles import Body, Drive, Vehicle, pick_body


@runtime_checkable
class Solid(Protocol):
    """What stands on the ground: throws a shadow, hides what is behind it.

    `depth` is the distance along the view for each frame, `visible` whether it touches the canvas, `columns` the
    canvas columns it spans; `still` things never move.
    """

    still: bool
    depth: Times
    visible: list[bool]
    columns: Float[np.ndarray, "frame 2"]

    def shadow(self, mask: UInt8[np.ndarray, "row column"], frame: int) -> None: ...

    def draw(self, canvas: UInt8[np.ndarray, "row column 3"], frame: int) -> None: ...


@runtime_checkable
class Overlay(Protocol):
    """What is mixed over the picture: light, smoke, rain."""

    def draw(self, picture: UInt8[np.ndarray, "row column 3"], frame: int, shift: Float[np.ndarray, "2"]) -> None: ...


@dataclass
class Stage:
    """Collects the cast of one video; `truth` is the anomaly's (start, end) in seconds, if there is one."""

    layout: Layout
    light: Light
    times: Times
    rng: np.random.Generator
    gain: Times  # brightness of each frame
    solids: list[Solid] = field(default_factory=list)
    overlays: list[Overlay] = field(default_factory=list)
    taken: list[tuple[float, float]] = field(default_factory=list)
    closed_lanes: set[int] = field(default_factory=set)
    truth: tuple[float, float] | None = None

    @property
    def seconds(self) -> float:
        """Length of the video."""
        return len(self.times) * self.step

    @property
    def step(self) -> float:
        """Seconds a frame."""
        return float(self.times[1] - self.times[0])

    def person(self, track: Track, outfit: Outfit | None = None) -> None:
        """Put a person on the stage."""
        self.solids.append(Person(track, outfit or dress(self.rng), self.layout, self.light))

    def vehicle(self, drive: Drive, body: Body | None = None) -> Vehicle:
        """Put a vehicle on the stage, with its beams where it is dark."""
        added = Vehicle(drive, body or pick_body(self.rng), self.layout, self.light)
        self.solids.append(added)
        if self.light.lamps > 0 and drive.lamps_on:
            self.overlays.append(Beam(self.layout.camera, added.front, drive.heading))
        return added

    def spot(self, near: bool = False, apart: float = 2.6) -> tuple[float, float]:
        """A free ground spot well inside the frame, at least `apart` metres from the taken ones where possible.

        With `near` it lies in the nearer half of such spots, else anywhere among them.
        """
        spots = self.layout.stages
        if near:
            spots = spots[np.argsort(np.hypot(*spots.T), kind="stable")][: (len(spots) + 1) // 2]
        for x, z in spots[self.rng.permutation(len(spots))]:
            if all(np.hypot(x - a, z - b) >= apart for a, b in self.taken) and not self._blocked(float(x), float(z)):
                break
        self.taken.append((float(x), float(z)))
        return self.taken[-1]

    def _blocked(self, x: float, z: float) -> bool:
        furniture = (*self.layout.benches, *self.layout.bins, *self.layout.lamps)
        return any(np.hypot(x - a, z - b) < 1.3 for a, b in furniture)

    def furnish(self) -> None:
        """Set up lamps, trees, benches and bins."""
        frames, layout, light = len(self.times), self.layout, self.light
        for x, z in layout.lamps:
            towards = 1.5 if z < layout.near_edge else -1.5
            self.solids.append(props.lamp_post(x, z, towards, layout, light, frames))
        for x, z, height in layout.trees:
            self.solids.append(props.trunk(x, z, height, layout, light, frames))
        self.solids += [props.bench(x, z, layout, light, frames) for x, z in layout.benches]
        self.solids += [props.litter_bin(x, z, layout, light, frames) for x, z in layout.bins]


def follow(x: Times, z: Times, step: float, facing: Times | None = None) -> Track:
    """Walk a path: the gait follows the distance covered, the heading the way, or `facing` while standing."""
    speed = np.hypot(np.gradient(x), np.gradient(z)) / step
    width = max(int(0.2 / step), 1)
    kernel = np.ones(width) / width
    padded = np.pad(speed, width, mode="edge")
    speed = np.convolve(padded, kernel, mode="same")[width:-width]
    way = np.arctan2(np.gradient(x), np.gradient(z))
    moving = np.clip(speed / 0.4 - 0.5, 0, 1)
    still = facing if facing is not None else np.full_like(x, way[int(np.argmax(speed))])
    heading = still + moving * (np.mod(way - still + np.pi, 2 * np.pi) - np.pi)
    return Track(x, z, heading, gait(np.cumsum(speed) * step, speed))


def stroll(
    stage: Stage, start: tuple[float, float], direction: tuple[float, float], speed: Times, at_s: float
) -> tuple[Times, Times]:
    """A straight path with the given speed that passes `start` at `at_s` seconds: x and z."""
    distance = np.cumsum(speed) * stage.step
    distance -= np.interp(at_s, stage.times, distance)
    return start[0] + direction[0] * distance, start[1] + direction[1] * distance


def pause(stage: Stage, arrive: float, leave: float, speed: float) -> Times:
    """Walking speed that ebbs to nothing at `arrive` and comes back at `leave`."""
    gone_on = smooth(stage.times, leave, leave + 0.6)
    pace: Times = speed * (1 - smooth(stage.times, arrive - 0.6, arrive) + gone_on)
    return pace


def act(track: Track, doing: Pose, weight: Times, lift: Times | None = None) -> Track:
    """The same path with another pose mixed in by `weight`."""
    return Track(track.x, track.z, track.heading, mix(track.pose, doing, weight), lift)


def between(times: Times, start: float, end: float, ease: float = 0.4) -> Times:
    """1 between start and end, 0 outside, eased over `ease` seconds within."""
    weight: Times = smooth(times, start, start + ease) * (1 - smooth(times, end - ease, end))
    return weight
