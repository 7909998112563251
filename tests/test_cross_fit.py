"""Every labelled video is validated by a model that never saw it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from refinevad.datasets.dataset import Item
from refinevad.training.cross_fit import deal, validation_of, without


def items_of(normal: int, fights: int, falls: int = 0) -> list[Item]:
    kinds = [((), normal), (("fight",), fights), (("fall",), falls)]
    return [Item(f"{'-'.join(labels)}{n}.mp4", labels, "train") for labels, count in kinds for n in range(count)]


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 5), st.integers(0, 5), st.integers(0, 3))
def test_each_video_is_in_one_fold_and_no_fold_lacks_a_side(
    normal: int, fights: int, falls: int, folds: int, seed: int
) -> None:
    items = items_of(normal, fights, falls)
    dealt = deal(items, folds, seed)
    assert dealt == deal(items[::-1], folds, seed)
    if min(normal, fights + falls, folds) < 2:
        assert dealt == []
        return
    assert sorted(item.path for fold in dealt for item in fold) == sorted(item.path for item in items)
    assert len(dealt) == min(folds, normal, fights + falls)
    for fold in dealt:
        split = without(items, fold)
        training = [item for item in split if item.split == "train"]
        assert {item.path for item in training}.isdisjoint(item.path for item in fold)
        assert len(training) + len(fold) == len(items)
        for side in (False, True):  # the rest can be trained on, the fold judged
            assert any(item.anomalous == side for item in training)
            assert any(item.anomalous == side for item in fold)


def test_folds_differ_in_size_by_one_at_most() -> None:
    assert sorted(len(fold) for fold in deal(items_of(7, 4), 3, 0)) == [3, 4, 4]


def test_validation_is_of_the_videos_top_segments() -> None:
    curves = [np.array([0.1, 0.9]), np.array([0.2, 0.3]), np.zeros(0), np.full(40, 0.6)]
    found = validation_of(curves, [True, False, True, True])
    # a top-k of floor(T / 16) + 1: one segment of two, three of forty; the empty video does not count
    assert found.video_auc == roc_auc_score([1, 0, 1], [0.9, 0.3, 0.6])
    assert found.loss == pytest.approx(log_loss([1, 0, 1], [0.9, 0.3, 0.6]))
