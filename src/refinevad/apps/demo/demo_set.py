"""The demo data set: which videos there are, rendered side by side, with the temporal truth beside them."""

import csv
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from refinevad.apps.demo.everyday import HAPPENINGS
from refinevad.apps.demo.incidents import INCIDENTS
from refinevad.apps.demo.render import Shot, render_shot
from refinevad.datasets.index_file import is_inside
from refinevad.files.json_files import read_own
from refinevad.files.whole import atomic_write
from refinevad.machine.worker_pool import WorkerPool, deaths_told

RATES = (Fraction(25), Fraction(15), Fraction(15), Fraction(15), Fraction(15), Fraction(30000, 1001))
TRAINING_CAMERAS, FIRST_TEST_CAMERA, CAMERAS = 6, 2, 7  # four of the five places of test are known, the last is new
CAMERA_LIGHTS = (
    ("sun", "overcast"),
    ("overcast", "sun"),
    ("sun", "dusk"),
    ("overcast", "night"),
    ("sun", "overcast"),
    ("overcast", "dusk"),
    ("sun", "overcast"),
)
SECOND_LIGHT = 0.25  # share of the videos by the rarer light
UNSEEN_CAMERA, UNSEEN_LIGHT = 2, "sun"  # an avenue that training knows; nothing that happens there it has seen
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class DemoSize:
    """Videos a split (normal, of each incident), their length and that of the unseen video in seconds."""

    train: tuple[int, int] = (50, 10)
    val: tuple[int, int] = (20, 2)
    test: tuple[int, int] = (15, 3)
    seconds: tuple[float, float] = (8.0, 11.0)
    unseen: float = 26.0


@dataclass(frozen=True)
class DemoSet:
    """What was rendered. `unseen_event` is (start_s, end_s) in the unseen video, of `unseen_category`."""

    data: Path
    unseen: Path
    unseen_event: tuple[float, float]
    unseen_category: str


