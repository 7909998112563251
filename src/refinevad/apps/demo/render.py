"""A plan of one video -> its frames -> an mp4."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import Float, UInt8

from refinevad.apps.demo.camera import FRAME_HEIGHT, FRAME_WIDTH, MARGIN, SUPERSAMPLE
from refinevad.apps.demo.everyday import HAPPENINGS, passer_by, traffic
from refinevad.apps.demo.incidents import INCIDENTS
from refinevad.apps.demo.layout import LIGHTS, make_layout
from refinevad.apps.demo.pose import wander
from refinevad.apps.demo.props import Crown
from refinevad.apps.demo.scene import paint_backdrop
from refinevad.apps.demo.staging import Stage
from refinevad.files.whole import atomic_write

Picture = UInt8[np.ndarray, "row column 3"]
NOISE_FRAMES = 8


@dataclass(frozen=True)
class Shot:
    """Everything that determines one video. `event` is (start, end) in seconds, None in a normal video."""

    path: str  # relative to the data set's folder
    seed: tuple[int, ...]
    town: int
    camera: int
    light: str
    rate: Fraction
    frames: int
    category: str
    event: tuple[float, float] | None
    happenings: tuple[tuple[str, float], ...]
    passers: int
    likeness: tuple[str, float, float] | None = None  # of a normal video: the incident that is set up and fails to come


def stage_shot(shot: Shot) -> Stage:
    """Set the stage: the incident or its likeness first, then happenings, passers-by and traffic around it."""
    rng = np.random.default_rng(list(shot.seed))
    times = np.arange(shot.frames) / float(shot.rate)
    light = LIGHTS[shot.light]
    stage = Stage(make_layout(shot.town, shot.camera), light, times, rng, gain=np.ones(shot.frames))
    stage.furnish()
    if shot.event is not None:
        stage.truth = INCIDENTS[shot.category](stage, *shot.event, True)
    elif shot.likeness is not None:
        name, start, end = shot.likeness
        INCIDENTS[name](stage, start, end, False)
    stage.rng = np.random.default_rng([*shot.seed, 2])  # whatever the scene drew, the rest of the street is the same
    for name, when in shot.happenings:
        HAPPENINGS[name](stage, when)
    for _ in range(shot.passers):
        passer_by(stage)
    traffic(stage)
    return stage


@lru_cache(maxsize=4)
def _grain(
    deviation: float,
) -> tuple[UInt8[np.ndarray, "frame row column 3"], UInt8[np.ndarray, "frame row column 3"]]:
    """Sensor noise of the given standard deviation in grey levels, its positive and its negative part."""
    rng = np.random.default_rng(13)
    shape = (NOISE_FRAMES, FRAME_HEIGHT + 16, FRAME_WIDTH + 16, 1)
    grain = np.repeat(np.round(rng.standard_normal(shape, np.float32) * deviation), 3, axis=3)
    return np.maximum(grain, 0).astype(np.uint8), np.maximum(-grain, 0).astype(np.uint8)


class Sensor:
    """What the camera adds: shake, noise, brightness, the time stamp."""

    def __init__(self, shot: Shot, stage: Stage) -> None:
        rng = np.random.default_rng([*shot.seed, 9])
        self._gain = stage.gain
        self._brighter, self._darker = _grain(stage.light.noise)
        self._offsets = rng.integers(0, 16, (shot.frames, 2)).tolist()
        shake = float(rng.choice(np.array([0.0, 0.25, 0.5])))
        drift = np.stack([wander(rng, stage.times, 0.7), wander(rng, stage.times, 0.9)], axis=1)
        jolt = rng.normal(0, 0.25, drift.shape)
        self.offsets = np.clip(np.round(SUPERSAMPLE * (shake * (drift + jolt))), -2 * MARGIN, 2 * MARGIN).astype(int)
        hour, second = stage.light.hour, int(rng.integers(3600))
        self._label = f"CAM {shot.camera + 1:02d}"
        self._clock = [
            f"2024-05-{14 + shot.camera % 9:02d} {hour:02d}:{now // 60 % 60:02d}:{now % 60:02d}"
            for now in (second + np.floor(stage.times).astype(int)).tolist()
        ]

    def expose(self, picture: Picture, frame: int) -> Picture:
        """Apply brightness and noise, print the clock."""
        gain = float(self._gain[frame])
        row, column = self._offsets[frame]
        window = (frame % NOISE_FRAMES, slice(row, row + FRAME_HEIGHT), slice(column, column + FRAME_WIDTH))
        if abs(gain - 1) > 0.004:
            picture = cv2.convertScaleAbs(picture, alpha=gain)
        picture = cv2.subtract(cv2.add(picture, self._brighter[window]), self._darker[window])
        for text, x, width in ((self._clock[frame], 4, 122), (self._label, FRAME_WIDTH - 52, 48)):
            plate = picture[3:17, x : x + width]
            cv2.convertScaleAbs(plate, dst=plate, alpha=0.3)
            cv2.putText(picture, text, (x + 3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (240, 240, 240), 1, cv2.LINE_AA)
        return picture


class Composer:
    """Lays the solids over the backdrop: still ones once, and again only where something passes behind them."""

    def __init__(self, stage: Stage) -> None:
        backdrop = paint_backdrop(stage.layout, stage.light)
        self._mask = np.zeros(backdrop.lit.shape[:2], np.uint8)
        self._still = [solid for solid in stage.solids if solid.still and solid.visible[0]]
        self._moving = [solid for solid in stage.solids if not solid.still]
        self._lit, self._shaded = backdrop.lit.copy(), backdrop.shaded.copy()
        for solid in self._still:
            solid.shadow(self._mask, 0)
        cv2.copyTo(self._shaded, self._mask, self._lit)
        for solid in sorted(self._still, key=lambda s: -float(s.depth[0])):
            solid.draw(self._lit, 0)

    def compose(self, frame: int) -> Picture:
        """The canvas of one frame: ground with shadows, then solids from far to near."""
        canvas = self._lit.copy()
        moving = [solid for solid in self._moving if solid.visible[frame]]
        self._mask.fill(0)
        for solid in moving:
            solid.shadow(self._mask, frame)
        cv2.copyTo(self._shaded, self._mask, canvas)
        spans = [(float(s.depth[frame]), *s.columns[frame].tolist()) for s in moving]
        again = []
        for post in self._still:
            depth, (left, right) = float(post.depth[0]), post.columns[0].tolist()
            if any(far > depth and low < right and high > left for far, low, high in spans):
                again.append(post)
        for solid in sorted([*moving, *again], key=lambda s: -float(s.depth[frame])):
            solid.draw(canvas, frame)
        return canvas


def draw_frames(shot: Shot) -> Iterator[Picture]:
    """The frames of a shot, blue-green-red, before encoding. Equal shots give equal frames."""
    stage = stage_shot(shot)
    composer, sensor = Composer(stage), Sensor(shot, stage)
    crowns = [
        Crown(x, z, height, stage.layout, stage.light, 17 * shot.camera + k)
        for k, (x, z, height) in enumerate(stage.layout.trees)
    ]
    crowns = [crown for crown in crowns if crown.visible]
    rng = np.random.default_rng([*shot.seed, 4])
    wind = [0.05 + 0.07 * wander(rng, stage.times, 0.35) + 0.02 * wander(rng, stage.times, 1.3) for _ in crowns]
    border = SUPERSAMPLE * MARGIN
    for frame in range(shot.frames):
        canvas = composer.compose(frame)
        right, down = sensor.offsets[frame].tolist()
        crop = canvas[
            border + down : canvas.shape[0] - border + down, border + right : canvas.shape[1] - border + right
        ]
        picture = cv2.resize(crop, (FRAME_WIDTH, FRAME_HEIGHT), interpolation=cv2.INTER_AREA)
        shift: Float[np.ndarray, 2] = -np.array([right, down]) / SUPERSAMPLE
        for overlay in stage.overlays:
            overlay.draw(picture, frame, shift)
        for crown, gust in zip(crowns, wind, strict=True):
            crown.draw(picture, float(gust[frame]), shift)
        yield sensor.expose(picture, frame)


def render_shot(shot: Shot, folder: Path) -> None:
    """Render one shot to `folder / shot.path`, whole or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    with atomic_write(folder / shot.path) as partial, av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=shot.rate)
        stream.width, stream.height, stream.pix_fmt = FRAME_WIDTH, FRAME_HEIGHT, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "27", "threads": "1", "g": "50"}
        for picture in draw_frames(shot):
            planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
            for packet in stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
