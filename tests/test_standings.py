"""The table of heads: pairs of seeds by hand, what a cell says, features read once."""

from pathlib import Path

import numpy as np
import pytest

from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.features.store import Features, Provenance, save_features
from refinevad.study.held_features import HeldFeatures
from refinevad.study.seed_rows import SeedRow
from refinevad.study.standings import OURS, Standing, standings_table, wins
from refinevad.timeline import SegmentRule, Timeline


def rows(values: list[float]) -> list[SeedRow]:
    return [
        SeedRow(seed, 0.9, {"auc": value, "ano_auc": value, "ap": value, "map_average": 20.0, "video_auc": value}, {})
        for seed, value in enumerate(values)
    ]


def test_wins_count_common_seeds_only() -> None:
    assert wins(rows([0.7, 0.9, 0.8, 0.9]), rows([0.8, 0.8, 0.8]), "auc") == (1, 3)


def test_table_by_hand() -> None:
    ours = Standing(OURS, rows([0.80, 0.82, 0.84]), 1000, 3.2, True)
    other = Standing("other", rows([0.79, 0.83, 0.81]), 2000000, None, False)
    lines = standings_table([ours, other], {"chance": {"auc": 0.5, "ano_auc": None}}).splitlines()
    assert lines[2].startswith("| refinevad | 1,000 | 3 | 3 | 0.9000 | 0.8200 ± 0.0200 |")
    # differences -0.01, +0.01, -0.03: mean -0.01, deviation 0.02, t(2) = 4.303: half width 0.0497
    assert "| 0.8100 ± 0.0200 (-0.0100 ± 0.0497; 1 of 3) |" in lines[3]
    assert lines[3].startswith("| other | 2,000,000 | - | 3 | 0.9000 |")
    assert lines[3].split("|")[9].strip() == "-"  # a head that names no category has no mAP
    assert lines[4] == "| chance | - | - | - | - | 0.5000 | - | - | - | - |"


def test_held_features_are_read_once(tmp_path: Path) -> None:
    item = Item("train/normal/a.mp4", (), "train")
    index = FeatureIndex(tmp_path, [item], "fake", str(tmp_path))
    timeline = Timeline.uniform(32, 25.0, SegmentRule(frames=16))
    provenance = Provenance({"name": "fake"}, SegmentRule(frames=16).as_dict(), parts={"x": (0, 2)})
    save_features(index.path(item), Features(np.ones((2, 2), dtype=np.float32), timeline, provenance))
    held = HeldFeatures.of(index)
    (first,) = held.load([item])
    index.path(item).unlink()
    (again,) = held.load([item])
    assert again is first


@pytest.mark.parametrize(("auc", "words"), [(0.91234, "0.9123"), (None, "-")])
def test_progress_tells_a_frame_auc_where_there_is_one(auc: float | None, words: str) -> None:
    """A test set without normal frames defines none, in memory and read back."""
    assert SeedRow(0, 0.8, {"auc": auc}, {}).auc_words == words
