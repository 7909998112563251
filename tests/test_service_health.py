"""Metrics, health, the description of the API, and errors."""

import json

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")


from refinevad.apps.live.clock import iso
from refinevad.apps.live.delivery.courier import Backlog
from refinevad.apps.live.health import Trouble
from refinevad.apps.live.status import Learning
from refinevad.apps.live.storage.records import TroubleRecord
from service_house import NOON, House


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


def test_a_threshold_that_is_being_learnt_is_shown_with_its_history(house: House) -> None:
    assert house.client.get("/api/v1/cameras/door").json()["learning"] is None
    assert "refinevad_learning{" not in house.client.get("/metrics").text
    house.engine.learning = Learning("learning", 0.7, 5.5)
    told = house.client.get("/api/v1/cameras/door").json()["learning"]
    assert told == {"state": "learning", "quiet_hours": 5.5, "hours_needed": 24.0}
    lines = house.client.get("/metrics").text.splitlines()
    assert 'refinevad_learning{camera="door"} 1.0' in lines
    assert 'refinevad_quiet_hours{camera="door"} 5.5' in lines
    house.engine.learning = Learning("learnt", 0.7, 24.0)
    assert 'refinevad_learning{camera="door"} 0.0' in house.client.get("/metrics").text.splitlines()
    for threshold, hours in ((0.7, 1.0), (0.8, 24.0)):
        house.store.learnt.add("door", threshold, hours, "f" * 64)
        house.clock.advance(60.0)
    found = house.client.get("/api/v1/cameras/door/learnt").json()
    assert [(one["threshold"], one["quiet_hours"]) for one in found] == [(0.8, 24.0), (0.7, 1.0)]
    assert found[1]["time"] == iso(NOON)
    assert house.client.get("/api/v1/cameras/nowhere/learnt").status_code == 404


def test_what_has_not_been_delivered_is_shown(shared: House) -> None:
    neither = {"people": False, "snoozed_until": None, "schedule": None}
    assert shared.client.get("/api/v1/sinks").json() == [
        {"name": "home", "waiting": 3, "lost": 1, "trouble": "broker 10.0.0.2:1883: Connection refused", **neither},
        {"name": "database", "waiting": 0, "lost": 0, "trouble": None, **neither},
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


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_who_asks_by_head_hears_the_same_without_a_body(shared: House, path: str) -> None:
    """Load balancers and uptime checks do."""
    asked = shared.client.get(path)
    assert asked.status_code == 200
    answer = shared.client.head(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, asked.headers["content-type"])


def test_what_keeps_events_from_being_kept_is_told(house: House) -> None:
    assert "refinevad_troubles 0.0" in house.client.get("/metrics").text.splitlines()
    house.troubles = ["the outbox cannot be written (database or disk is full); events go out from memory"]
    house.backlog = [Backlog("home", 3, 2, "", 3)]
    answer = house.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "unready", "reasons": house.troubles})
    lines = house.client.get("/metrics").text.splitlines()
    assert "refinevad_troubles 1.0" in lines
    assert 'refinevad_envelopes_in_memory{sink="home"} 3.0' in lines
    assert 'refinevad_envelopes_lost_total{sink="home"} 2.0' in lines


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


def test_what_is_wrong_with_a_camera_is_in_its_document_and_its_metrics(house: House) -> None:
    house.engine.health = (Trouble("frozen", NOON, "its picture stands still", "ab12"),)
    for number in range(3):
        house.store.troubles.begin(TroubleRecord(f"t{number}", "door", "frozen", "it stands still", NOON + number))
    house.store.troubles.end(TroubleRecord("t2", "door", "frozen", "it stands still", NOON + 2), NOON + 9)
    page = house.client.get("/api/v1/troubles", params={"limit": 2}).json()
    assert [(past["since"], past["over"]) for past in page["troubles"]] == [
        (iso(NOON + 2), iso(NOON + 9)),
        (iso(NOON + 1), None),
    ]
    assert page["next_skip"] == 2
    assert house.client.get("/api/v1/troubles", params={"camera": "gate"}).json()["troubles"] == []
    document = house.client.get("/api/v1/cameras/door").json()
    said = {"name": "frozen", "since": "2023-11-14T22:13:20.000Z", "text": "its picture stands still"}
    assert document["health"] == [said]
    text = house.client.get("/metrics").text
    assert 'refinevad_camera_trouble{camera="door",trouble="frozen"} 1.0' in text
    assert 'refinevad_camera_trouble{camera="door",trouble="black"} 0.0' in text
    house.client.patch("/api/v1/cameras/door", json={"paused": True})  # let go of by hand: nothing is wrong with it
    assert house.client.get("/api/v1/cameras/door").json()["health"] == []
