"""The service in process: who may come in, what each route answers, and what it does not let through."""

import json
import socket
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")

from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from analyses import analyse_and_crash, analyse_at_once, analyse_for_ever
from refinevad.apps.cli import main
from refinevad.apps.live.addresses import parse_address
from refinevad.apps.live.clock import ManualClock, iso
from refinevad.apps.live.config import CameraConfig
from refinevad.apps.live.courier import Backlog
from refinevad.apps.live.records import EventRecord, ScoreRow
from refinevad.apps.live.secret import Secret
from refinevad.apps.live.sinks.base import make_envelope
from refinevad.apps.live.store import Store
from refinevad.apps.live.tokens import TokenHash, read_token_file
from refinevad.apps.service.app import create_app
from refinevad.apps.service.changes import ChangeLog
from refinevad.apps.service.feed import CLIENT_MESSAGES, Client
from refinevad.apps.service.headers import HEADERS
from refinevad.apps.service.jobs import Analyse
from refinevad.apps.service.settings import ServiceSettings
from refinevad.apps.service.watch import Watch
from service_parts import CATEGORIES, JPEG, StillEngine, make_run
from videos import write_sound, write_video

NOON = 1_700_000_000.0
TOKEN = "rvad_for-tests"
OURS = {"X-RefineVAD": "1"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class House:
    """A service with one camera, `door`, its store and its client."""

    def __init__(
        self, folder: Path, token: bool = False, work: Analyse = analyse_at_once, storage: str = "", **limits: Any
    ) -> None:
        self.folder, self.clock, self.engine = folder, ManualClock(wall_s=NOON), StillEngine()
        self.run = make_run(folder / "runs" / "first")
        make_run(folder / "runs" / "second", threshold=0.7)
        (folder / "footage").mkdir(parents=True)
        self.store = Store.open(Secret(storage or f"sqlite:///{folder}/live.db"), folder / "media", self.clock)
        self.store.cameras.register("door", "rtsp://***@10.0.0.5/a", "first")
        door = CameraConfig("door", parse_address("rtsp://admin:secret@10.0.0.5/a"), self.run)
        self.changes = ChangeLog(folder / "changes.json")
        self.watch = Watch(self.engine, self.changes, [door], self.run)
        self.told: list[str] = []
        self.watch.start(self.told.append)
        settings = ServiceSettings(
            folder,
            TokenHash.of(TOKEN) if token else None,
            runs=folder / "runs",
            roots=(folder / "footage",),
            **{"heartbeat_s": 0.05, **limits},
        )
        self.backlog = [
            Backlog("home", 3, 1, "broker 10.0.0.2:1883: Connection refused"),
            Backlog("database", 0, 0, ""),
        ]
        self.app = create_app(self.watch, self.store, settings, work=work, backlog=lambda: self.backlog)
        self.client = TestClient(self.app, base_url="http://localhost:8600", headers={} if token else OURS)

    def add_event(self, event: str = "e1", start: float = NOON, category: str = "fall", **values: Any) -> None:
        record = EventRecord(
            event,
            "door",
            start,
            start + 4.0,
            0.9,
            start + 1.0,
            category,
            {"fall": 0.75, "fight": 0.25},
            "ended",
            "first",
        )
        self.store.events.upsert(EventRecord(**{**vars(record), **values}))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    with house.client:
        yield house
    house.store.close()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[House]:
    """A service that asks for a token."""
    house = House(tmp_path, token=True)
    with house.client:
        yield house
    house.store.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A service for tests that change nothing."""
    house = House(tmp_path_factory.mktemp("shared"))
    with house.client:
        yield house
    house.store.close()


@pytest.fixture(scope="module")
def shared_locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One that asks for a token, for tests that change nothing."""
    house = House(tmp_path_factory.mktemp("locked"), token=True)
    with house.client:
        yield house
    house.store.close()


# --- who may come in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/api/v1/cameras", "/api/v1/events", "/api/v1/model", "/api/v1/labels.zip", "/metrics", "/api/v1/openapi.json"],
)
def test_a_token_is_asked_for(shared_locked: House, path: str) -> None:
    refused = shared_locked.client.get(path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert shared_locked.client.get(path, headers={"Authorization": "Bearer rvad_for-test"}).status_code == 401
    assert shared_locked.client.get(path, headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401
    assert shared_locked.client.get(path, headers=BEARER).status_code == 200


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/", "/page/app.js", "/page/report/style.css", "/api/v1/session"]
)
def test_what_tells_nothing_is_open(shared_locked: House, path: str) -> None:
    assert shared_locked.client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/page/../schemas.py", "/page/%2e%2e/schemas.py", "/page/..%2fapp.py", "/page/report/page.py"]
)
def test_the_open_folder_ends_at_the_page(shared_locked: House, path: str) -> None:
    assert shared_locked.client.get(path).status_code in (401, 404)


