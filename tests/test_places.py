"""Whether appearance is an input is told by places: grouped, held out, and compared, on labels alone."""

from collections.abc import Sequence

import numpy as np
import pytest

from refinevad.datasets.dataset import Item
from refinevad.features.store import Features, Provenance
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training.places import (
    APPEARANCE,
    FOLDS,
    choose_inputs,
    deal_places,
    group_by_place,
    held_out_auc,
    mixed_places,
    steadiness,
)

PARTS = {"motion_mean": (0, 3), APPEARANCE: (3, 15)}
USUAL = ("motion_mean",)
RULE = SegmentRule.default()


def video_of(motion: np.ndarray, looks: np.ndarray) -> Features:
    values = np.concatenate([motion, looks], axis=1).astype(np.float32)
    return Features(values, Timeline.uniform(16 * len(values), 25.0, RULE), Provenance({}, RULE.as_dict(), parts=PARTS))


def a_set(places: Sequence[int], anomalous: Sequence[bool], told_by: str, joined: bool = False) -> list[Features]:
    """Videos at places that each have looks of their own; an anomaly moves, or changes a corner of the looks."""
    generator = np.random.default_rng(0)
    scenes = np.eye(12)[:9] * 5 + 0.2
    videos = []
    for place, wrong in zip(places, anomalous, strict=True):
        at = generator.integers(0, 9, 12) if joined else np.full(12, place)
        looks = scenes[at] + generator.random((12, 12)) * 0.1
        motion = generator.normal(size=(12, 3))
        if wrong and told_by == "motion":
            motion += 2
        if wrong and told_by == "looks":
            looks[:, 11] += 1
        videos.append(video_of(motion, looks))
    return videos


def items_of(anomalous: Sequence[bool]) -> list[Item]:
    return [Item(f"{n}.mp4", ("fight",) if wrong else (), "train") for n, wrong in enumerate(anomalous)]


ALTERNATE = [bool(n % 2) for n in range(24)]
ONE = [0] * 24


def test_at_one_place_looks_that_tell_the_label_are_taken() -> None:
    found = choose_inputs(items_of(ALTERNATE), a_set(ONE, ALTERNATE, "looks"), USUAL)
    assert found is not None
    assert found.parts == (*USUAL, APPEARANCE)
    assert found.why.startswith("motion and appearance: on videos held out at one place")


def test_at_one_place_where_motion_tells_all_it_stays_alone() -> None:
    found = choose_inputs(items_of(ALTERNATE), a_set(ONE, ALTERNATE, "motion"), USUAL)
    assert found is not None
    assert found.parts == USUAL


def test_places_that_show_one_kind_of_video_mislead() -> None:
    """By random videos the looks would tell every label; they tell the place."""
    places = [n % 2 for n in range(24)]
    found = choose_inputs(items_of(ALTERNATE), a_set(places, ALTERNATE, "nothing"), USUAL)
    assert found is not None
    assert found.parts == USUAL
    assert "2 places show one kind of video" in found.why


def test_several_mixed_places_are_held_out_whole() -> None:
    places = [n // 2 % 4 for n in range(24)]
    found = choose_inputs(items_of(ALTERNATE), a_set(places, ALTERNATE, "looks"), USUAL)
    assert found is not None
    assert found.parts == (*USUAL, APPEARANCE)
    assert "on places held out" in found.why


def test_videos_that_join_places_fall_back_to_motion() -> None:
    found = choose_inputs(items_of(ALTERNATE), a_set(ONE, ALTERNATE, "looks", joined=True), USUAL)
    assert found is not None
    assert found.parts == USUAL
    assert "join several places" in found.why


def test_features_without_appearance_have_nothing_to_choose() -> None:
    videos = a_set(ONE, ALTERNATE, "motion")
    assert choose_inputs(items_of(ALTERNATE), videos, ("change",)) is None
    assert choose_inputs([], [], USUAL) is None


def test_links_between_videos_add_up_to_places() -> None:
    """0 is like 1 and 1 like 2, so they are one place, though 0 and 2 are not alike; 3 is elsewhere."""
    angles = np.deg2rad([0, 25, 50, 150])
    videos = [np.repeat([[np.cos(a), np.sin(a)]], 3, axis=0) for a in angles]
    assert np.cos(np.deg2rad(50)) < 0.85 < np.cos(np.deg2rad(25))
    assert group_by_place(videos).tolist() == [0, 0, 0, 1]


def test_a_place_is_mixed_with_both_kinds() -> None:
    places, anomalous = np.array([0, 0, 1, 1, 2]), np.array([True, False, True, True, False])
    assert mixed_places(places, anomalous).tolist() == [True, True, False, False, False]


def test_folds_hold_whole_places_where_several_are_mixed() -> None:
    places = np.array([0, 0, 0, 1, 1, 2, 3, 4])
    kinds = np.array(ALTERNATE[:8])
    folds = deal_places(places, np.ones(8, dtype=bool), kinds)
    assert all(len(set(folds[places == place].tolist())) == 1 for place in range(5))
    assert len(set(folds.tolist())) == FOLDS
    one = deal_places(np.zeros(8, dtype=int), np.ones(8, dtype=bool), kinds)
    assert one.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]  # each kind in turn


def test_steadiness_is_the_tenth_percentile_of_cosines() -> None:
    assert steadiness(np.ones((5, 4))) == pytest.approx(1.0)
    assert steadiness(np.ones((1, 4))) == 1.0
    assert steadiness(np.eye(6)) == pytest.approx(0.0)


def test_a_fold_of_one_kind_does_not_count() -> None:
    videos = [np.full((4, 2), float(n % 2)) for n in range(8)]
    anomalous = np.array([bool(n % 2) for n in range(8)])
    assert held_out_auc(videos, anomalous, np.array([0, 0, 0, 0, 1, 1, 1, 1])) == 1.0
    assert held_out_auc(videos, anomalous, anomalous.astype(int)) == 0.5
