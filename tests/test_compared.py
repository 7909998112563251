"""A model beside its controls: what is ahead, by hand, and what is said of it."""

import numpy as np
import pytest

from refinevad.datasets.dataset import Item
from refinevad.features.store import Features, Provenance
from refinevad.judging.compared import MODEL, Compared, compare_on_labels, control_sentence
from refinevad.ridge import RIDGE
from refinevad.timeline import SegmentRule, Timeline

RULE = SegmentRule(frames=16)


def videos(count: int, segments: int = 2) -> tuple[list[Item], list[Features]]:
    """Every second one anomalous."""
    items = [Item(f"val/{i}.mp4", ("fall",) if i % 2 else (), "val") for i in range(count)]
    provenance = Provenance({"name": "fake"}, RULE.as_dict())
    timeline = Timeline.uniform(16 * segments, 25.0, RULE)
    return items, [Features(np.zeros((segments, 1), np.float32), timeline, provenance) for _ in items]


def curves(levels: list[float]) -> list[np.ndarray]:
    """Two segments a video, whose larger one is the video's score."""
    return [np.array([0.0, level]) for level in levels]


def test_video_auc_by_hand_and_a_control_that_is_better() -> None:
    items, features = videos(20)
    right = [0.2 + 0.5 * (i % 2) for i in range(20)]
    wrong = right[::-1]
    found = compare_on_labels(items, features, {MODEL: curves(wrong), RIDGE: curves(right)})
    assert found is not None
    assert found.videos == 20
    assert found.video_auc == {MODEL: 0.0, RIDGE: 1.0}
    # every resample with both kinds of video has 0 and 1
    assert found.model_minus_control[RIDGE] == {"difference": -1.0, "ci95": [-1.0, -1.0], "excludes_0": True}
    assert found.linear_recommended
    behind, advice = found.sentences()
    assert behind.startswith("the model is not ahead of the ridge control on the 20 validation videos: video AUC 0.000")
    assert "--head linear" in advice
    assert Compared.from_dict(found.as_dict()) == found


def test_the_same_again_is_not_ahead_and_no_reason_to_change() -> None:
    items, features = videos(20)
    levels = [0.2 + 0.5 * (i % 2) for i in range(20)]
    found = compare_on_labels(items, features, {MODEL: curves(levels), RIDGE: curves(levels)})
    assert found is not None
    assert found.model_minus_control[RIDGE] == {"difference": 0.0, "ci95": [0.0, 0.0], "excludes_0": False}
    assert not found.linear_recommended
    (sentence,) = found.sentences()
    assert "not ahead of the ridge control" in sentence


def test_a_model_that_is_ahead_needs_no_sentence() -> None:
    items, features = videos(20)
    right = [0.2 + 0.5 * (i % 2) for i in range(20)]
    found = compare_on_labels(items, features, {MODEL: curves(right), RIDGE: curves(right[::-1])})
    assert found is not None
    assert found.sentences() == []
    assert not found.linear_recommended


def test_a_better_trivial_control_is_told_and_recommends_nothing() -> None:
    items, features = videos(20)
    right = [0.2 + 0.5 * (i % 2) for i in range(20)]
    found = compare_on_labels(items, features, {MODEL: curves(right[::-1]), "trivial motion": curves(right)})
    assert found is not None
    assert not found.linear_recommended
    (sentence,) = found.sentences()
    assert "not ahead of the trivial motion" in sentence


def test_two_videos_have_no_interval() -> None:
    items, features = videos(2)
    found = compare_on_labels(items, features, {MODEL: curves([0.9, 0.1]), RIDGE: curves([0.1, 0.9])})
    assert found is not None
    assert found.model_minus_control == {RIDGE: None}  # half of the draws hold one of them twice
    assert not found.linear_recommended
    assert found.sentences()[0].endswith("too few videos for an interval")


@pytest.mark.parametrize("anomalous", [True, False])
def test_one_kind_of_video_is_nothing_to_compare_by(anomalous: bool) -> None:
    items, features = videos(6)
    kept = [place for place, item in enumerate(items) if item.anomalous == anomalous]
    chosen = [items[i] for i in kept], [features[i] for i in kept]
    assert compare_on_labels(*chosen, {MODEL: curves([0.1] * 3), RIDGE: curves([0.2] * 3)}) is None


def test_videos_without_a_segment_do_not_count() -> None:
    items, features = videos(6)
    empty = videos(1, segments=0)[1][0]
    found = compare_on_labels(items, [empty, *features[1:]], {MODEL: [np.zeros(0), *curves([0.9, 0.1, 0.9, 0.1, 0.9])]})
    assert found is not None
    assert found.videos == 5
    assert found.video_auc == {MODEL: 1.0}


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.01, 0.2, None), (0.0, 0.2, "not surely ahead"), (-0.1, 0.3, "not surely"), (None, None, "not ahead")],
)
def test_the_sentence_on_test_videos(low: float | None, high: float | None, words: str | None) -> None:
    minus = None if low is None else {"difference": 0.1, "ci95": [low, high], "excludes_0": bool(low > 0)}
    told = control_sentence(
        {"auc": 0.8, "videos": 50}, {"chance": {"auc": 0.5}, RIDGE: {"auc": 0.7, "model_minus_control": {"auc": minus}}}
    )
    assert (told is None) == (words is None)
    assert words is None or (words in str(told) and "frame AUC 0.800 against 0.700" in str(told))
    assert control_sentence({"auc": 0.8, "videos": 50}, {"chance": {"auc": 0.9}}) is None
