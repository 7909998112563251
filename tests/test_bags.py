"""Bags and batches: balance, padding, shortening, and that (seed, epoch) alone decides the order."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cases import random_bags
from refinevad.datasets.bag import Bag, label_vector, shorten
from refinevad.errors import InputError
from refinevad.training.bags import balanced_batches, collate


def labelled(normal: int, anomalous: int) -> list[Bag]:
    """Bags of one segment, normal ones first."""
    values = np.zeros((1, 2), dtype=np.float32)
    kinds = [0.0] * normal + [1.0] * anomalous
    return [Bag(values, np.array([kind], dtype=np.float32)) for kind in kinds]


@given(st.integers(1, 20), st.integers(1, 20), st.integers(2, 16), st.integers(0, 5), st.integers(0, 5))
def test_batches_are_balanced_and_miss_nobody(normal: int, anomalous: int, size: int, seed: int, epoch: int) -> None:
    batches = list(balanced_batches(labelled(normal, anomalous), size, seed, epoch))
    for batch in batches:
        on_normal_side = sum(index < normal for index in batch)
        assert on_normal_side == len(batch) - on_normal_side
        assert len(batch) <= size
    counts = Counter(index for batch in batches for index in batch)
    for side in (range(normal), range(normal, normal + anomalous)):
        often = [counts[index] for index in side]
        assert max(often) - min(often) <= 1  # a side begins anew only when it is used up
        assert min(often) >= 1 or len(batches) == 0


def test_order_is_a_function_of_seed_and_epoch() -> None:
    bags = labelled(12, 9)
    first = list(balanced_batches(bags, 8, 3, 5))
    assert first == list(balanced_batches(bags, 8, 3, 5))
    assert first != list(balanced_batches(bags, 8, 3, 6))
    assert first != list(balanced_batches(bags, 8, 4, 5))


@pytest.mark.parametrize(("normal", "anomalous"), [(4, 0), (0, 4), (0, 0)])
def test_one_sided_sets_are_refused(normal: int, anomalous: int) -> None:
    with pytest.raises(InputError, match=f"got {normal} normal, {anomalous} anomalous"):
        list(balanced_batches(labelled(normal, anomalous), 4, 0, 0))


@given(st.integers(1, 90), st.integers(1, 30), st.integers(0, 99))
def test_pooling_keeps_the_mean_and_the_order(segments: int, limit: int, seed: int) -> None:
    """Each kept segment is the mean of a whole stretch; stretches differ by at most one segment in length."""
    assume(segments > limit)
    values = np.random.default_rng(seed).normal(size=(segments, 3)).astype(np.float32)
    place = np.arange(segments, dtype=np.float32)[:, None].repeat(3, axis=1)
    kept, places = shorten(values, limit, "pool"), shorten(place, limit, "pool")[:, 0]
    assert kept.shape == (limit, 3)
    assert kept.dtype == np.float32
    lengths = []
    start = 0
    for middle in places:  # the mean of places start .. start + n - 1 is start + (n - 1) / 2
        lengths.append(round(2 * (float(middle) - start)) + 1)
        start += lengths[-1]
    assert start == segments
    assert max(lengths) - min(lengths) <= 1
    np.testing.assert_allclose(np.average(kept, axis=0, weights=lengths), values.mean(0, dtype=np.float64), atol=1e-5)


def test_pooling_by_hand() -> None:
    """Six into four: stretches of 1, 2, 1 and 2."""
    values = np.array([[0.0], [2.0], [4.0], [6.0], [8.0], [10.0]], dtype=np.float32)
    assert shorten(values, 4, "pool")[:, 0].tolist() == [0.0, 3.0, 6.0, 9.0]


@given(st.integers(1, 90), st.integers(1, 30))
def test_sampling_keeps_segments_as_they_are(segments: int, limit: int) -> None:
    values = np.arange(segments, dtype=np.float32)[:, None]
    kept = shorten(values, limit, "sample")[:, 0]
    assert len(kept) == min(segments, limit)
    assert kept[0] == 0
    steps = np.diff(kept)
    assert len(steps) == 0 or (steps.min() >= 1 and steps.max() - steps.min() <= 1)


def test_short_bags_are_left_alone() -> None:
    values = random_bags([7], 2, 0)[0]
    assert shorten(values, 7, "pool") is values
    assert shorten(values, 8, "sample") is values


def test_collate_pads_with_zeros_behind() -> None:
    bags = [Bag(values, np.array([1.0, 0.0], dtype=np.float32)) for values in random_bags([2, 5, 9], 3, 1)]
    batch = collate(bags, limit=6)
    assert batch.mask.sum(1).tolist() == [2, 5, 6]
    assert batch.values.shape == (3, 6, 3)
    assert not batch.values[~batch.mask].any()
    assert not (batch.mask[:, 1:] & ~batch.mask[:, :-1]).any()  # real segments come first
    np.testing.assert_array_equal(batch.values[1, :5], bags[1].values)
    assert batch.labels.tolist() == [[1.0, 0.0]] * 3


def test_labels_become_a_vector() -> None:
    assert label_vector(["fall", "fight"], ["fight", "fire", "fall"]).tolist() == [1.0, 0.0, 1.0]
    assert label_vector([], ["fight"]).tolist() == [0.0]
    with pytest.raises(InputError, match="unknown category flood; the model knows fight"):
        label_vector(["flood"], ["fight"])
