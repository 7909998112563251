"""What a transfer may see: no training video of a category left out, no sentence about it, the same test videos."""

from pathlib import Path

import numpy as np
import pytest

from refinevad.datasets.dataset import Item
from refinevad.errors import InputError
from refinevad.study.over_seeds import spread
from refinevad.study.transfer import asked_of, transfer_table, unseen, without_prompts_of
from refinevad.training.recipe import Recipe

ITEMS = [
    Item("train/a.mp4", (), "train"),
    Item("train/b.mp4", ("fight",), "train"),
    Item("train/c.mp4", ("fight", "shooting"), "train"),
    Item("val/d.mp4", ("fight",), "val"),
    Item("val/e.mp4", ("shooting",), "val"),
    Item("test/f.mp4", (), "test"),
    Item("test/g.mp4", ("fight",), "test"),
    Item("test/h.mp4", ("shooting",), "test"),
]


def test_left_out_videos_are_neither_trained_nor_validated_on() -> None:
    kept = [item.path for item in unseen(ITEMS, ["fight"])]
    assert kept == ["train/a.mp4", "val/e.mp4", "test/f.mp4", "test/g.mp4", "test/h.mp4"]
    assert [item.path for item in asked_of(ITEMS, ["fight"])] == ["test/f.mp4", "test/g.mp4"]
    with pytest.raises(InputError, match="arson"):
        unseen(ITEMS, ["arson"])


def test_prompts_of_left_out_categories_go(tmp_path: Path) -> None:
    recipe = Recipe(tmp_path, prompts={"normal": ["n"], "fight": ["f"], "shooting": ["s"]})
    assert without_prompts_of(recipe, ["fight"]).prompts == {"normal": ["n"], "shooting": ["s"]}


def test_table_by_hand() -> None:
    seeds = [{"auc": a, "ano_auc": 0.5, "ap": 0.1, "video_auc": 1.0} for a in (0.7, 0.9)]
    table = transfer_table({"x": seeds}, lambda values: f"{np.mean(values):.2f}")
    assert table.splitlines()[2] == "| x | 2 | 0.80 | 0.50 | 0.10 | 1.00 |"


def test_a_figure_that_a_seed_lacks_is_a_dash() -> None:
    """Categories left out of training may leave no normal test video beside them."""
    figures = {"auc": None, "ano_auc": 0.5, "ap": 0.25, "video_auc": 1.0}
    line = transfer_table({"ours": [figures, {**figures, "auc": 0.75}]}, spread).splitlines()[-1]
    assert [cell.strip() for cell in line.split("|")[1:4]] == ["ours", "2", "-"]
    assert line.count("0.5000 ± 0.0000") == 1
