"""benchmarks/reviewed.py on made-up features: who is asked, what he says, and what training gets of it."""

import json
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.features.store import Features, Provenance, load_features, save_features
from refinevad.scoring.events import Event
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training.recipe import Recipe, read_recipe

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "reviewed.py"))
GLOBALS: dict[str, Any] = SCRIPT["review"].__globals__
SECONDS = 20
torch.set_num_threads(1)


def video(fall: bool, seed: int) -> Features:
    """20 segments of a second; a fall raises every channel from 8 to 12 s."""
    values = np.random.default_rng(seed).normal(size=(SECONDS, 4)).astype(np.float32)
    values[8:12] += 3 * fall
    timeline = Timeline.uniform(25 * SECONDS, 25.0, SegmentRule(seconds=1.0))
    return Features(values, timeline, Provenance({"name": "made up"}, {"seconds": 1.0}, parts={"all": (0, 4)}))


@pytest.fixture
def index(tmp_path: Path) -> FeatureIndex:
    root, items = tmp_path / "set", []
    for split, count in (("train", 10), ("val", 2), ("test", 2)):
        for label in ("normal", "fall"):
            for number in range(count):
                labels = ("fall",) if label == "fall" else ()
                item = Item(f"{split}/{label}/{number}.mp4", labels, split)
                save_features(FeatureIndex(root, [], "", "").path(item), video(bool(labels), len(items)))
                items.append(item)
    rows = "".join(f"test/fall/{number}.mp4,8,12,fall\n" for number in range(2))
    (root / "events.csv").write_text("path,start_s,end_s,category\n" + rows)
    made = FeatureIndex(root, items, "made up", str(root))
    made.save()
    return made


@pytest.fixture
def recipe(index: FeatureIndex, tmp_path: Path) -> Recipe:
    path = tmp_path / "recipe.toml"
    path.write_text(f'[data]\nroot = "{index.root}"\n[model]\nwidth = 8\nheads = 2\n[train]\nepochs = 2\n')
    return read_recipe(path)


def event(start_s: float, end_s: float) -> Event:
    return Event(start_s, end_s, 0.9, (start_s + end_s) / 2, "fall", {"fall": 1.0})


def test_a_share_of_each_label_is_known_and_the_rest_is_seen(index: FeatureIndex) -> None:
    training = [item for item in index.items if item.split == "train"]
    known, seen = SCRIPT["divide"](training, 0.3, 0)
    assert Counter(item.anomalous for item in known) == {True: 3, False: 3}
    assert Counter(item.anomalous for item in seen) == {True: 7, False: 7}
    assert sorted((*known, *seen), key=str) == sorted(training, key=str)
    assert SCRIPT["divide"](training, 0.3, 0) == (known, seen)
    assert SCRIPT["divide"](training, 0.3, 1) != (known, seen)
    few, _ = SCRIPT["divide"](training, 0.001, 0)
    assert Counter(item.anomalous for item in few) == {True: 1, False: 1}


def test_a_clip_is_five_seconds_longer_at_both_ends() -> None:
    whole = video(True, 0)
    clip = SCRIPT["cut"](whole, event(9.0, 11.0))
    np.testing.assert_array_equal(clip.values, whole.values[4:16])
    np.testing.assert_allclose(clip.timeline.time_bounds, np.arange(13.0))
    assert clip.timeline.frame_bounds.tolist() == list(range(0, 25 * 13, 25))
    np.testing.assert_array_equal(SCRIPT["cut"](whole, event(2.0, 3.0)).values, whole.values[:8])
    np.testing.assert_array_equal(SCRIPT["cut"](whole, event(18.0, 20.0)).values, whole.values[13:])


def test_the_operator_goes_by_the_videos_label_alone(
    index: FeatureIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One alert in each normal video, two in each fall, one of them far from it: confirmed as well."""
    seen = [item for item in index.items if item.split == "train"][8:12]  # two of each
    found = {item.path: [event(1.0, 2.0), event(9.0, 11.0)][: 1 + item.anomalous] for item in seen}
    paths = iter(seen)
    monkeypatch.setitem(GLOBALS, "alerts", lambda checkpoint, features: found[next(paths).path])
    own = SCRIPT["linked"](index, tmp_path / "own")
    clips, reviews = SCRIPT["review"](None, own, seen, "clips")
    assert vars(reviews) == {"confirmed": 4, "dismissed": 2, "videos": 4, "hours": pytest.approx(4 * SECONDS / 3600)}
    assert Counter(clip.labels for clip in clips) == {("fall",): 4, (): 2}
    assert {clip.split for clip in clips} == {"train"}
    assert len({clip.path for clip in clips}) == 6
    assert len(load_features(own.path(clips[0])).values) == 7  # 1 s to 2 s, five more after it, one before
    assert not (index.root / "clips").exists()  # the features of others stay as they are


def test_training_gets_the_share_and_the_clips_and_a_second_call_trains_nothing(
    index: FeatureIndex, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GLOBALS, "alerts", lambda checkpoint, features: [event(9.0, 11.0)])
    own = SCRIPT["linked"](index, tmp_path / "own")
    rows, reviews = SCRIPT["run_operator"](recipe, own, 0.3, tmp_path / "seed0")
    assert (reviews.confirmed, reviews.dismissed, reviews.videos) == (7, 7, 14)
    counts = {
        kind: json.loads((tmp_path / "seed0" / kind / "config.json").read_text())["training"]["videos"]
        for kind in ("before", "after", "all")
    }
    assert counts == {
        "before": {"train": 6, "val": 4},
        "after": {"train": 20, "val": 4},
        "all": {"train": 20, "val": 4},
    }
    monkeypatch.setattr("refinevad.study.over_seeds.train_run", None)
    again, same = SCRIPT["run_operator"](recipe, own, 0.3, tmp_path / "seed0")
    assert same == reviews
    assert {kind: row.metrics["auc"] for kind, row in again.items()} == {
        kind: row.metrics["auc"] for kind, row in rows.items()
    }
    cells = SCRIPT["cells"]([(rows, reviews)])
    hours = 4 * SECONDS / 3600
    assert SCRIPT["figure"](rows["all"], "alerts_per_hour") == pytest.approx(rows["all"].metrics["events"] / hours)
    gain = rows["after"].metrics["auc"] - rows["before"].metrics["auc"]
    assert cells[0][:2] == ("training", "AUC")
    assert cells[-1][:2] == ("after - before", f"{gain:.4f}")
    assert "7.0 confirmed, 7.0 dismissed, of 14 videos" in SCRIPT["told"]([(rows, reviews)])


def test_without_an_alert_nothing_is_learnt(
    index: FeatureIndex, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GLOBALS, "alerts", lambda checkpoint, features: [])
    rows, reviews = SCRIPT["run_operator"](recipe, SCRIPT["linked"](index, tmp_path / "own"), 0.3, tmp_path / "seed0")
    assert rows["after"] == rows["before"]
    assert (reviews.confirmed, reviews.dismissed) == (0, 0)
