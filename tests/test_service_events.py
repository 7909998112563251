"""Events and reviews through the API."""

import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")


from refinevad.apps.live.clock import iso
from refinevad.apps.live.envelope import live_facts, make_envelope
from refinevad.apps.service.archive import PIECE_BYTES, archive
from refinevad.scoring.event_record import SCHEMA_VERSION
from refinevad.scoring.events import Event
from service_house import NOON, House


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


def test_an_event_has_the_names_of_the_one_schema(house: House) -> None:
    """Those of an envelope's facts, with their roundings; the old ones beside them, and said to be old."""
    house.add_event("e1", NOON + 0.25, peak=0.12345678)
    told = house.client.get("/api/v1/events/e1").json()
    event = Event(NOON + 0.25, NOON + 4.25, 0.12345678, NOON + 1.25, "fall", {"fall": 0.75, "fight": 0.25})
    facts = make_envelope("end", "door", "e1", None, live_facts(event, 0.0), model="first", time=NOON)["after"]
    assert {name: told[name] for name in facts} == facts
    assert told["schema_version"] == SCHEMA_VERSION
    assert (told["peak"], told["start_s"], told["start"]) == (0.123457, NOON + 0.25, iso(NOON + 0.25))
    described = house.client.get("/api/v1/openapi.json").json()["components"]["schemas"]["EventOut"]["properties"]
    assert {name for name, said in described.items() if said.get("deprecated")} == {"start", "end"}


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
    assert answer.headers["content-type"] == "application/zip"
    whole = zipfile.ZipFile(BytesIO(answer.content))
    assert sorted(whole.namelist()) == ["clips/e0.mp4", "clips/e1.mp4", "videos.csv"]
    table = whole.read("videos.csv").decode()
    assert table == "path,labels,split\nclips/e0.mp4,fall,train\nclips/e1.mp4,normal,train\n"
    assert whole.read("clips/e1.mp4") == b"clip 1"
    assert whole.testzip() is None
    assert list(house.folder.glob("labels-*")) == []  # nothing is left behind
    assert house.client.get("/api/v1/labels.zip").content == answer.content  # the next may begin
    with house.app.state.context.exporting:
        assert house.client.get("/api/v1/labels.zip").status_code == 429


def test_an_archive_is_sent_in_pieces_while_it_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(64_000_000)
    files = [(large, "clips/a.mp4"), (tmp_path / "gone.mp4", "clips/b.mp4"), (large, "clips/ü.mp4")]
    tracemalloc.start()
    pieces = archive(files, "list.txt", lambda names: ",".join(names))
    with (tmp_path / "whole.zip").open("wb") as file:
        for piece in pieces:
            file.write(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * PIECE_BYTES
    whole = zipfile.ZipFile(tmp_path / "whole.zip")
    assert whole.testzip() is None
    assert whole.namelist() == ["clips/a.mp4", "clips/ü.mp4", "list.txt"]
    assert whole.getinfo("clips/a.mp4").file_size == 64_000_000
    assert whole.read("list.txt").decode() == "clips/a.mp4,clips/ü.mp4"


@pytest.mark.parametrize(
    "query",
    [
        "skip=99999999999999999999999",
        "skip=-1",
        "skip=1e3",
        "skip=NaN",
        "limit=0",
        "limit=99999999999999999999999",
        "start=0001-01-01",
        "end=9999-12-31T23:59:59-12:00",
        "start=1e308",
        "start=NaN",
        "start=inf",
        "start=-99999999999999999999999",
        "start=2500-01-01",
        "camera=a%00b",
        "category=%1b%5b2J",
        f"category={'x' * 101}",
        "state=ope%00n",
    ],
)
def test_what_no_number_time_or_name_can_be_is_refused(shared: House, query: str) -> None:
    answer = shared.client.get(f"/api/v1/events?{query}")
    assert answer.status_code == 422, answer.text
    assert isinstance(answer.json()["detail"], str)
    assert "\x1b" not in answer.json()["detail"]


@pytest.mark.parametrize("event", ["e1%00", "%ff%fe", "e1%0a", "x" * 5000, "%1b%5b2J", "..", "99999999999999999999"])
@pytest.mark.parametrize("place", ["", "/clip", "/snapshot", "/reviews"])
def test_what_no_event_can_be_called_is_not_there(shared: House, event: str, place: str) -> None:
    assert shared.client.get(f"/api/v1/events/{event}{place}").status_code == 404
    assert shared.client.get(f"/api/v1/jobs/{event}{place.replace('clip', 'video')}").status_code in (404, 405)


@pytest.mark.parametrize("start", ["0001-01-01", "9999-12-31T23:59:59-12:00", "1e308", "NaN", "-1"])
def test_scores_and_calibration_hold_times_to_the_same_bounds(shared: House, start: str) -> None:
    for path in ("scores", "alert-rates"):
        answer = shared.client.get(f"/api/v1/cameras/door/{path}", params={"start": start, "end": "2023-01-01"})
        assert answer.status_code == 422, answer.text
    body = {"quiet": [{"start": start, "end": "2023-01-01T00:00:00Z"}]}
    assert shared.client.post("/api/v1/cameras/door/calibration", json=body).status_code == 422


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e308", "-1", "1" * 400, "1" * 5000])
def test_numbers_in_a_document_are_bounded(shared: House, number: str) -> None:
    headers = {"Content-Type": "application/json"}
    threshold = f'{{"threshold": {number}}}'
    rate = f'{{"quiet": [{{"start": "2023-01-01", "end": "2023-01-02"}}], "alerts_per_hour": {number}}}'
    changed = shared.client.patch("/api/v1/cameras/door", content=threshold, headers=headers)
    assert changed.status_code in (400, 422), changed.text
    calibrated = shared.client.post("/api/v1/cameras/door/calibration", content=rate, headers=headers)
    assert calibrated.status_code in (400, 422), calibrated.text
