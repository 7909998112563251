"""Verdicts at speed: on many events at once, taken back, and those of people who are not sure."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

pytest.importorskip("fastapi", reason="the service needs the extra `service`")

from live_cases import START
from refinevad.apps.live.clock import iso
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage.database import MIGRATIONS, Database
from refinevad.apps.live.storage.labels import labelled_clips
from refinevad.apps.live.storage.records import ScoreRow
from refinevad.apps.live.storage.store import Store
from service_house import NOON, House


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of either kind."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'live.db'}"


def bring_to(revision: str, url: str) -> None:
    """A database as an older program left it."""
    database, config = Database(Secret(url)), Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for statement in (
            "INSERT INTO cameras (id, name, source, model, added) VALUES (1, 'door', 'a', 'm', 0)",
            'INSERT INTO events (id, camera_id, start, "end", peak, peak_time, category, probabilities, state, model)'
            " VALUES ('e1', 1, 0, 4, 0.9, 2, 'fall', '{}', 'ended', 'm')",
            "INSERT INTO reviews (event_id, verdict, reviewer, note, time)"
            " VALUES ('e1', 'dismissed', 'ana', 'the cat', 5)",
        ):
            connection.execute(text(statement))
    database.close()


def test_reviews_of_an_older_program_are_kept_and_can_be_undone(url: str, tmp_path: Path) -> None:
    bring_to("0001", url)
    store = Store.open(Secret(url), tmp_path / "media")
    found = store.events.get("e1")
    assert found is not None
    assert found.review is not None
    assert (found.review.verdict, found.review.note, found.review.undone) == ("dismissed", "the cat", None)
    newer = store.events.add_review("e1", "unsure")
    assert newer.number > found.review.number  # numbers go on where they were
    store.events.undo_reviews([newer.number, found.review.number])
    undone = store.events.get("e1")
    assert undone is not None
    assert undone.review is None
    store.events.delete("e1")
    assert store.events.reviews("e1") == []  # with its event, as before
    store.close()


def test_one_verdict_on_many_events_is_on_all_or_none(house: House) -> None:
    for number in range(3):
        house.add_event(f"e{number}", NOON + 60 * number)
    wanted = {"events": ["e0", "e2", "e0"], "verdict": "dismissed", "note": "rain"}
    answer = house.client.post("/api/v1/events/reviews", json=wanted)
    assert answer.status_code == 201
    assert [event["id"] for event in answer.json()["events"]] == ["e0", "e2"]
    assert {event["review"]["note"] for event in answer.json()["events"]} == {"rain"}
    assert len(house.client.get("/api/v1/events/e0/reviews").json()) == 1  # named twice, said once
    refused = house.client.post("/api/v1/events/reviews", json={"events": ["e1", "none"], "verdict": "confirmed"})
    assert refused.status_code == 400
    assert house.client.get("/api/v1/events/e1").json()["review"] is None
    for wrong in ({"events": []}, {"events": ["e1"] * 501}, {"events": ["e1"], "verdict": "relabelled"}):
        assert house.client.post("/api/v1/events/reviews", json={"verdict": "confirmed", **wrong}).status_code in (
            400,
            422,
        )
    assert house.client.get("/api/v1/audit").json()["entries"][0]["what"] == "events reviewed"


def test_a_verdict_is_taken_back_and_the_one_before_counts_again(house: House) -> None:
    house.add_event("e1")
    place = "/api/v1/events/e1/reviews"
    house.client.post(place, json={"verdict": "dismissed"})
    second = house.client.post(place, json={"verdict": "relabelled", "category": "fight"}).json()["review"]["number"]
    house.clock.advance(5.0)
    answer = house.client.post("/api/v1/events/reviews/undo", json={"reviews": [second]}).json()
    (event,) = answer["events"]
    assert (event["review"]["verdict"], event["label"]) == ("dismissed", "fall")
    history = house.client.get(place).json()
    assert [(said["verdict"], said["undone"]) for said in history] == [
        ("dismissed", None),
        ("relabelled", iso(NOON + 5)),
    ]
    again = house.client.post("/api/v1/events/reviews/undo", json={"reviews": [history[0]["number"], second]})
    assert again.status_code == 400
    assert house.client.get("/api/v1/events/e1").json()["review"]["verdict"] == "dismissed"  # of neither
    house.client.post("/api/v1/events/reviews/undo", json={"reviews": [history[0]["number"]]})
    assert [found["id"] for found in house.client.get("/api/v1/events?review=none").json()["events"]] == ["e1"]


def test_the_other_pages_hear_of_what_was_said_and_taken_back(house: House) -> None:
    house.add_event("e1")
    with house.client.websocket_connect("/ws", headers={"Host": "localhost:8600"}) as socket:
        assert socket.receive_json()["type"] == "hello"
        made = house.client.post("/api/v1/events/reviews", json={"events": ["e1"], "verdict": "unsure"}).json()
        house.client.post("/api/v1/events/reviews/undo", json={"reviews": [made["events"][0]["review"]["number"]]})
        heard = []
        while len(heard) < 2:
            message = socket.receive_json()
            heard += [message["event"]["review"]] if message["type"] == "review" else []
    assert heard[0]["verdict"] == "unsure"
    assert heard[1] is None


def test_what_nobody_could_tell_teaches_nothing_and_is_no_quiet_hour(house: House) -> None:
    for number, verdict in enumerate(("confirmed", "unsure")):
        (house.store.media / "clips" / f"e{number}.mp4").write_bytes(b"clip")
        house.add_event(f"e{number}", NOON + 1000 * (number + 1), clip=f"clips/e{number}.mp4")
        house.client.post(f"/api/v1/events/e{number}/reviews", json={"verdict": verdict})
    assert [event["id"] for event in house.client.get("/api/v1/events?review=unsure").json()["events"]] == ["e1"]
    clips, without = labelled_clips(house.store)
    assert ([clip.name for clip in clips], without) == (["clips/e0.mp4"], 0)
    rows = [ScoreRow(NOON + second, 1.0, 0.2, (0.0, 0.0)) for second in range(3600)]
    house.store.scores.add("door", "first", ("fall", "fight"), rows)
    quiet = {"quiet": [{"start": iso(NOON), "end": iso(NOON + 3600)}], "alerts_per_hour": 2.0}
    found = house.client.post("/api/v1/cameras/door/calibration", json=quiet).json()
    assert found["left_out_events"] == 2


def test_curves_of_two_models_are_told_apart(house: House) -> None:
    for begin, run, score, digest in ((0, "runs/old", 0.8, "1" * 64), (100, "runs/new", 0.3, "2" * 64)):
        rows = [ScoreRow(NOON + begin + second, 1.0, score, (0.0, 0.0)) for second in range(100)]
        house.store.scores.add("door", run, ("fall", "fight"), rows, digest)
    span = {"start": iso(NOON), "end": iso(NOON + 200), "buckets": 2}
    alone = house.client.get("/api/v1/cameras/door/scores", params=span).json()
    assert (alone["run"], alone["highest"], alone["others"]) == ("new", [None, 0.3], [])
    both = house.client.get("/api/v1/cameras/door/scores", params={**span, "each_model": True}).json()
    assert both["others"] == [{"run": "old", "highest": [0.8, None], "segments": 100}]
    nothing = {**span, "start": iso(START + 5000), "end": iso(START + 6000)}
    assert house.client.get("/api/v1/cameras/door/scores", params=nothing).json()["run"] is None
