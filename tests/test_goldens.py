"""Figures that published evaluation code gives on stored predictions."""

import json
import time
from pathlib import Path

import pytest

from refinevad.judging.predictions import read_predictions
from refinevad.judging.protocol import evaluate_predictions
from refinevad.judging.truth_files import read_truth_json

SETS = {"ucf": "ucf-crime", "xd": "xd-violence"}
NAMES = {
    "frames": "frames",
    "positive": "anomalous_frames",
    "auc": "auc",
    "ap_average_precision": "ap",
    "ap_trapezoid": "ap_trapezoid",
    "ano_auc": "ano_auc",
    "far_at_half_on_normal_videos": "far",
    "map_legacy_average": "map_average",
}


@pytest.mark.parametrize("benchmark", SETS)
def test_legacy_equals_the_published_figures(data_root: Path, benchmark: str) -> None:
    expected = json.loads((data_root / "goldens" / "expected.json").read_text())[benchmark]
    truth = read_truth_json(data_root / SETS[benchmark] / "test_truth.json")
    predictions = read_predictions(data_root / "goldens" / f"{benchmark}_pred_7.npz")
    figures = evaluate_predictions(predictions, truth, "legacy")
    for theirs, ours in NAMES.items():
        assert figures[ours] == pytest.approx(expected[theirs], abs=1e-6), theirs
    by_iou = figures["map"]
    assert isinstance(by_iou, dict)
    assert list(by_iou) == ["0.1", "0.2", "0.3", "0.4", "0.5"]
    assert list(by_iou.values()) == pytest.approx(expected["map_legacy_vadclip"], abs=1e-6)
    assert figures["adjusted"] == []


def test_strict_is_not_deflated(data_root: Path) -> None:
    truth = read_truth_json(data_root / "ucf-crime" / "test_truth.json")
    predictions = read_predictions(data_root / "goldens" / "ucf_pred_7.npz")
    strict = evaluate_predictions(predictions, truth, "strict")
    legacy = evaluate_predictions(predictions, truth, "legacy")
    assert strict["map_average"] > legacy["map_average"] * 14 / 13  # normal videos' false alarms are gone as well
    assert strict["auc"] == legacy["auc"]
    assert set(strict["map_per_class"]) == set(truth.categories)


def test_a_peers_scores_are_stretched_over_each_video(data_root: Path) -> None:
    expected = json.loads((data_root / "goldens" / "expected.json").read_text())["peer_scores_ucf"]
    truth = read_truth_json(data_root / "ucf-crime" / "test_truth.json")
    predictions = read_predictions(data_root / "goldens" / "peer_scores_ucf.json")
    figures = evaluate_predictions(predictions, truth, "strict")
    assert figures["frames"] == expected["frames"]
    assert figures["auc"] == pytest.approx(0.690289, abs=1e-6)
    assert figures["ap"] == pytest.approx(expected["ap_average_precision"], abs=1e-6)
    assert figures["ano_auc"] == pytest.approx(expected["ano_auc"], abs=1e-6)
    assert figures["map"] is None
    assert {entry["rule"] for entry in figures["adjusted"]} == {"stretched"}


def test_the_whole_of_ucf_crime_takes_less_than_a_second(data_root: Path) -> None:
    truth = read_truth_json(data_root / "ucf-crime" / "test_truth.json")
    predictions = read_predictions(data_root / "goldens" / "ucf_pred_7.npz")
    began = time.process_time()
    evaluate_predictions(predictions, truth, "legacy")
    assert time.process_time() - began <= 1.0