def test_a_login_opens_for_a_browser_until_it_ends(locked: House) -> None:
    client = locked.client
    assert client.get("/api/v1/session").json() == {"needed": True, "open": False, "version": locked.app.version}
    assert client.post("/api/v1/session", json={"token": TOKEN}).status_code == 403  # not from our page
    assert client.post("/api/v1/session", json={"token": "guess"}, headers=OURS).status_code == 401
    assert client.get("/api/v1/cameras").status_code == 401
    answer = client.post("/api/v1/session", json={"token": f" {TOKEN}\n"}, headers=OURS)
    assert answer.json()["open"]
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN.lower() not in cookie
    assert client.get("/api/v1/cameras").status_code == 200
    locked.clock.jump(10 * 86_400.0)  # someone sets the wall clock: no reason to log anyone out
    assert client.get("/api/v1/cameras").status_code == 200
    locked.clock.advance(7 * 86_400.0)
    assert client.get("/api/v1/cameras").status_code == 401


def test_logging_out_ends_the_login_on_the_server(locked: House) -> None:
    client = locked.client
    client.post("/api/v1/session", json={"token": TOKEN}, headers=OURS)
    cookie = client.cookies["refinevad_session"]
    assert client.delete("/api/v1/session", headers=OURS).status_code == 204
    assert client.get("/api/v1/cameras", headers={"Cookie": f"refinevad_session={cookie}"}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),  # a form of another page could send this
        ({"Origin": "http://localhost:8600"}, 403),
        ({**OURS, "Origin": "https://evil.example"}, 403),
        ({**OURS, "Origin": "http://localhost:9999"}, 403),
        ({**OURS, "Origin": "null"}, 403),
        (OURS, 200),
        ({**OURS, "Origin": "http://localhost:8600"}, 200),
        ({**BEARER, "Origin": "https://evil.example"}, 200),  # no browser adds a bearer token by itself
    ],
)
def test_changes_come_from_our_own_page(locked: House, headers: dict[str, str], status: int) -> None:
    locked.client.post("/api/v1/session", json={"token": TOKEN}, headers=OURS)
    answer = locked.client.patch("/api/v1/cameras/door", json={"threshold": 0.5}, headers=headers)
    assert answer.status_code == status, answer.text
    assert (locked.engine.watched["door"].threshold == 0.5) == (status == 200)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1:8600", "", "[::2]:8600"])
def test_without_a_token_only_loopback_names_are_answered(shared: House, host: str) -> None:
    """A page elsewhere may point its own name at 127.0.0.1; the browser then still says that name."""
    assert shared.client.get("/api/v1/cameras", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8600", "127.0.0.1", "[::1]:8600"])
def test_loopback_names_are_answered(shared: House, host: str) -> None:
    assert shared.client.get("/api/v1/cameras", headers={"Host": host}).status_code == 200


def test_every_answer_carries_the_headers(shared_locked: House) -> None:
    for path in ("/", "/page/app.js", "/api/v1/cameras", "/nowhere"):
        headers = shared_locked.client.get(path).headers
        assert {name: headers[name] for name in HEADERS} == HEADERS, path
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert "*" not in policy


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    page = Path(__file__).parents[1] / "src/refinevad/apps/service/page"
    text = (page / "index.html").read_text(encoding="utf-8")
    assert "style=" not in text
    assert " on" not in text.replace(" on its", "").split("<body>")[0]
    assert "<script>" not in text
    assert "<style" not in text
    for path in page.iterdir():
        source = (
            path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "").replace("rtsp://10.0.0.5", "")
        )
        assert "://" not in source, path.name
        assert "innerHTML" not in source, path.name
        assert "eval(" not in source, path.name


