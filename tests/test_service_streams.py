"""A camera's addresses through the API: looked at before they are saved, edited, and never shown with their login."""

import base64
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")

from refinevad.apps.live.capture import reasons
from refinevad.apps.live.capture.reasons import reason_of
from refinevad.apps.live.settings.addresses import parse_address, suggested
from refinevad.apps.live.settings.config import read_config
from refinevad.apps.service.camera_probe import NotSeen, look, probe_camera
from refinevad.apps.service.changes import ChangeLog
from refinevad.apps.service.watched_cameras import WatchedCameras
from refinevad.errors import InputError
from server_programs import free_port
from servers import Receiver, RtspServer
from service_house import House
from service_parts import StillEngine, make_run
from videos import write_video

DOOR = "/api/v1/cameras/door"
TEST = "/api/v1/cameras/test"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("10.0.0.5", "rtsp://10.0.0.5"),
        ("10.0.0.5/live/0", "rtsp://10.0.0.5/live/0"),
        ("10.0.0.5:8080/video", "http://10.0.0.5:8080/video"),
        ("camera.lan:443/a", "https://camera.lan:443/a"),
        ("[fd00::7]:554/a", "rtsp://[fd00::7]:554/a"),
        ("localhost:8554/a", "rtsp://localhost:8554/a"),
        ("admin:p@ss@10.0.0.5/a", "rtsp://admin:p@ss@10.0.0.5/a"),
        (" camera.lan ", "rtsp://camera.lan"),
        ("street.mp4", None),
        ("my.videos/street.MKV", None),
        ("/videos/10.0.0.5", None),
        ("rtsp://10.0.0.5/a", None),
        ("ftp://10.0.0.5/a", None),
        ("concat:/etc/passwd", None),
        ("footage/../changes.json", None),
        ("", None),
    ],
)
def test_an_address_without_a_scheme_gets_one_suggested(text: str, whole: str | None) -> None:
    assert suggested(text) == whole


@pytest.mark.parametrize("roots", [None, []])
def test_a_bare_address_is_refused_with_what_was_meant_and_without_its_password(roots: list[Path] | None) -> None:
    with pytest.raises(InputError, match=r"write rtsp://\*\*\*@10\.0\.0\.5:554/a$") as caught:
        parse_address("admin:hunter2@10.0.0.5:554/a", roots=roots)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InputError, match=r"write http://camera\.lan:8080/a$"):
        parse_address("camera.lan:8080/a", roots=roots)


