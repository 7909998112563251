"""The table of delays: its cells by hand, its figures those of scores under the rule; rules that detect refuses."""

from pathlib import Path

import numpy as np
import pytest

from cases import config, random_bags, random_model
from refinevad.apps.cli import main
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.features.store import Features, Provenance
from refinevad.judging.metrics import Runs, roc_auc
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.scoring.scores import score
from refinevad.scoring.windows import WHOLE, WindowRule
from refinevad.study.delays import Held, delay_table, figures_under
from refinevad.timeline import Timeline


def test_cells_by_hand() -> None:
    """Mean and sample deviation of 0.8 and 0.9; one seed has none; one without the figure leaves the cell empty."""
    rows = {"usual": {"0 s": [{"auc": 0.8, "ap": None}, {"auc": 0.9, "ap": 0.5}], "5 s": [{"auc": 0.7, "ap": 0.25}]}}
    assert delay_table(rows, ("auc", "ap")).splitlines() == [
        "| model | figure | 0 s | 5 s |",
        "|---|---|---|---|",
        "| usual | auc | 0.8500 ± 0.0707 | 0.7000 |",
        "| usual | ap | - | 0.2500 |",
    ]


def held_videos(tmp_path: Path) -> tuple[Checkpoint, Held]:
    """Two videos of 30 one-second segments of 25 frames; the first is anomalous from 10 to 20 s."""
    items = [Item("test/a/one.mp4", ("a",), "test"), Item("test/normal/two.mp4", (), "test")]
    timeline = Timeline(np.arange(0, 751, 25), np.arange(31.0))
    provenance = Provenance({"name": "e"}, {"seconds": 1.0})
    features = [Features(bag, timeline, provenance) for bag in random_bags([30, 30], 6, 2)]
    truth = Truth(
        ("normal", "a"),
        (
            VideoTruth(items[0].path, ("a",), timeline, (), ((250, 500),)),
            VideoTruth(items[1].path, (), timeline, (), ()),
        ),
    )
    model = random_model(config(categories=("a",)), 2)
    checkpoint = Checkpoint(model, "e", provenance.signature, Calibration(0.5, 0.4, 6.0, True, 1.0))
    return checkpoint, Held(FeatureIndex(tmp_path, items, "e", str(tmp_path)), items, features, truth)


def test_figures_are_of_the_scores_under_the_rule(tmp_path: Path) -> None:
    checkpoint, held = held_videos(tmp_path)
    truth = np.zeros(1500, dtype=bool)
    truth[250:500] = True
    found = []
    for rule in (WHOLE, WindowRule(5.0, 0.0)):
        curves = [score(checkpoint.model, video.values, np.arange(31.0), rule).segments for video in held.features]
        expected = roc_auc(Runs.from_frames(np.repeat(np.concatenate(curves), 25), truth))
        found.append(figures_under(checkpoint, held, rule)["auc"])
        assert found[-1] == pytest.approx(expected, abs=1e-12)
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--delay", "3"], "--delay needs --window"),
        (["--window", "2", "--delay", "3"], "a delay of 3.0 s is longer than its window of 2.0 s"),
        (["--window", "0"], "a window must last"),
    ],
)
def test_detect_refuses_rules_no_window_can_have(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", "v.mp4", "--model", "no-run", "--out", "found", *options]) == 2
    assert words in capsys.readouterr().err