def call(*arguments: object) -> int:
    return main(["serve", *map(str, arguments)])


def test_other_machines_come_in_with_a_token_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for host in ("0.0.0.0", "::", "10.0.0.5", "example.org", ""):
        assert call("--host", host, "--data", tmp_path / "data") == 2
        assert "needs a token" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()  # refused before anything was made
    assert call("--host", "0.0.0.0", "--token-file", tmp_path / "absent") == 2
    (tmp_path / "open").write_text(TokenHash.of(TOKEN).stored())
    (tmp_path / "open").chmod(0o644)
    assert call("--host", "0.0.0.0", "--token-file", tmp_path / "open") == 2
    assert "open to others" in capsys.readouterr().err


def test_a_token_is_made_and_shown_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "token"
    assert call("--token-file", file, "--make-token") == 0
    token = capsys.readouterr().out.strip()
    assert token not in file.read_text()
    assert read_token_file(file).matches(token)
    assert call("--token-file", file, "--make-token") == 2  # never made anew by mistake
    assert call("--make-token") == 2


def test_what_cannot_work_is_said_before_the_service_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert call("--data", tmp_path / "data", "--port", taken.getsockname()[1]) == 2
        assert "cannot listen on 127.0.0.1" in capsys.readouterr().err
    for arguments in (
        ("--model", tmp_path / "absent"),
        ("--config", tmp_path / "absent.toml"),
        ("--port", 70_000),
        ("--upload-mb", 0),
        ("--storage", "mysql://host/name"),
    ):
        assert call("--data", tmp_path / "data", "--port", 0, *arguments) == 2, arguments


# --- cameras ---------------------------------------------------------------------------------------------------------


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
    Watch(again, ChangeLog(file), [], house.run).start(house.told.append)
    assert again.watched["yard"].source.url == "rtsp://viewer:p%40ss%2Fw@10.0.0.7/b"
    assert again.watched["yard"].threshold == 0.4
    assert again.watched["yard"].source.by_api  # bounded as before
    assert house.told == []


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
    watch = Watch(
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


def test_a_removed_camera_stays_away_after_a_restart(house: House) -> None:
    assert house.client.delete("/api/v1/cameras/door").status_code == 204
    assert house.client.get("/api/v1/cameras").json() == []
    again = StillEngine()
    door = CameraConfig("door", parse_address("rtsp://h/a"), house.run)
    Watch(again, ChangeLog(house.folder / "changes.json"), [door], house.run).start(house.told.append)
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
    Watch(again, ChangeLog(house.folder / "changes.json"), [door], house.run).start(house.told.append)
    assert again.watched["door"].model.name == "second"


# --- events and reviews ----------------------------------------------------------------------------------------------


def ids(house: House, **query: Any) -> list[str]:
    answer = house.client.get("/api/v1/events", params=query)
    assert answer.status_code == 200, answer.text
    return [event["id"] for event in answer.json()["events"]]


def test_events_are_filtered_and_paged(house: House) -> None:
    for number in range(5):
        house.add_event(f"e{number}", NOON + 3600 * number, ("fall", "fight")[number % 2])
    assert ids(house) == ["e4", "e3", "e2", "e1", "e0"]
    assert ids(house, category="fight") == ["e3", "e1"]
    assert ids(house, start=iso(NOON + 3600), end=iso(NOON + 7200)) == ["e1"]
    assert ids(house, start="2023-11-14T23:13:20+01:00", end=iso(NOON + 100)) == ["e0"]  # NOON, said in another zone
    assert ids(house, state="open") == []
    assert len(ids(house, state="ended")) == 5
    first = house.client.get("/api/v1/events", params={"limit": 2}).json()
    assert [event["id"] for event in first["events"]] == ["e4", "e3"]
    assert first["next_skip"] == 2
    last = house.client.get("/api/v1/events", params={"limit": 2, "skip": 4}).json()
    assert [event["id"] for event in last["events"]] == ["e0"]
    assert last["next_skip"] is None
    assert house.client.get("/api/v1/events", params={"camera": "window"}).status_code == 400
    assert house.client.get("/api/v1/events", params={"limit": 100_000}).status_code == 422


def test_verdicts_are_kept_and_the_last_counts(house: House) -> None:
    house.add_event("e1")
    house.add_event("e2", NOON + 60)
    place = "/api/v1/events/e1/reviews"
    assert house.client.post(place, json={"verdict": "confirmed"}).json()["review"]["verdict"] == "confirmed"
    house.clock.advance(5.0)
    changed = house.client.post(place, json={"verdict": "relabelled", "category": "fight", "note": "two people"}).json()
    assert (changed["category"], changed["label"]) == ("fall", "fight")
    history = house.client.get(place).json()
    assert [review["verdict"] for review in history] == ["confirmed", "relabelled"]
    assert (history[1]["time"], history[1]["note"]) == (iso(NOON + 5), "two people")
    assert ids(house, review="none") == ["e2"]
    assert ids(house, review="any") == ["e1"]
    assert ids(house, review="confirmed") == []
    assert ids(house, category="fight") == ["e1"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"verdict": "perhaps"},
        {"verdict": "relabelled"},
        {"verdict": "confirmed", "when": "noon"},
        {"verdict": "relabelled", "category": "a;b"},
        {"verdict": "confirmed", "note": "x" * 3000},
    ],
)
def test_a_verdict_that_is_none_is_refused(house: House, body: dict[str, str]) -> None:
    house.add_event("e1")
    assert house.client.post("/api/v1/events/e1/reviews", json=body).status_code in (400, 422)
    assert house.client.get("/api/v1/events/e1/reviews").json() == []