def test_two_streams_stand_in_cameras_toml_and_a_file_has_but_one(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs" / "first")
    (tmp_path / "door.pem").write_text("certificate")
    write_video(tmp_path / "street.mp4", frames=3)
    head = f'model = "{run}"\nrecord = true\n[[camera]]\nname = "door"\n'

    def read(text: str):
        (tmp_path / "cameras.toml").write_text(head + text)
        return read_config(tmp_path / "cameras.toml").cameras[0]

    door = read('source = "rtsp://h/a"\nmain = "rtsps://h/b"\nusername = "u"\npassword = "p"\nca_file = "door.pem"\n')
    assert door.main is not None
    assert (door.source.url, door.main.url) == ("rtsp://u:p@h/a", "rtsps://u:p@h/b")
    assert (door.source.ca_file, door.main.ca_file) == (None, tmp_path / "door.pem")
    assert door.record
    assert not read('source = "rtsp://h/a"\nrecord = false\n').record
    with pytest.raises(InputError, match="is a file: a second stream in full size is for live cameras"):
        read('source = "street.mp4"\nmain = "rtsp://h/b"\n')


# --- looking before saving -------------------------------------------------------------------------------------------


def test_a_camera_is_looked_at_before_it_is_saved(house: House, rtsp: Callable[..., RtspServer]) -> None:
    """Its picture and figures with the right password, and the reason with a wrong one; nothing is kept of either."""
    server = rtsp(login=("viewer", "s3cret"))
    right = {"source": server.url, "username": "viewer", "password": "s3cret"}
    answer = house.client.post(TEST, json=right)
    seen = answer.json()["seen"]
    assert (seen["codec"], seen["width"], seen["height"], seen["recording"], seen["fluent"]) == (
        "h264",
        160,
        120,
        False,
        True,
    )
    assert seen["rate_hz"] == pytest.approx(25, abs=2)  # by the stream's clock, however busy this machine is
    assert seen["kbit_s"] > 0
    assert base64.b64decode(seen["picture"]).startswith(b"\xff\xd8")
    wrong = house.client.post(TEST, json={**right, "password": "s3cret2"}).json()
    assert (wrong["seen"], wrong["kind"]) == (None, "login")
    assert "refuses this user name and password" in wrong["error"]
    entries = house.client.get("/api/v1/audit").json()["entries"]
    assert [(entry["what"], entry["detail"]["seen"]) for entry in entries] == [
        ("camera tested", False),
        ("camera tested", True),
    ]
    for text in (answer.text, json.dumps(wrong), json.dumps(entries)):
        assert "s3cret" not in text
    assert list(house.engine.watched) == ["door"]
    assert not (house.folder / "changes.json").exists()


def test_each_reason_is_told_apart(rtsp: Callable[..., RtspServer], receiver: Receiver) -> None:
    server = rtsp(login=("u", "p"))
    place = server.url.removeprefix("rtsp://")
    expected = {
        server.url: "login",
        f"rtsp://u:p@{place}s": "path",
        f"rtsp://127.0.0.1:{free_port()}/a": "refused",
        f"rtsp://127.0.0.1:{receiver.port}/a": "protocol",
        f"rtsps://127.0.0.1:{receiver.port}/a": "protocol",
        "rtsp://no-such-host.invalid/a": "host",
        "/dev/video987": "device",
    }
    for url, kind in expected.items():
        from refinevad.apps.live.capture.source import Source, SourceLostError

        with pytest.raises(SourceLostError) as caught:
            Source(parse_address(url), stall_s=5.0, open_s=5.0)
        assert caught.value.kind == kind, url
        assert "u:p" not in str(caught.value)


@pytest.mark.parametrize(("number", "kind"), [(113, "route"), (101, "route"), (110, "timeout")])
def test_a_host_out_of_reach_is_told_from_one_that_is_silent(
    monkeypatch: pytest.MonkeyPatch, number: int, kind: str
) -> None:
    import av

    def unreachable(*_: object) -> socket.socket:
        raise OSError(number, "out of reach")  # 110 makes a TimeoutError of it

    monkeypatch.setattr(reasons.socket, "create_connection", unreachable)
    error = av.error.InvalidDataError(1094995529, "Invalid data found when processing input")
    assert reason_of(error, parse_address("rtsp://10.0.0.5/a")).kind == kind


def test_redirects_are_blamed_where_they_can_be_the_cause_alone(receiver: Receiver) -> None:
    """Added through the API, a page in place of a video says so; a port where nothing listens does not."""
    import av

    page = reason_of(av.error.InvalidDataError(1, "Invalid data"), parse_address(receiver.url, roots=[]))
    assert page.kind == "protocol"
    assert "cameras.toml" in page.text
    closed = parse_address(f"http://127.0.0.1:{free_port()}/", roots=[])
    assert "cameras.toml" not in reason_of(av.error.InvalidDataError(1, "Invalid data"), closed).text


def test_a_bare_address_is_suggested_whole_and_a_reader_that_hangs_is_ended(
    shared: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = shared.client.post(TEST, json={"source": "10.0.0.5/live"}).json()
    assert (answer["kind"], answer["suggestion"]) == ("address", "rtsp://10.0.0.5/live")
    forbidden = shared.client.post(TEST, json={"source": "http://169.254.169.254/a"}).json()
    assert forbidden["kind"] == "address"
    assert "link-local" in forbidden["error"]
    film = parse_address(str(write_video(tmp_path / "a.mp4", frames=5)))
    hung = probe_camera(film, timeout_s=0.001)
    assert isinstance(hung, NotSeen)
    assert hung.kind == "timeout"
    assert (look(film).codec, look(film).recording, look(film).rate_hz) == ("h264", True, 25.0)


def test_only_two_cameras_are_tested_at_a_time(house: House) -> None:
    looking = house.app.state.context.looking
    assert looking.acquire(blocking=False)
    assert looking.acquire(blocking=False)
    assert house.client.post(TEST, json={"source": "rtsp://127.0.0.1:9/a"}).status_code == 429
    looking.release()
    assert house.client.post(TEST, json={"source": "rtsp://127.0.0.1:9/a"}).json()["kind"] == "refused"


# --- editing ---------------------------------------------------------------------------------------------------------


def test_a_login_stays_with_its_host_and_goes_to_no_other(house: House) -> None:
    """`door` is rtsp://admin:secret@10.0.0.5/a."""
    patch = house.client.patch
    same = patch(DOOR, json={"source": "rtsp://10.0.0.5/b", "main": "rtsp://10.0.0.5/large"})
    assert same.status_code == 200
    assert "secret" not in same.text
    watched = house.engine.watched["door"]
    assert watched.main is not None
    assert (watched.source.url, watched.main.url) == (
        "rtsp://admin:secret@10.0.0.5/b",
        "rtsp://admin:secret@10.0.0.5/large",
    )
    for foreign in ("rtsp://10.0.0.6/b", "rtsp://10.0.0.5:8554/b", "http://10.0.0.5:554/b"):
        patch(DOOR, json={"source": foreign, "main": None})
        assert "secret" not in house.engine.watched["door"].source.url, foreign
        patch(DOOR, json={"source": "rtsp://10.0.0.5/b", "username": "admin", "password": "secret"})
    assert house.engine.watched["door"].source.url == "rtsp://admin:secret@10.0.0.5/b"


def test_what_is_as_it_was_shown_is_what_it_was(house: House) -> None:
    patch = house.client.patch
    shown = house.client.get(DOOR).json()
    assert (shown["source"], shown["login"], shown["main"], shown["record"]) == (
        "rtsp://***@10.0.0.5/a",
        True,
        None,
        False,
    )
    before = house.engine.watched["door"].source
    patch(DOOR, json={"source": shown["source"], "record": True})
    assert (house.engine.watched["door"].source, house.engine.watched["door"].record) == (before, True)
    patch(DOOR, json={"username": "viewer", "password": "other"})
    assert house.engine.watched["door"].source.url == "rtsp://viewer:other@10.0.0.5/a"
    refused = patch(DOOR, json={"source": "rtsp://***@10.0.0.5/c"})
    assert refused.status_code == 400
    assert "write the whole address" in refused.text
    (entry, *_) = house.client.get("/api/v1/audit").json()["entries"]
    assert (entry["what"], entry["detail"]["login"]) == ("camera changed", True)
    assert "other" not in json.dumps(entry)


def test_what_was_edited_holds_after_a_restart(house: House) -> None:
    patch = house.client.patch
    patch(DOOR, json={"source": "rtsp://10.0.0.5/b", "main": "rtsp://10.0.0.5/large", "record": True})
    house.client.post("/api/v1/cameras", json={"name": "yard", "source": "rtsp://u:p@10.0.0.7/a"})
    patch("/api/v1/cameras/yard", json={"source": "rtsp://10.0.0.7/b", "main": "rtsp://10.0.0.7/c"})
    patch("/api/v1/cameras/yard", json={"paused": True})
    patch("/api/v1/cameras/yard", json={"main": None})
    assert house.client.get("/api/v1/cameras/yard").json()["main"] is None
    again = StillEngine()
    first = house.watch._configured["door"]
    watch = WatchedCameras(again, ChangeLog(house.folder / "changes.json"), [first], house.run)
    watch.start(pytest.fail)
    door = again.watched["door"]
    assert door.main is not None
    assert (door.source.url, door.main.url, door.record) == (
        "rtsp://admin:secret@10.0.0.5/b",
        "rtsp://admin:secret@10.0.0.5/large",
        True,
    )
    watch.resume("yard")
    assert (again.watched["yard"].source.url, again.watched["yard"].main) == ("rtsp://u:p@10.0.0.7/b", None)
    house.client.delete(DOOR)
    kept = json.loads((house.folder / "changes.json").read_text())
    assert all("door" not in kept[kind] for kind in ("sources", "mains", "record"))


def test_figures_of_a_removed_camera_go(house: House) -> None:
    house.client.post("/api/v1/cameras", json={"name": "yard", "source": "rtsp://10.0.0.7/b"})
    house.engine.say_score("yard", house.clock.now() - 1.0, 0.5)
    house.engine.say_score("door", house.clock.now() - 1.0, 0.5)
    assert 'camera="yard"' in house.client.get("/metrics").text
    house.client.delete("/api/v1/cameras/yard")
    text = house.client.get("/metrics").text
    assert 'camera="yard"' not in text
    assert 'refinevad_latency_seconds_count{camera="door"} 1.0' in text
