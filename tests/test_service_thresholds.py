"""Thresholds with a history, a way back, and kept at an alert rate by what people said; training on reviewed clips."""

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")

from refinevad.apps.cli import main
from refinevad.apps.commands import serve
from refinevad.apps.live.storage.records import ScoreRow
from refinevad.apps.service.changes import ChangeLog
from service_house import NOON, House
from service_parts import CATEGORIES

HOURS = 30
PLACE = "/api/v1/cameras/door/thresholds"


def with_scores(house: House) -> None:
    """30 hours of 0.2, and in them an event of ten seconds at 0.7, another at 0.9; the clock stands at their end."""
    scores = [0.2] * (HOURS * 360)
    scores[1000], scores[5000] = 0.7, 0.9
    rows = [ScoreRow(NOON + 10.0 * place, 10.0, score, (0.0, 0.0)) for place, score in enumerate(scores)]
    house.store.scores.add("door", "first", CATEGORIES, rows, "1" * 64)
    house.engine.scored_by = "1" * 64
    for name, place in (("low", 1000), ("high", 5000)):
        house.add_event(name, NOON + 10.0 * place, end=NOON + 10.0 * place + 10.0)
    house.clock.advance(HOURS * 3600.0)


def test_each_move_is_kept_and_the_last_is_taken_back(house: House) -> None:
    client = house.client
    assert client.get(PLACE).json() == {"kept_alerts_per_day": None, "moves": []}
    assert client.post(f"{PLACE}/undo").status_code == 400
    for threshold in (0.4, 0.5, None):
        client.patch("/api/v1/cameras/door", json={"threshold": threshold})
    moves = [(move["before"], move["after"], move["why"]) for move in client.get(PLACE).json()["moves"]]
    assert moves == [(0.5, None, "by hand"), (0.4, 0.5, "by hand"), (None, 0.4, "by hand")]
    assert client.post(f"{PLACE}/undo").json()["threshold"] == 0.5
    assert house.changes.now.thresholds == {"door": 0.5}  # over a restart, too
    assert client.post(f"{PLACE}/undo").json()["threshold"] == 0.6  # the model's own: the undo is taken back
    assert [move["why"] for move in client.get(f"{PLACE}?limit=2").json()["moves"]] == ["undo", "undo"]
    assert client.get("/api/v1/cameras/gate/thresholds").status_code == 404
    entry = client.get("/api/v1/audit").json()["entries"][0]
    assert (entry["what"], entry["detail"]) == ("threshold taken back", {"before": 0.5, "after": 0.6})


@pytest.mark.parametrize(
    ("low", "high", "threshold"),
    [
        ("dismissed", "dismissed", 0.9),  # both must be risen above, to have none in 30 hours
        ("dismissed", "confirmed", 0.7),  # what did happen is no reason to be less watchful
        ("dismissed", None, 0.7),  # nor is what nobody has looked at
        ("unsure", None, 0.2),
    ],
)
def test_a_threshold_is_kept_by_what_people_said(
    house: House, low: str | None, high: str | None, threshold: float
) -> None:
    with_scores(house)
    for name, verdict in (("low", low), ("high", high)):
        if verdict is not None:
            house.client.post(f"/api/v1/events/{name}/reviews", json={"verdict": verdict})
    thresholds = house.app.state.context.thresholds
    # n alerts in 30 hours count as (n + 1) / 30 an hour: 1.2 a day allow none, 0.5 a day cannot be vouched for
    assert thresholds.keep("door", 0.5) is None
    assert house.client.get(PLACE).json()["moves"] == []
    assert thresholds.keep("door", 1.2) == pytest.approx(threshold, abs=1e-6)
    (move,) = house.client.get(PLACE).json()["moves"]
    assert (move["before"], move["why"]) == (None, "kept at 1.2 a day")
    assert thresholds.keep("door", 1.2) is None  # it is there already
    assert house.client.post(f"{PLACE}/undo").json()["threshold"] == 0.6


def test_a_kept_threshold_is_looked_at_once_a_day_and_none_without_scores(house: House) -> None:
    house.client.patch("/api/v1/cameras/door", json={"kept_alerts_per_day": 24.0})
    thresholds = house.app.state.context.thresholds
    thresholds.keep_all()  # no scores yet: told of, not moved
    assert house.client.get(PLACE).json()["moves"] == []
    with_scores(house)
    thresholds.keep_all()
    assert [move["user"] for move in house.client.get(PLACE).json()["moves"]] == [""]
    house.client.patch("/api/v1/cameras/door", json={"threshold": 0.5})
    thresholds.keep_all()  # its day is not over
    assert house.engine.watched["door"].threshold == 0.5
    assert ChangeLog(house.folder / "changes.json").now.kept == {"door": 24.0}
    house.client.patch("/api/v1/cameras/door", json={"kept_alerts_per_day": None})
    house.clock.advance(2 * 86_400.0)
    thresholds.keep_all()
    assert house.engine.watched["door"].threshold == 0.5
    for wrong in (0, -1, "1", True, 2000):
        answer = house.client.patch("/api/v1/cameras/door", json={"kept_alerts_per_day": wrong})
        assert answer.status_code == 422, wrong


def parsed(*words: str) -> object:
    import argparse

    parser = argparse.ArgumentParser()
    serve.configure(parser)
    return parser.parse_args(words)


def test_data_goes_before_cameras_toml_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, said = tmp_path / "plain.toml", tmp_path / "said.toml"
    plain.write_text("reserve_mb = 100.0\n")
    said.write_text('storage = "sqlite:///kept.db"\nmedia = "kept"\n')
    server = tmp_path / "server.toml"
    server.write_text('storage = "postgresql://host/name"\noutbox = "kept.db"\n')
    for config, told in ((plain, ""), (said, "its storage, media count for nothing"), (server, "its outbox count")):
        found = serve.config_from(parsed("--config", str(config), "--data", str(tmp_path / "data")))  # type: ignore[arg-type]
        assert found.media == tmp_path / "data" / "media"
        error = capsys.readouterr().err
        assert told in error
        assert bool(error) == bool(told)
    found = serve.config_from(parsed("--config", str(said)))  # type: ignore[arg-type]
    assert (found.media, capsys.readouterr().err) == (tmp_path / "kept", "")


def test_training_on_reviewed_clips_says_at_once_that_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By cameras.toml as by the data folder; and before a video is looked at."""
    from refinevad.training import runs

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the videos were looked at first")

    monkeypatch.setattr(runs, "train_recipe", never)
    house = House(tmp_path / "house", storage=f"sqlite:///{tmp_path}/kept.db")
    house.add_event("e1")
    house.store.close()
    config = tmp_path / "cameras.toml"
    config.write_text('storage = "sqlite:///kept.db"\nmedia = "house/media"\n')
    (tmp_path / "videos").mkdir()
    for given in (config, tmp_path / "kept.db"):
        words = ["train", tmp_path / "videos", "--out", tmp_path / "run", "--add-reviewed", given]
        assert main(list(map(str, words))) == 2
        assert "no reviewed clip" in capsys.readouterr().err
    words = ["train", tmp_path / "videos", "--out", tmp_path / "run", "--add-reviewed", tmp_path / "absent"]
    assert main(list(map(str, words))) == 2
    assert "or its cameras.toml" in capsys.readouterr().err
