"""What people's verdicts and thresholds lead to: training labels and alert rates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from live_cases import START, open_store
from refinevad.apps.live.storage.alert_rate import alert_rates
from refinevad.apps.live.storage.labels import ExportReport, export_reviewed
from refinevad.apps.live.storage.records import EventRecord, ScoreCurve
from refinevad.datasets.dataset import Item, read_dataset
from refinevad.scoring.events import EventRule


def test_reviewed_clips_become_a_data_set(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    event = EventRecord("", "door", START, START + 5.0, 0.9, START, "fall", {"fall": 1.0}, "ended", "runs/a")
    for i, name in enumerate(("yes", "no", "other", "back", "unseen", "lost")):
        (store.media / "clips" / f"{name}.mp4").write_bytes(name.encode())
        clip = f"clips/{name}.mp4" if name != "lost" else "clips/gone.mp4"
        store.events.upsert(replace(event, id=name, start=START + i, clip=clip))
    store.events.add_review("yes", "confirmed")
    store.events.add_review("no", "dismissed")
    store.events.add_review("other", "relabelled", category="a fight & fall")
    store.events.add_review("back", "dismissed")
    store.events.add_review("back", "confirmed")  # the latest counts
    store.events.add_review("lost", "confirmed")
    out = tmp_path / "labels"
    assert export_reviewed(store, out) == ExportReport(exported=4, without_clip=1)
    assert read_dataset(out) == [
        Item("clips/yes.mp4", ("fall",), "train"),
        Item("clips/no.mp4", (), "train"),
        Item("clips/other.mp4", ("a fight & fall",), "train"),
        Item("clips/back.mp4", ("fall",), "train"),
    ]
    assert (out / "clips" / "other.mp4").read_bytes() == b"other"


def curve(scores: list[float], starts: list[float] | None = None) -> ScoreCurve:
    """Segments of 1 s, one after the other unless `starts` says where they begin."""
    time = START + np.array(starts if starts is not None else np.arange(len(scores)), dtype=np.float64)
    return ScoreCurve(time, np.ones(len(scores)), np.array(scores), (), np.zeros((len(scores), 0)))


def test_the_alert_rate_counts_events_as_live_does() -> None:
    # above 0.5 opens, above 0.3 lasts: 1-3 one event; 8 is 4 s later another; 0.4 alone opens none
    scores = [0.1, 0.4, 0.9, 0.35, 0.1, 0.1, 0.1, 0.1, 0.6, 0.1, 0.4, 0.1]
    low, high = alert_rates(curve(scores), [EventRule(0.5, 0.3), EventRule(0.8, 0.3)])
    assert (low.alerts, high.alerts) == (2, 1)
    assert low.hours == pytest.approx(12 / 3600)
    assert low.per_hour == pytest.approx(600.0)
    (none,) = alert_rates(curve([]), [EventRule(0.5, 0.3)])
    assert (none.alerts, none.hours, none.per_hour) == (0, 0.0, 0.0)


def test_a_camera_that_was_away_splits_events_and_hours() -> None:
    rule = EventRule(0.5, 0.3)
    (together,) = alert_rates(curve([0.9, 0.9]), [rule])
    (apart,) = alert_rates(curve([0.9, 0.9], [0.0, 1.6]), [rule])  # 0.6 s without scores: more than half a segment
    (jitter,) = alert_rates(curve([0.9, 0.9], [0.0, 1.4]), [rule])
    assert (together.alerts, apart.alerts, jitter.alerts) == (1, 2, 1)
    assert apart.hours == pytest.approx(2 / 3600)