def test_clips_answer_ranges_and_nothing_outside_the_media_folder(house: House) -> None:
    clip = house.store.media / "clips" / "e1.mp4"
    clip.write_bytes(bytes(range(100)))
    house.add_event("e1", clip="clips/e1.mp4", snapshot="snapshots/e1.jpg")
    whole = house.client.get("/api/v1/events/e1/clip")
    assert whole.content == bytes(range(100))
    assert whole.headers["content-type"] == "video/mp4"
    part = house.client.get("/api/v1/events/e1/clip", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == bytes(range(10, 20))
    assert part.headers["content-range"] == "bytes 10-19/100"
    assert house.client.get("/api/v1/events/e1/clip", headers={"Range": "bytes=100-"}).status_code == 416
    assert house.client.get("/api/v1/events/e1/snapshot").status_code == 404  # named, but deleted meanwhile
    clip.unlink()
    clip.symlink_to("/etc/passwd")
    assert house.client.get("/api/v1/events/e1/clip").status_code == 400
    for event in ("../../../etc/passwd", "..%2f..%2flive.db", "e1%00"):
        assert house.client.get(f"/api/v1/events/{event}/clip").status_code == 404


def test_reviewed_clips_come_as_a_training_set_without_times(house: House) -> None:
    for number, verdict in enumerate(("confirmed", "dismissed", None)):
        (house.store.media / "clips" / f"e{number}.mp4").write_bytes(b"clip %d" % number)
        house.add_event(f"e{number}", NOON + number, clip=f"clips/e{number}.mp4")
        if verdict:
            house.client.post(f"/api/v1/events/e{number}/reviews", json={"verdict": verdict})
    answer = house.client.get("/api/v1/labels.zip")
    archive = zipfile.ZipFile(BytesIO(answer.content))
    assert sorted(archive.namelist()) == ["clips/e0.mp4", "clips/e1.mp4", "videos.csv"]
    table = archive.read("videos.csv").decode()
    assert table == "path,labels,split\nclips/e0.mp4,fall,train\nclips/e1.mp4,normal,train\n"
    assert archive.read("clips/e1.mp4") == b"clip 1"
    assert list(house.folder.glob("labels-*")) == []  # nothing is left behind


# --- scores ----------------------------------------------------------------------------------------------------------


def store_scores(house: House, scores: list[float], start: float = NOON) -> None:
    rows = [ScoreRow(start + index, 1.0, score, (0.0, 0.0)) for index, score in enumerate(scores)]
    house.store.scores.add("door", "first", CATEGORIES, rows)


def test_a_stretch_of_scores_in_buckets(house: House) -> None:
    store_scores(house, [0.25, 0.75, 0.5])
    span = {"start": iso(NOON), "end": iso(NOON + 8), "buckets": 4}
    answer = house.client.get("/api/v1/cameras/door/scores", params=span).json()
    assert answer["width_s"] == 2.0
    assert answer["start"] == iso(NOON)
    assert answer["segments"] == 3
    assert answer["highest"] == [0.75, 0.5, None, None]
    assert answer["mean"] == [0.5, 0.5, None, None]
    assert house.client.get("/api/v1/cameras/door/scores", params={**span, "end": iso(NOON)}).status_code == 422
    assert house.client.get("/api/v1/cameras/door/scores", params={**span, "buckets": 10**6}).status_code == 422


def test_the_alert_rate_of_each_threshold(house: House) -> None:
    """Two runs, of 0.8 and 0.5, far apart in half an hour: one alert above 0.5, two below it."""
    scores = [0.1] * 1800
    scores[100:110], scores[900:910] = [0.8] * 10, [0.5] * 10
    store_scores(house, scores)
    span = {"start": iso(NOON), "end": iso(NOON + 3600)}
    told = house.client.get("/api/v1/cameras/door/alert-rates", params=span).json()
    alerts = {rate["threshold"]: rate["alerts"] for rate in told["rates"]}
    assert told["hours"] == pytest.approx(0.5)
    assert told["threshold"] == 0.6
    assert (alerts[0.9], alerts[0.6], alerts[0.49], alerts[0.3]) == (0, 1, 2, 2)
    assert {rate["threshold"]: rate["per_hour"] for rate in told["rates"]}[0.6] == pytest.approx(2.0)
    span = {"start": iso(NOON), "end": iso(NOON + 8 * 86_400)}
    assert house.client.get("/api/v1/cameras/door/alert-rates", params=span).status_code == 422


def test_postgresql_answers_as_sqlite_does(postgres_url: str, tmp_path: Path) -> None:
    answers = []
    for place, url in (("sqlite", ""), ("postgres", postgres_url)):
        house = House(tmp_path / place, storage=url)
        with house.client as client:
            for number in range(6):
                house.add_event(f"e{number}", NOON + 60 * number, ("fall", "fight")[number % 2], state="ended")
            rows = [ScoreRow(NOON + 0.64 * i, 0.64, 0.9 if i % 50 < 5 else 0.1, (0.2, 0.8)) for i in range(400)]
            house.store.scores.add("door", "first", CATEGORIES, rows)
            for event, verdict in (("e1", "confirmed"), ("e2", "dismissed")):
                client.post(f"/api/v1/events/{event}/reviews", json={"verdict": verdict})
            span = f"start={iso(NOON)}&end={iso(NOON + 300)}"
            quiet = {"quiet": [{"start": iso(NOON), "end": iso(NOON + 200)}], "alerts_per_hour": 60}
            requests = [
                client.get("/api/v1/events?limit=4"),
                client.get(f"/api/v1/events?category=fall&review=none&{span}"),
                client.get("/api/v1/events?review=any"),
                client.get(f"/api/v1/cameras/door/scores?{span}&buckets=30"),
                client.get(f"/api/v1/cameras/door/alert-rates?{span}"),
                client.post("/api/v1/cameras/door/calibration", json=quiet),
                client.get("/api/v1/jobs"),
                client.get("/readyz"),
            ]
            answers.append([(request.status_code, request.json()) for request in requests])
        house.store.close()
    assert answers[0] == answers[1]
    assert {status for status, _ in answers[0]} == {200}
    assert len(answers[0][0][1]["events"]) == 4


def test_a_camera_is_calibrated_on_its_own_quiet_hours(house: House) -> None:
    """An hour of 0.2 with a confirmed event at 0.9 and a dismissed one at 0.7: the threshold must clear 0.7 alone."""
    scores = [0.2] * 3600
    scores[1000:1010], scores[2000:2010] = [0.9] * 10, [0.7] * 10
    store_scores(house, scores)
    house.add_event("real", NOON + 1000, end=NOON + 1010)
    house.add_event("cat", NOON + 2000, end=NOON + 2010)
    house.store.events.add_review("real", "confirmed")
    house.store.events.add_review("cat", "dismissed")
    wanted = {"quiet": [{"start": iso(NOON), "end": iso(NOON + 3600)}], "alerts_per_hour": 2.0}
    found = house.client.post("/api/v1/cameras/door/calibration", json=wanted).json()
    assert found["threshold"] == pytest.approx(0.7, abs=1e-6)
    assert found["left_out_events"] == 1
    assert found["certified"]
    assert not found["applied"]
    assert found["quiet_hours"] == pytest.approx((3600 - 70) / 3600, abs=0.001)  # 10 s and 30 s on each side
    assert house.engine.watched["door"].threshold is None
    twice = {**wanted, "quiet": wanted["quiet"] * 2, "apply": True}  # the same hours twice are no more hours
    again = house.client.post("/api/v1/cameras/door/calibration", json=twice).json()
    assert again["quiet_hours"] == found["quiet_hours"]
    assert again["applied"]
    assert house.engine.watched["door"].threshold == pytest.approx(0.7, abs=1e-6)
    nothing = {"quiet": [{"start": iso(NOON - 100), "end": iso(NOON - 50)}]}
    assert house.client.post("/api/v1/cameras/door/calibration", json=nothing).status_code == 400


# --- uploads ---------------------------------------------------------------------------------------------------------


def wait_for(house: House, job: str, states: tuple[str, ...]) -> dict[str, Any]:
    """The job once it is in one of the states."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found: dict[str, Any] = house.client.get(f"/api/v1/jobs/{job}").json()
        if found["state"] in states:
            return found
        time.sleep(0.05)
    raise AssertionError(f"the job stays {found['state']}")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("video") / "a.mp4", frames=25).read_bytes()


def uploads_of(house: House) -> list[str]:
    return sorted(path.name for path in (house.store.media / "uploads").iterdir())


def test_a_file_is_analysed_under_a_generated_name(house: House, video: bytes) -> None:
    answer = house.client.post("/api/v1/jobs?name=../../etc/my%20video.exe", content=video)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert job["name"] == "my video.exe"
    assert uploads_of(house) == [f"{job['id']}.mp4"]  # by its content, not by what it was called
    done = wait_for(house, job["id"], ("done", "failed"))
    assert done["state"] == "done"
    assert done["progress"] == 1.0
    assert done["result"]["events"][0]["category"] == "fall"
    assert Path(done["result"]["run"]).name == "first"
    assert (
        "result" not in house.client.get("/api/v1/jobs").json()[0]
        or house.client.get("/api/v1/jobs").json()[0]["result"] is None
    )
    ranged = house.client.get(done["video"], headers={"Range": "bytes=4-7"})
    assert ranged.status_code == 206
    assert ranged.content == video[4:8]
    assert house.client.post(f"/api/v1/jobs/{job['id']}/cancel").status_code == 409
    assert house.client.delete(f"/api/v1/jobs/{job['id']}").status_code == 204
    assert uploads_of(house) == []
    assert house.client.get(f"/api/v1/jobs/{job['id']}").status_code == 404


def test_what_is_no_video_is_refused_by_its_content(house: House, tmp_path: Path) -> None:
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    concat = b"ffconcat version 1.0\nfile '/etc/passwd'\n"
    sound = write_sound(tmp_path / "a.wav").read_bytes()
    for content in (b"plain text, no video at all", playlist, concat, sound, b"\x00" * 5000):
        answer = house.client.post("/api/v1/jobs?name=a.mp4", content=content)
        assert answer.status_code == 415, content[:20]
    assert house.client.post("/api/v1/jobs?name=a.mp4", content=b"").status_code == 400
    assert uploads_of(house) == []
    assert house.client.get("/api/v1/jobs").json() == []


def test_uploads_are_bounded_in_bytes_and_seconds(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path, upload_bytes=len(video), upload_s=0.5)
    with house.client as client:
        assert client.post("/api/v1/jobs", content=video + b"x").status_code == 413
        chunks = client.post("/api/v1/jobs", content=iter([video, b"x"]))  # of no stated length
        assert chunks.status_code == 413
        lying = client.post("/api/v1/jobs", content=iter([video, b"x"]), headers={"Content-Length": "5"})
        assert lying.status_code in (400, 413, 415)
        assert client.post("/api/v1/jobs", content=video).status_code == 422  # a second long
        assert uploads_of(house) == []
    house.store.close()


def test_an_analysis_that_hangs_is_killed_when_it_is_cancelled(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path, work=analyse_for_ever, waiting_jobs=2)
    with house.client as client:
        first, second = (client.post("/api/v1/jobs", content=video).json()["id"] for _ in range(2))
        assert client.post("/api/v1/jobs", content=video).status_code == 429
        wait_for(house, first, ("running",))
        assert client.get(f"/api/v1/jobs/{second}").json()["state"] == "queued"
        assert client.post(f"/api/v1/jobs/{first}/cancel").json()["state"] == "cancelled"
        wait_for(house, second, ("running",))  # the worker is free again
        assert uploads_of(house) == [f"{second}.mp4"]
    house.store.close()


def test_a_crash_and_a_hang_of_the_decoder_are_told(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path, work=analyse_and_crash)
    with house.client as client:
        failed = wait_for(house, client.post("/api/v1/jobs", content=video).json()["id"], ("failed",))
        assert "crashed" in failed["error"]
    house.store.close()


def test_an_analysis_that_takes_too_long_is_stopped(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path, work=analyse_for_ever, analysis_least_s=0.5, analysis_share=0.0)
    with house.client as client:
        failed = wait_for(house, client.post("/api/v1/jobs", content=video).json()["id"], ("failed",))
        assert "stopped after" in failed["error"]
    house.store.close()


def test_a_service_that_was_killed_begins_its_analysis_again(tmp_path: Path, video: bytes) -> None:
    house = House(tmp_path)
    job = house.store.jobs.create("a.mp4", ".mp4")
    (house.store.media / "uploads" / job.file).write_bytes(video)
    house.store.jobs.update(job.id, "running", 0.7)  # as a killed process leaves it
    with house.client:
        assert wait_for(house, job.id, ("done",))["progress"] == 1.0
    house.store.close()


# --- live ------------------------------------------------------------------------------------------------------------


def test_the_websocket_says_what_happens(house: House) -> None:
    with house.client.websocket_connect("ws://localhost:8600/ws") as socket:
        hello = socket.receive_json()
        assert hello["type"] == "hello"
        assert hello["time"] == iso(NOON)
        assert [camera["name"] for camera in hello["cameras"]] == ["door"]
        socket.send_bytes(b"nobody asked")  # is not minded
        house.clock.advance(60.0)
        assert socket.receive_json() == {"type": "ping", "time": iso(NOON + 60)}
        house.engine.say_score("door", NOON + 10, 0.87654)
        said = next_but_pings(socket)
        assert said == {"type": "scores", "camera": "door", "scores": [[iso(NOON + 10), 0.64, 0.8765]]}
        facts: Any = {
            "start": iso(NOON),
            "end": iso(NOON + 1),
            "peak": 0.9,
            "peak_time": iso(NOON),
            "category": "fall",
            "probabilities": {},
        }
        envelope = make_envelope("new", "door", "e9", None, facts, model="first", time=NOON)
        for listener in house.engine.listeners:
            listener.on_event(envelope)
        assert next_but_pings(socket) == {"type": "event", **envelope}
        house.add_event("e1")
        house.client.post("/api/v1/events/e1/reviews", json={"verdict": "dismissed"})
        assert next_but_pings(socket)["event"]["review"]["verdict"] == "dismissed"
        house.client.delete("/api/v1/cameras/door")
        assert next_but_pings(socket) == {"type": "cameras-changed", "camera": "door", "added": False}


def next_but_pings(socket: Any) -> dict[str, Any]:
    while (message := socket.receive_json())["type"] == "ping":
        pass
    return dict(message)


def test_the_websocket_asks_who_comes(locked: House) -> None:
    client = locked.client
    for headers in ({}, {"Authorization": "Bearer guess"}, {"Cookie": "refinevad_session=guess"}):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("ws://localhost:8600/ws", headers=headers):
            pass
    with client.websocket_connect("ws://localhost:8600/ws", headers=BEARER) as socket:
        assert socket.receive_json()["type"] == "hello"
    client.post("/api/v1/session", json={"token": TOKEN}, headers=OURS)
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("ws://localhost:8600/ws", headers={"Origin": "http://evil.example"}),
    ):
        pass
    with client.websocket_connect("ws://localhost:8600/ws", headers={"Origin": "http://localhost:8600"}) as socket:
        assert socket.receive_json()["type"] == "hello"
        locked.clock.advance(8 * 86_400.0)  # the login ends while the socket is open
        while (message := socket.receive())["type"] != "websocket.close":
            assert message["type"] == "websocket.send"  # a ping that was on its way
        assert message["code"] == 4401


def test_a_slow_client_loses_the_oldest_and_is_told() -> None:
    import asyncio

    async def story() -> list[Any]:
        client = Client()
        for number in range(CLIENT_MESSAGES + 3):
            client.put({"number": number})
        return await client.take(1.0)

    told = asyncio.run(story())
    assert told[0] == {"type": "missed", "count": 3}
    assert told[1] == {"number": 3}
    assert len(told) == CLIENT_MESSAGES + 1


# --- metrics, health, documents --------------------------------------------------------------------------------------


def test_metrics_of_each_camera(house: House) -> None:
    house.clock.advance(2.0)
    house.engine.say_score("door", NOON, 0.5)  # its segment ended at NOON + 0.64: 1.36 s ago
    text = house.client.get("/metrics").text
    for line in (
        'refinevad_fps_in{camera="door"} 24.96',
        'refinevad_frames_scored_total{camera="door"} 125.0',
        'refinevad_frames_dropped_total{camera="door"} 3.0',
        'refinevad_reconnects_total{camera="door"} 2.0',
        'refinevad_events_total{camera="door"} 1.0',
        'refinevad_score{camera="door"} 0.25',
        'refinevad_latency_seconds_bucket{camera="door",le="1.0"} 0.0',
        'refinevad_latency_seconds_bucket{camera="door",le="2.0"} 1.0',
    ):
        assert line in text.splitlines(), line
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert all(name.startswith("refinevad_") for name in names)


def test_what_has_not_been_delivered_is_shown(shared: House) -> None:
    assert shared.client.get("/api/v1/sinks").json() == [
        {"name": "home", "waiting": 3, "lost": 1, "trouble": "broker 10.0.0.2:1883: Connection refused"},
        {"name": "database", "waiting": 0, "lost": 0, "trouble": None},
    ]
    lines = shared.client.get("/metrics").text.splitlines()
    assert 'refinevad_envelopes_waiting{sink="home"} 3.0' in lines
    assert 'refinevad_envelopes_waiting{sink="database"} 0.0' in lines
    assert 'refinevad_envelopes_lost_total{sink="home"} 1.0' in lines


def test_health_and_readiness(house: House) -> None:
    assert house.client.get("/healthz").json() == {"status": "ok", "reasons": []}
    assert house.client.get("/readyz").status_code == 200
    house.store.database.close()
    (house.folder / "live.db").unlink()
    (house.folder / "live.db").mkdir()
    for left in house.folder.glob("live.db-*"):
        left.unlink()
    away = house.client.get("/readyz")
    assert away.status_code == 503
    assert away.json()["reasons"] == ["storage cannot be reached"]
    assert house.client.get("/api/v1/events").status_code == 503
    assert house.client.get("/healthz").status_code == 200
    (house.folder / "live.db").rmdir()


def test_the_api_is_versioned_and_described(shared: House) -> None:
    document = shared.client.get("/api/v1/openapi.json").json()
    paths = set(document["paths"])
    assert {path for path in paths if not path.startswith("/api/v1/")} == {"/healthz", "/readyz", "/metrics"}
    assert {"/api/v1/cameras", "/api/v1/events", "/api/v1/jobs", "/api/v1/model", "/api/v1/labels.zip"} <= paths
    text = json.dumps(document)
    assert "10.0.0.5/a" not in text


def test_errors_are_one_sentence(shared: House) -> None:
    for answer in (
        shared.client.get("/api/v1/events/none"),
        shared.client.post("/api/v1/cameras", json={"name": 5}),
        shared.client.post("/api/v1/cameras", content=b"{", headers={"Content-Type": "application/json"}),
        shared.client.get("/api/v1/events?limit=x"),
    ):
        assert answer.status_code in (404, 422)
        assert isinstance(answer.json()["detail"], str)
