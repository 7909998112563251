"""Events and reviews through the API."""

import zipfile
from io import BytesIO
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")


from refinevad.apps.live.clock import iso
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
