"""The rendered demo set: what is promised of it holds in the files themselves."""

import csv
import shutil
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from jaxtyping import UInt8

from refinevad.apps.demo.camera import CANVAS_HEIGHT, CANVAS_WIDTH, FRAME_HEIGHT, FRAME_WIDTH, Camera
from refinevad.apps.demo.demo_set import CAMERAS, DemoSet, DemoSize, plan_demo_set, render_demo_set
from refinevad.apps.demo.everyday import HAPPENINGS
from refinevad.apps.demo.incidents import INCIDENTS
from refinevad.apps.demo.layout import LIGHTS, make_layout
from refinevad.apps.demo.people import ANKLES, HANDS, SKULL, TOES, Track, dress, skeleton
from refinevad.apps.demo.pose import gait, lie, pose
from refinevad.apps.demo.render import Shot, draw_frames, render_shot, stage_shot
from refinevad.apps.demo.vehicles import Drive, Vehicle, pick_body

TINY = DemoSize(train=(1, 0), val=(0, 0), test=(0, 1), seconds=(0.2, 0.3), unseen=0.4)


def _shot(category: str, rate: Fraction = Fraction(15), frames: int = 6) -> Shot:
    event = None if category == "normal" else (0.2, 0.5)
    return Shot(f"val/{category}/x.mp4", (3, 1, 4), 5, 2, "dusk", rate, frames, category, event, (("hug", 0.3),), 2)


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> DemoSet:
    return render_demo_set(tmp_path_factory.mktemp("demo"), seed=1, progress=False, size=TINY, workers=1)


