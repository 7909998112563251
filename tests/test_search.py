"""The search: its order by hand, the same budget for all, validation only; and every stored setting opens a head."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.features.store import Features, Provenance, save_features
from refinevad.peers.choice import HEADS
from refinevad.study import search as module
from refinevad.study.ablation import Variant, read_variant
from refinevad.study.search import Candidate, best_first, readings, search, write_variant
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training.recipe import Recipe
from refinevad.training.train_options import TrainOptions
from refinevad.training.validation import Validation

RECIPES = Path(__file__).parents[1] / "recipes"


def index_of(root: Path) -> FeatureIndex:
    """Videos of two segments at least; anomalous ones differ in their second half."""
    generator = np.random.default_rng(0)
    items = [
        Item(f"{split}/{label}/{n}.mp4", () if label == "normal" else (label,), split)
        for split, count in (("train", 8), ("val", 4))
        for label in ("normal", "fight")
        for n in range(count)
    ]
    index = FeatureIndex(root, items, "fake", str(root))
    for item in items:
        timeline = Timeline.uniform(160, 25.0, SegmentRule(frames=16))
        values = generator.normal(size=(timeline.segments, 3)).astype(np.float32)
        if item.anomalous:
            values[5:] += 4.0
        provenance = Provenance({"name": "fake"}, SegmentRule(frames=16).as_dict(), parts={"x": (0, 3)})
        save_features(index.path(item), Features(values, timeline, provenance))
    return index


def test_best_is_auc_then_loss_then_the_earlier() -> None:
    def candidate(name: str, auc: float, loss: float) -> Candidate:
        return Candidate({}, {"name": name}, Validation(auc, loss))

    tried = [
        candidate("low", 0.8, 0.1),
        candidate("first", 0.9, 0.4),
        candidate("second", 0.9 + 1e-9, 0.4),
        candidate("sure", 0.9, 0.3),
    ]
    assert [c.model["name"] for c in best_first(tried)] == ["sure", "first", "second", "low"]


def test_readings_are_the_recipes_own_and_its_neighbours(tmp_path: Path) -> None:
    merged = Recipe(tmp_path, model={"merge_runs": True, "video_weight": 0.25})
    assert list(readings(merged)) == [
        {"video_weight": 0.25, "empty": "zero"},
        {"video_weight": 0.25, "empty": "mean"},
        {"video_weight": 1.0, "empty": "zero"},
        {"video_weight": 1.0, "empty": "mean"},
    ]
    assert list(readings(Recipe(tmp_path, model={"smoothing": 2})))[1] == {"video_weight": 0.0, "smoothing": 0}


@pytest.mark.parametrize("head", [{}, {"name": "sultani", "hidden": 16, "bottleneck": 4}])
def test_every_variant_gets_the_same_budget_and_a_finished_search_is_read_back(
    head: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRAININGS", ((1e-2, 0.01), (1e-3, 1.0)))
    train = TrainOptions(epochs=8, batch=16, averaging=0.0)
    recipe = Recipe(tmp_path, model={"smoothing": 1, "inputs": ["x"]}, train=train)
    index = index_of(tmp_path / "features")
    variant = Variant("tried", {} if head else {"width": 8, "heads": 2}, {}, head=head)
    found = search(recipe, variant, index, tmp_path / "out")
    assert len(found) == 2 * 4
    assert found[0].validation.video_auc >= found[-1].validation.video_auc
    assert found[0].validation.video_auc > 0.9
    monkeypatch.setattr(module, "train_run", None)  # nothing is trained again
    assert search(recipe, variant, index, tmp_path / "out") == found


def test_a_chosen_setting_is_read_back_as_it_was(tmp_path: Path) -> None:
    variant = Variant("x", {"smoothing": 0, "inputs": ["a", "b"]}, {"learning_rate": 3e-4}, False, {"name": "rtfm"})
    write_variant(tmp_path / "x.toml", variant, ["why", "", "how"])
    assert read_variant(tmp_path / "x.toml") == variant
    assert (tmp_path / "x.toml").read_text().startswith("# why\n#\n# how\n")


@pytest.mark.parametrize("path", sorted((RECIPES / "peers").rglob("*.toml")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_stored_settings_open_a_model(path: Path, tmp_path: Path) -> None:
    recipe = replace(Recipe(tmp_path), model={"width": 32})
    variant = read_variant(path)
    assert variant.head.get("name", path.stem) == path.stem
    changed = variant.of(recipe)
    assert changed.config(16, ("a", "b")).selected == list(range(16))
    if path.parent.name != "peers":
        assert all(word in path.read_text(encoding="utf-8") for word in ("# command", "# searched", "# chosen"))


def test_every_head_has_settings_to_search() -> None:
    assert {path.stem for path in (RECIPES / "peers").glob("*.toml")} >= set(HEADS)