def _shot(seed: int, split: int, index: int, path: str, category: str, size: DemoSize) -> Shot:
    """Draw the free choices of one video from its own random stream.

    Four normal videos of five set up an incident without its happening, each in turn, so that people near the camera,
    a parked car or onlookers are as common in them as in the others; the fifth shows an ordinary street. Categories
    take turns on the cameras too.
    """
    key = (seed, split, sorted(INCIDENTS).index(category) if category in INCIDENTS else 9, index)
    rng = np.random.default_rng([*key, 1])
    scenes = (*INCIDENTS, "")
    scene, turn = (category, index) if category in INCIDENTS else (scenes[index % 5], index // 5)
    place = turn + 3 * scenes.index(scene)
    camera = FIRST_TEST_CAMERA + place % (CAMERAS - FIRST_TEST_CAMERA) if split >= 2 else place % TRAINING_CAMERAS
    light = CAMERA_LIGHTS[camera % len(CAMERA_LIGHTS)][int(rng.random() < SECOND_LIGHT)]
    rate = RATES[int(rng.integers(len(RATES)))]
    frames = int(rng.uniform(*size.seconds) * rate)
    seconds = frames / float(rate)
    start = float(rng.uniform(0.25, 0.45)) * seconds
    lasts = float(rng.uniform(0.40, 0.50)) * seconds
    stays = scene == "road_accident" or (scene in ("fire", "fall") and rng.random() < 0.5)
    span = (round(start, 2), round(seconds, 3) if stays else round(min(start + lasts, 0.93 * seconds), 2))
    names = rng.permutation(np.array(sorted(HAPPENINGS)))[: int(rng.integers(0, 2) if scene else 2)]
    happenings = tuple((str(name), round(float(rng.uniform(0.15, 0.75)) * seconds, 2)) for name in names)
    passers = int(rng.integers(1, 4))
    shot = Shot(path, key, seed, camera, light, rate, frames, category, None, happenings, passers)
    if category in INCIDENTS:
        return replace(shot, event=span)
    return replace(shot, likeness=(scene, *span)) if scene else shot


def _unseen_shot(seed: int, size: DemoSize) -> Shot:
    """A longer video from a known camera: a quiet beginning, a fight in the middle, and what comes after it."""
    shot = _shot(seed, 3, 0, "unseen/camera.mp4", "fight", size)
    rate = Fraction(25)
    return replace(
        shot,
        camera=UNSEEN_CAMERA,
        light=UNSEEN_LIGHT,
        rate=rate,
        frames=int(size.unseen * rate),
        event=(round(0.42 * size.unseen, 2), round(0.70 * size.unseen, 2)),
        happenings=(),
        passers=4,
    )


def plan_demo_set(seed: int, size: DemoSize) -> list[Shot]:
    """Every video of the set, the unseen one last. Equal seeds give equal plans."""
    shots = []
    for split, (name, (normal, each)) in enumerate((("train", size.train), ("val", size.val), ("test", size.test))):
        for category, count in (("normal", normal), *((category, each) for category in INCIDENTS)):
            for index in range(count):
                path = f"{name}/{category}/{category}_{index + 1:03d}.mp4"
                shots.append(_shot(seed, split, index, path, category, size))
    return [*shots, _unseen_shot(seed, size)]


def _source_digest() -> str:
    """Hash of this package's sources: videos of another renderer are not kept."""
    digest = hashlib.sha256(cv2.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _start_worker() -> None:
    cv2.setNumThreads(1)


def _render(job: tuple[Shot, Path]) -> int:
    render_shot(*job)
    return job[0].frames


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(map(is_inside, value))


def _prepare(out: Path, manifest: dict[str, object]) -> None:
    """Drop the videos of another seed, size or renderer, and note what is being rendered now."""
    noted = out / MANIFEST
    if noted.is_file():
        earlier = read_own(noted, {"videos": _are_names}, f"delete the folder {out} to render anew")
        if earlier == manifest:
            return
        for path in earlier["videos"]:
            (out / path).unlink(missing_ok=True)
    with atomic_write(noted) as partial:
        partial.write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _write_truth(path: Path, shots: Sequence[Shot]) -> None:
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "start_s", "end_s", "category"))
        for shot in shots:
            if shot.event is not None:
                writer.writerow((shot.path, f"{shot.event[0]:.3f}", f"{shot.event[1]:.3f}", shot.category))


def render_demo_set(
    out: Path, seed: int, progress: bool = True, size: DemoSize | None = None, workers: int | None = None
) -> DemoSet:
    """Render `<split>/<category>/*.mp4`, `events.csv`, `unseen/camera.mp4` and its `unseen/events.csv` into `out`.

    Videos that an earlier call with the same seed, size and sources finished are kept. `workers` defaults to the
    processors there are; the pictures do not depend on it.

    Raises:
        InputError: `out` cannot be written.
        RefineVADError: a process that renders was killed.
    """
    shots = plan_demo_set(seed, size or DemoSize())
    manifest: dict[str, object] = {
        "seed": seed,
        "sources": _source_digest(),
        "videos": [shot.path for shot in shots],
        "frames": [shot.frames for shot in shots],
    }
    _prepare(out, manifest)
    missing = sorted((s for s in shots if not (out / s.path).is_file()), key=lambda s: (s.camera, s.light))
    jobs = [(shot, out) for shot in missing]
    with tqdm(total=sum(shot.frames for shot in missing), desc="render", unit="frame", disable=not progress) as bar:
        count = min(workers or len(os.sched_getaffinity(0)), max(len(jobs), 1))
        if count == 1:
            for job in jobs:
                bar.update(_render(job))
        else:
            death = deaths_told("renders videos", "run again: what is done is kept")
            with death, WorkerPool(count, _start_worker) as pool:
                for rendered in [pool.submit(_render, job) for job in jobs]:
                    bar.update(rendered.result())
    unseen = shots[-1]
    assert unseen.event is not None
    _write_truth(out / "events.csv", shots[:-1])
    _write_truth(out / "unseen" / "events.csv", [unseen])
    return DemoSet(out, out / unseen.path, unseen.event, unseen.category)