def _rows(path: Path) -> Sequence[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_set_has_its_files_and_truth_lies_inside_the_videos(tiny_set: DemoSet) -> None:
    videos = sorted(p.relative_to(tiny_set.data).as_posix() for p in tiny_set.data.rglob("*.mp4"))
    expected = {f"test/{name}/{name}_001.mp4" for name in INCIDENTS} | {
        "train/normal/normal_001.mp4",
        "unseen/camera.mp4",
    }
    assert set(videos) == expected
    assert not list(tiny_set.data.rglob("*.partial*"))
    rows = _rows(tiny_set.data / "events.csv")
    assert {row["path"] for row in rows} == {f"test/{name}/{name}_001.mp4" for name in INCIDENTS}
    for row in [*rows, *_rows(tiny_set.data / "unseen" / "events.csv")]:
        with av.open(str(tiny_set.data / row["path"])) as container:
            stream = container.streams.video[0]
            seconds = stream.frames / float(stream.average_rate or 0)
        assert 0 < float(row["start_s"]) < float(row["end_s"]) <= seconds + 0.001
        assert row["category"] in INCIDENTS


def test_a_second_call_keeps_finished_videos_and_another_seed_drops_them(tiny_set: DemoSet, tmp_path: Path) -> None:
    size = DemoSize(train=(1, 0), val=(0, 0), test=(0, 0), seconds=(0.2, 0.3), unseen=0.4)
    shutil.copytree(tiny_set.data, tmp_path, dirs_exist_ok=True)
    video = tmp_path / "train/normal/normal_001.mp4"
    video.write_bytes(b"kept")
    (tmp_path / "unseen/camera.mp4").unlink()
    render_demo_set(tmp_path, 1, progress=False, size=TINY, workers=1)
    assert video.read_bytes() == b"kept"
    assert (tmp_path / "unseen/camera.mp4").stat().st_size > 1000
    render_demo_set(tmp_path, 2, progress=False, size=size, workers=1)
    assert video.read_bytes() != b"kept"
    assert not list(tmp_path.glob("test/*/*.mp4"))


@pytest.mark.parametrize("rate", [Fraction(15), Fraction(25), Fraction(30000, 1001)])
def test_video_decodes_with_its_frames_at_its_rate(tmp_path: Path, rate: Fraction) -> None:
    shot = _shot("fall", rate)
    render_shot(shot, tmp_path)
    with av.open(str(tmp_path / shot.path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == rate
        times = [frame.time for frame in container.decode(stream)]
        assert (stream.width, stream.height) == (FRAME_WIDTH, FRAME_HEIGHT)
    assert times == pytest.approx([k / float(rate) for k in range(shot.frames)], abs=1e-4)


@pytest.mark.parametrize("category", ["normal", *INCIDENTS])
def test_equal_shots_give_equal_frames_and_things_move(category: str) -> None:
    first, second = (list(draw_frames(_shot(category))) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert first[0].shape == (FRAME_HEIGHT, FRAME_WIDTH, 3)
    assert np.abs(first[0].astype(int) - first[-1]).mean() > 0.5


def test_plan_is_a_function_of_the_seed_with_every_category_in_every_split() -> None:
    plan = plan_demo_set(4, DemoSize())
    assert plan == plan_demo_set(4, DemoSize())
    assert plan != plan_demo_set(5, DemoSize())
    assert len({shot.seed for shot in plan}) == len(plan)
    for split in ("train", "val", "test"):
        assert {shot.category for shot in plan if shot.path.startswith(split)} == {"normal", *INCIDENTS}
    assert sum(shot.frames for shot in plan) <= 30_000
    for shot in plan:
        assert (shot.event is None) == (shot.category == "normal")
        if shot.event:
            assert 1.0 < shot.event[0] < shot.event[1] - 2.0
            assert shot.event[1] <= shot.frames / shot.rate + 0.001


def test_flames_burn_inside_the_truth_alone() -> None:
    shot = Shot("a.mp4", (3, 1, 4), 5, 2, "sun", Fraction(10), 60, "fire", (2.0, 5.0), (), 0)
    with_fire = list(draw_frames(shot))
    flaming = []
    for picture in with_fire:
        blue, green, red = (picture[..., k].astype(int) for k in range(3))
        flaming.append(int(((red > 225) & (green > 70) & (green < 215) & (blue < 70)).sum()))
    assert max(flaming[:20]) == 0
    assert min(flaming[28:38]) > 60
    assert max(flaming[51:]) == 0


def test_camera_projects_a_point_as_worked_by_hand() -> None:
    camera = Camera(height_m=5.0, pitch=0.0, yaw=0.0, focal=600.0)
    pixels, depth = camera.project(np.array([2.0, 2.0, 10.0]))
    assert depth == pytest.approx(10.0)
    assert pixels == pytest.approx([CANVAS_WIDTH / 2 + 120.0, CANVAS_HEIGHT / 2 + 180.0])
    turned = Camera(5.0, 0.0, np.pi / 2, 600.0)  # looks along +x: what was ahead is now on the left
    assert turned.view(np.array([0.0, 5.0, 10.0])) == pytest.approx([-10.0, 0.0, 0.0], abs=1e-9)


def test_ground_is_the_inverse_of_projection() -> None:
    camera = Camera(height_m=5.0, pitch=0.2, yaw=0.4, focal=600.0)
    x, z = camera.ground()
    for row, column in ((400, 80), (300, 600)):
        pixels, _ = camera.project(np.array([x[row, column], 0.0, z[row, column]]))
        assert pixels == pytest.approx([column + 0.5, row + 0.5], abs=1e-6)
    assert np.isinf(x[0]).all()


def test_a_walker_stands_on_the_ground_and_the_fallen_lie() -> None:
    t = np.arange(40) / 20
    zero = np.zeros_like(t)
    walk = skeleton(Track(zero, 1.4 * t, zero, gait(1.4 * t, zero + 1.4)), 1.0)
    assert 1.4 < walk[:, SKULL, 1].min() < walk[:, SKULL, 1].max() < 1.8
    feet = walk[:, ANKLES : TOES + 2, 1].min(axis=1)
    assert (feet > -0.02).all()
    assert (feet < 0.1).all()
    ahead = walk[:, TOES : TOES + 2, 2].mean(axis=1) - walk[:, ANKLES : ANKLES + 2, 2].mean(axis=1)
    assert ahead.mean() > 0.1  # toes point the way the walker goes
    down = skeleton(Track(zero, zero, zero, lie(np.random.default_rng(0), t, face_down=True)), 1.0)
    assert down[:, :, 1].max() < 0.7
    assert (down[:, SKULL, 2] > 0.3).all()  # fell forward, along +z


def test_a_raised_arm_is_up_and_in_front() -> None:
    zero = np.zeros(2)
    body = skeleton(Track(zero, zero, zero + np.pi / 2, pose(2, shoulder_r=np.pi / 2)), 1.0)
    assert body[0, HANDS + 1, 0] == pytest.approx(0.57, abs=0.01)  # upper arm + forearm, along the heading +x
    assert body[0, HANDS, 1] < body[0, HANDS + 1, 1]


def test_a_car_heading_along_x_has_its_front_there() -> None:
    layout, zero = make_layout(0, 1), np.zeros(2)
    body = pick_body(np.random.default_rng(0))
    for heading, sign in ((0.0, 1.0), (np.pi, -1.0)):
        car = Vehicle(Drive(zero, zero + 12.0, zero + heading, zero), body, layout, LIGHTS["sun"])
        assert car.front[0, 0] * sign > 1.5
        assert car.front[0, 2] == pytest.approx(12.0)


@pytest.mark.parametrize("category", list(INCIDENTS))
def test_every_camera_has_room_for_every_incident(category: str) -> None:
    for number in range(CAMERAS):
        layout = make_layout(0, number)
        assert len(layout.stages) >= 8
        assert layout.camera.in_frame(layout.stages, 0.1).all()
        shot = Shot("a.mp4", (number, 1), 0, number, "sun", Fraction(5), 10, category, (0.5, 1.5), (), 1)
        assert stage_shot(shot).truth == (0.5, 1.5)


def test_clothes_differ() -> None:
    rng = np.random.default_rng(0)
    assert len({dress(rng).top for _ in range(30)}) > 5


@pytest.mark.parametrize("category", list(INCIDENTS))
def test_until_it_happens_a_video_equals_its_likeness_pixel_for_pixel(category: str) -> None:
    """So that nothing before the event, and no cast or prop, can tell an incident's video from a normal one."""
    incident = Shot("a.mp4", (3, 1, 4), 5, 2, "sun", Fraction(5), 20, category, (3.0, 4.0), (("tie_shoes", 3.0),), 2)
    calm = replace(incident, category="normal", event=None, likeness=(category, 3.0, 4.0))
    pairs = zip(draw_frames(incident), draw_frames(calm), strict=True)
    changed = [int((np.abs(a.astype(int) - b) > 30).any(axis=2).sum()) for a, b in pairs]
    lead = 1.7 if category == "road_accident" else 0.3  # a driver who brakes in time does so before the crash
    assert max(changed[: int((3.0 - lead) * 5)]) == 0
    assert max(changed[15:]) > 100
    assert stage_shot(calm).truth is None


def test_normal_videos_set_up_every_incident_as_often_and_some_nothing() -> None:
    plan = plan_demo_set(4, DemoSize())
    for split in ("train", "val", "test"):
        normal = [shot for shot in plan if shot.path.startswith(split) and shot.category == "normal"]
        scenes = [shot.likeness[0] if shot.likeness else "" for shot in normal]
        assert {scenes.count(name) for name in (*INCIDENTS, "")} == {len(normal) // 5}
        casts = [shot.passers for shot in plan if shot.path.startswith(split) and shot.category != "normal"]
        assert abs(np.mean(casts) - np.mean([shot.passers for shot in normal])) < 0.6


def test_the_unseen_video_is_long_and_quiet_first_and_a_test_camera_is_new() -> None:
    *others, unseen = plan_demo_set(4, DemoSize())
    assert unseen.event is not None
    seconds = unseen.frames / float(unseen.rate)
    assert seconds == pytest.approx(26.0, abs=0.1)
    assert unseen.event[0] > 8.0
    assert unseen.event[1] < seconds - 5.0
    trained = {shot.camera for shot in others if not shot.path.startswith("test")}
    assert unseen.camera in trained
    assert unseen.seed not in {shot.seed for shot in others}
    assert {shot.camera for shot in others if shot.path.startswith("test")} - trained


def _calm(light: str) -> Shot:
    return Shot("a.mp4", (3, 1, 4), 5, 1, light, Fraction(3), 6, "normal", None, (), 0)


@cache
def _calm_frames(light: str) -> tuple[UInt8[np.ndarray, "row column 3"], ...]:
    return tuple(draw_frames(_calm(light)))


@pytest.mark.parametrize("name", list(HAPPENINGS))
def test_every_happening_shows(name: str) -> None:
    light = "night" if name in ("steam", "hug", "give_way") else "sun"
    busy = replace(_calm(light), happenings=((name, 1.0),))
    pairs = zip(_calm_frames(light), draw_frames(busy), strict=True)
    changed = [int((np.abs(a.astype(int) - b) > 30).any(axis=2).sum()) for a, b in pairs]
    assert max(changed) > 12
