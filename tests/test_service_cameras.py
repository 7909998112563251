"""Cameras through the API: added, paused, removed, never with their passwords."""

import json
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")


from refinevad.apps.live.settings.addresses import parse_address
from refinevad.apps.live.settings.config import CameraConfig, read_config
from refinevad.apps.service.changes import ChangeLog
from refinevad.apps.service.watched_cameras import WatchedCameras
from refinevad.errors import InputError
from service_house import House
from service_parts import CATEGORIES, JPEG, StillEngine, make_run
from videos import write_video


def test_cameras_are_shown_without_their_passwords(shared: House) -> None:
    answer = shared.client.get("/api/v1/cameras")
    (camera,) = answer.json()
    assert camera["name"] == "door"
    assert camera["state"] == "live"
    assert camera["model"] == "first"
    assert (camera["fps_in"], camera["frames_dropped"], camera["threshold"]) == (24.96, 3, 0.6)
    assert "secret" not in answer.text
    assert shared.client.get("/api/v1/cameras/door").json() == camera
    assert shared.client.get("/api/v1/cameras/window").status_code == 404


def test_an_added_camera_outlives_a_restart_and_its_password_stays_unseen(house: House) -> None:
    new = {"name": "yard", "source": "rtsp://10.0.0.7/b", "username": "viewer", "password": "p@ss/w", "threshold": 0.4}
    answer = house.client.post("/api/v1/cameras", json=new)
    assert answer.status_code == 201
    assert answer.json()["name"] == "yard"
    assert "p@ss" not in answer.text
    assert "p%40ss" not in answer.text
    assert house.client.post("/api/v1/cameras", json=new).status_code == 409
    file = house.folder / "changes.json"
    assert file.stat().st_mode & 0o077 == 0
    again = StillEngine()
    WatchedCameras(again, ChangeLog(file), [], house.run).start(house.told.append)
    assert again.watched["yard"].source.url == "rtsp://viewer:p%40ss%2Fw@10.0.0.7/b"
    assert again.watched["yard"].threshold == 0.4
    assert again.watched["yard"].source.by_api  # bounded as before
    assert house.told == []


def test_an_added_camera_takes_what_cameras_toml_says_of_all_of_them(tmp_path: Path) -> None:
    """Through the API, and again after a restart; a camera of the file keeps what it says of itself."""
    run = make_run(tmp_path / "runs" / "first")
    (tmp_path / "cameras.toml").write_text(
        f'model = "{run}"\npre_roll_s = 8\npost_roll_s = 9.5\nlongest_event_s = 300\nreserve_mb = 7\n'
        '[[camera]]\nname = "door"\nsource = "rtsp://10.0.0.5/a"\npre_roll_s = 1\n'
    )
    config = read_config(tmp_path / "cameras.toml")
    engines = [StillEngine(), StillEngine()]
    for engine in engines:
        watch = WatchedCameras(
            engine, ChangeLog(tmp_path / "changes.json"), config.cameras, config.model, config.camera
        )
        watch.start(pytest.fail)
        if watch.find("yard") is None:
            watch.add("yard", parse_address("rtsp://10.0.0.7/b", roots=[]), 0.4)
            watch.pause("yard")
            watch.resume("yard")
    for engine in engines:
        yard, door = engine.watched["yard"], engine.watched["door"]
        assert (yard.pre_roll_s, yard.post_roll_s, yard.longest_event_s, yard.reserve_mb) == (8, 9.5, 300, 7)
        assert (door.pre_roll_s, door.post_roll_s, door.longest_event_s, door.reserve_mb) == (1, 9.5, 300, 7)
        assert (yard.threshold, yard.model, yard.sinks) == (0.4, run, None)


