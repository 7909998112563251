"""One yardstick for all rows: the same figures for any scores, the same draws, and events at a given threshold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refinevad.judging.intervals import bounds_of, differences, figure_of
from refinevad.judging.localisation import TrueSpan
from refinevad.judging.predictions import VideoPrediction
from refinevad.judging.protocol import Protocol
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.judging.yardstick import Yardstick
from refinevad.timeline import SegmentRule, Timeline

NAMES = [f"v{place}.mp4" for place in range(16)]


def truth(anomalous: bool = True) -> Truth:
    timeline = Timeline.uniform(100, 25.0, SegmentRule(seconds=1.0))
    return Truth(
        ("normal", "x"),
        tuple(
            VideoTruth(name, ("x",), timeline, (), ((25, 75),))
            if anomalous and place % 2
            else VideoTruth(name, (), timeline, (), ())
            for place, name in enumerate(NAMES)
        ),
    )


def scored(gain: float) -> dict[str, VideoPrediction]:
    rng = np.random.default_rng(0)
    event = np.array([0, 1, 1, 0])
    return {
        name: VideoPrediction.of((rng.random(4) + gain * event * (place % 2)) / (1 + gain))
        for place, name in enumerate(NAMES)
    }


def test_rows_have_the_same_figures_and_draws(tmp_path: Path) -> None:
    rows = [f"{name},x,test,{place // 2},{place % 3}" for place, name in enumerate(NAMES)]
    (tmp_path / "videos.csv").write_text("\n".join(["path,labels,split,source,night", *rows]))
    sources = {name: {"bytes": 1000 + place, "duration_s": 4.0} for place, name in enumerate(NAMES)}
    yardstick = Yardstick.of(truth(), tmp_path, sources)
    strong, weak = yardstick.row(scored(0.5), "strict"), yardstick.row(scored(0.1), "strict")
    assert set(strong.figures) == set(weak.figures)
    assert set(strong.figures["scene_bias"]) == {"resolution", "bitrate", "brightness", "night"}
    assert strong.figures["scene_bias"]["brightness"] is None
    assert strong.figures["scene_bias"]["bitrate"]["low"]["videos"] == 8
    assert strong.figures["resampled"] | {"note": ""} == {
        "resamples": 1000,
        "seed": 0,
        "units": 8,
        "level": 0.95,
        "unit": "source",
        "note": "",
    }
    # what is resampled is what is told, by another way of counting
    for name, sampled in strong.sampled.items():
        assert figure_of(strong.figures, name) == pytest.approx(sampled.value), name
        low, high = bounds_of(strong.figures, name) or (0, 0)
        assert low <= sampled.value <= high
    gaps = differences(strong.sampled, weak.sampled)
    assert set(gaps) == set(strong.sampled)
    assert gaps["auc"]["difference"] == pytest.approx(strong.figures["auc"] - weak.figures["auc"])
    assert gaps["auc"]["excludes_0"] is True
    assert gaps["within_weight"] == {"difference": 0.0, "ci95": [0.0, 0.0], "excludes_0": False}
    own = strong.figures["auc_minus_video_mean"]
    assert own["difference"] == pytest.approx(strong.figures["auc"] - strong.figures["video_mean_auc"])


def test_events_at_a_threshold_by_hand() -> None:
    yardstick = Yardstick.of(truth())
    # in every second anomalous video exactly the event, elsewhere nothing: 4 of 8 found
    scores = {n: VideoPrediction.of(np.array([0, 1, 1, 0]) * 0.9 * (i % 4 == 1)) for i, n in enumerate(NAMES)}
    row = yardstick.row(scores, "strict")
    found = yardstick.events_from(row, 0.5)
    assert found["event_f1_at"] == pytest.approx(dict.fromkeys(["0.2", "0.3", "0.5"], 2 * 4 / (4 + 8)))
    assert found["event_f1_at_ci95"]["0.3"] == found["event_f1_ci95"]
    low, high = found["event_f1_ci95"]
    assert low < 2 / 3 < high
    # the true event lasts half of each video: alarms everywhere reach IoU 0.5 in all 8 and are false in 8
    everywhere = yardstick.events_from(row, 0.0)
    assert everywhere["event_f1_at"]["0.5"] == pytest.approx(2 * 8 / (16 + 8))
    assert row.figures["event_f1_best_at"]["0.5"] == pytest.approx(2 / 3)


def with_spans() -> Truth:
    plain = truth()
    videos = [replace(video, spans=tuple(TrueSpan(a, b, "x") for a, b in video.anomalous)) for video in plain.videos]
    return Truth(plain.columns, tuple(videos))


@pytest.mark.parametrize(("protocol", "outer"), [("strict", "map"), ("legacy", "map_strict")])
def test_strict_map_has_an_interval_whichever_protocol_is_told(protocol: Protocol, outer: str) -> None:
    yardstick = Yardstick.of(with_spans())
    strong, weak = yardstick.row(scored(0.5), protocol), yardstick.row(scored(0.1), protocol)
    strict = yardstick.row(scored(0.5), "strict").figures
    assert strong.figures[outer] == pytest.approx(strict["map"])
    assert strong.figures[f"{outer}_average"] == pytest.approx(strict["map_average"])
    assert ("map_ci95" in strong.figures) == ("map_average_ci95" in strong.figures) == (protocol == "strict")
    low, high = strong.figures[f"{outer}_average_ci95"]
    assert 0 < low < strict["map_average"] < high <= 100
    assert set(strong.figures[f"{outer}_ci95"]) == {"0.1", "0.2", "0.3", "0.4", "0.5"}
    for name, sampled in strong.sampled.items():
        assert figure_of(strong.figures, name) == pytest.approx(sampled.value), name
    gap = differences(strong.sampled, weak.sampled)[f"{outer}_average"]
    assert gap["difference"] == pytest.approx(strict["map_average"] - weak.figures[f"{outer}_average"])


def test_a_set_without_events_has_no_event_figures() -> None:
    yardstick = Yardstick.of(truth(anomalous=False))
    row = yardstick.row(scored(0.5), "strict")
    assert yardstick.events_from(row, 0.5) == {"event_f1_at": None}
    assert row.figures["event_f1_best_at"] is None
    assert row.figures["auc_minus_video_mean"] is None
    assert row.figures["auc_ci95"] is None
    assert row.figures["map"] is None
    assert not [name for name in row.sampled if name.startswith("map")]
