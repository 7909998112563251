"""Stored scores through the API: buckets, alert rates, calibration, from SQLite and PostgreSQL."""

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")


from refinevad.apps.live.clock import iso
from refinevad.apps.live.storage.records import ScoreRow
from service_house import NOON, House
from service_parts import CATEGORIES


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


def test_no_threshold_is_proposed_from_two_models_scores(house: House) -> None:
    """An hour of one model at 0.9999999, an hour of the next at 0.2: nothing of the first may reach the second."""
    rows = [ScoreRow(NOON + second, 1.0, 0.9999999, (0.0, 0.0)) for second in range(3600)]
    house.store.scores.add("door", "first", CATEGORIES, rows, "1" * 64)
    span = {"start": iso(NOON), "end": iso(NOON + 7200)}
    wanted = {"quiet": [{"start": iso(NOON), "end": iso(NOON + 3600)}], "alerts_per_hour": 2.0}
    both = {**wanted, "quiet": [span]}
    apart = {**wanted, "quiet": [*wanted["quiet"], {"start": iso(NOON + 3700), "end": iso(NOON + 7200)}]}
    house.engine.scored_by = "2" * 64  # swapped just now: nothing is scored yet
    answer = house.client.post("/api/v1/cameras/door/calibration", json=wanted)
    assert answer.status_code == 400
    assert "another model's" in answer.json()["detail"]
    rates = house.client.get("/api/v1/cameras/door/alert-rates", params=span).json()
    assert (rates["hours"], rates["other_models"]) == (0.0, 3600)
    assert {rate["alerts"] for rate in rates["rates"]} == {0}
    rows = [ScoreRow(NOON + 3600 + second, 1.0, 0.2, (0.0, 0.0)) for second in range(3600)]
    house.store.scores.add("door", "first", CATEGORIES, rows, "2" * 64)
    for scored_by in ("2" * 64, ""):  # "": the camera has been paused since the start
        house.engine.scored_by = scored_by
        for quiet in (both, apart):
            found = house.client.post("/api/v1/cameras/door/calibration", json=quiet).json()
            assert found["threshold"] == pytest.approx(0.2, abs=1e-6)
        rates = house.client.get("/api/v1/cameras/door/alert-rates", params=span).json()
        assert (rates["hours"], rates["other_models"]) == (1.0, 3600)
    drawn = house.client.get("/api/v1/cameras/door/scores", params={**span, "buckets": 2}).json()
    assert (drawn["highest"], drawn["other_models"]) == ([None, 0.2], 3600)


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