@pytest.mark.parametrize(
    "source",
    [
        "concat:/etc/passwd",
        "subfile,,start,0,end,0,,:/etc/passwd",
        "data:video/mp4;base64,AAAA",
        "/etc/passwd",
        "file:///etc/passwd",
        "/dev/video0",
        "tcp://10.0.0.1:80",
        "footage/../changes.json",
        "rtsp://",
        "rtsp://host/\x00",
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "rtsp://[fe80::1]/a",
        "http://[::169.254.169.254]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[2002:a9fe:a9fe::]/",
        "http://[64:ff9b::169.254.169.254]:80/latest",
        "https://0251.0376.0251.0376/",
        "http://0xa9fea9fe/",
        "http://u:p@169.254.43518/",
        "http://0.0.0.0:8600/",
        "rtsp://239.1.2.3/a",
        "",
    ],
)
def test_only_streams_and_the_operators_files_are_addresses(shared: House, source: str) -> None:
    answer = shared.client.post("/api/v1/cameras", json={"name": "x", "source": source})
    assert answer.status_code in (400, 422)
    assert list(shared.engine.watched) == ["door"]


def test_a_file_from_a_folder_the_operator_named_is_an_address(house: House) -> None:
    video = write_video(house.folder / "footage" / "a.mp4", frames=3)
    assert house.client.post("/api/v1/cameras", json={"name": "a", "source": str(video)}).status_code == 201
    (house.folder / "footage" / "link.mp4").symlink_to("/etc/passwd")
    link = {"name": "b", "source": str(house.folder / "footage" / "link.mp4")}
    assert house.client.post("/api/v1/cameras", json=link).status_code == 400


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "x" * 65, "new\nline"])
def test_a_cameras_name_is_a_plain_one(shared: House, name: str) -> None:
    answer = shared.client.post("/api/v1/cameras", json={"name": name, "source": "rtsp://10.0.0.7/b"})
    assert answer.status_code in (400, 422)


def test_a_paused_camera_is_let_go_of_and_comes_back_as_it_was(house: House) -> None:
    house.client.patch("/api/v1/cameras/door", json={"threshold": 0.8})
    paused = house.client.patch("/api/v1/cameras/door", json={"paused": True}).json()
    assert paused["state"] == "paused"
    assert house.engine.watched == {}
    assert paused["fps_in"] == 0
    assert house.client.get("/api/v1/cameras/door/preview.jpg").status_code == 404
    again = StillEngine()
    watch = WatchedCameras(
        again,
        ChangeLog(house.folder / "changes.json"),
        [CameraConfig("door", parse_address("rtsp://h/a"), house.run)],
        house.run,
    )
    watch.start(house.told.append)
    assert again.watched == {}
    assert watch.cameras()[0].paused
    back = house.client.patch("/api/v1/cameras/door", json={"paused": False}).json()
    assert back["state"] == "live"
    assert house.engine.watched["door"].threshold == 0.8


def test_masks_and_zones_are_kept_and_refused_in_one_sentence(house: House) -> None:
    mask = {"name": "tree", "points": [[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]]}
    assert house.client.get("/api/v1/cameras/door/zones").json() == {"mask": [], "zone": []}
    answer = house.client.put("/api/v1/cameras/door/zones", json={"mask": [mask]})
    assert (answer.status_code, answer.json()["hidden"]) == (200, pytest.approx(0.25, abs=0.01))
    assert house.client.get("/api/v1/cameras/door/zones").json() == {"mask": [mask], "zone": []}
    assert house.engine.watched["door"].zones.masks[0].name == "tree"
    for body, status, word in (
        ({"mask": [{"points": [[0, 0], [1, 0], [1, 1], [0, 1]]}]}, 400, "nothing of the picture"),
        ({"mask": [{"points": [[0, 0], [0.5, 0], [1, 0]]}]}, 400, "enclose nothing"),
        ({"mask": [{"points": [[0, 0], [2, 0], [1, 1]]}]}, 422, "mask.0.points"),
        ({"masks": []}, 422, "masks"),
    ):
        refused = house.client.put("/api/v1/cameras/door/zones", json=body)
        assert (refused.status_code, word in refused.json()["detail"]) == (status, True), refused.json()
    assert house.client.put("/api/v1/cameras/gate/zones", json={}).status_code == 404
    assert [entry.what for entry in house.app.state.context.audit.find(1, None)] == ["zones set"]
    restarted = StillEngine()
    door = CameraConfig("door", parse_address("rtsp://admin:secret@10.0.0.5/a"), house.run)
    WatchedCameras(restarted, ChangeLog(house.folder / "changes.json"), [door], house.run).start(house.told.append)
    assert restarted.watched["door"].zones.masks[0].name == "tree"
    house.client.patch("/api/v1/cameras/door", json={"paused": True})
    assert house.client.put("/api/v1/cameras/door/zones", json={}).json()["hidden"] == 0
    house.client.patch("/api/v1/cameras/door", json={"paused": False})
    assert not house.engine.watched["door"].zones


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("cameras/door", {"threshold": True}),
        ("cameras/door", {"threshold": "0.9"}),
        ("cameras/door", {"paused": "yes"}),
        ("cameras/door", {"paused": 1}),
        ("cameras", {"name": "yard", "source": "rtsp://10.0.0.7/b", "threshold": True}),
        ("cameras/door/calibration", {"quiet": [{"start": 1, "end": 2}], "alerts_per_hour": True}),
        ("cameras/door/calibration", {"quiet": [{"start": 1, "end": 2}], "apply": "true"}),
    ],
)
def test_a_value_of_another_kind_changes_nothing(shared: House, path: str, body: dict[str, object]) -> None:
    """`true` would be a threshold of 1, and the camera would never alert."""
    before = shared.client.get("/api/v1/cameras").json()
    method = "PATCH" if path == "cameras/door" else "POST"
    answer = shared.client.request(method, f"/api/v1/{path}", json=body)
    assert answer.status_code == 422, answer.text
    assert shared.client.get("/api/v1/cameras").json() == before
    assert shared.client.patch("/api/v1/cameras/door", json={"threshold": None}).status_code == 200


def test_a_removed_camera_stays_away_after_a_restart(house: House) -> None:
    assert house.client.delete("/api/v1/cameras/door").status_code == 204
    assert house.client.get("/api/v1/cameras").json() == []
    again = StillEngine()
    door = CameraConfig("door", parse_address("rtsp://h/a"), house.run)
    WatchedCameras(again, ChangeLog(house.folder / "changes.json"), [door], house.run).start(house.told.append)
    assert again.watched == {}
    assert house.client.delete("/api/v1/cameras/door").status_code == 404


def test_the_newest_picture(shared: House) -> None:
    answer = shared.client.get("/api/v1/cameras/door/preview.jpg")
    assert answer.content == JPEG
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "no-store"


def test_the_model_is_swapped_for_runs_beside_it_alone(house: House) -> None:
    told = house.client.get("/api/v1/model").json()
    assert told["run"] == "first"
    assert told["choices"] == ["first", "second"]
    assert told["categories"] == list(CATEGORIES)
    for name in ("third", "../runs/second", str(house.folder / "runs" / "second"), ".."):
        assert house.client.put("/api/v1/model", json={"run": name}).status_code == 400
    house.engine.refused.add(house.folder / "runs" / "second")
    assert house.client.put("/api/v1/model", json={"run": "second"}).status_code == 400
    assert house.client.get("/api/v1/model").json()["run"] == "first"  # a run that cannot be used changes nothing
    house.engine.refused.clear()
    assert house.client.put("/api/v1/model", json={"run": "second"}).json()["threshold"] == 0.7
    assert house.engine.watched["door"].model.name == "second"
    again = StillEngine()
    door = CameraConfig("door", parse_address("rtsp://h/a"), house.run)
    WatchedCameras(again, ChangeLog(house.folder / "changes.json"), [door], house.run).start(house.told.append)
    assert again.watched["door"].model.name == "second"


@pytest.mark.parametrize(
    "content",
    [
        {"added": []},
        {"added": {"yard": 5}},
        {"added": 5},
        {"removed": "door"},
        {"removed": [1]},
        {"removed": 5},
        {"paused": {"door": 1}},
        {"thresholds": {"door": "0.5"}},
        {"thresholds": {"door": True}},
        {"thresholds": {"door": 1.5}},
        {"thresholds": {"door": float("nan")}},
        {"thresholds": [0.5]},
        {"model": 5},
        {"strange": 1},
    ],
    ids=str,
)
def test_a_damaged_record_of_changes_is_one_sentence(content: object, tmp_path: Path) -> None:
    path = tmp_path / "changes.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"changes\.json.*move it away"):
        ChangeLog(path)
