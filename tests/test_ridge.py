"""The ridge control: by hand, against scikit-learn, and what it is made of."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from refinevad.errors import InputError
from refinevad.training.ridge import fit_ridge, inverse_penalty


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None]


def labelled(*rows: list[float]) -> list[np.ndarray]:
    return [np.array(row, dtype=np.float32) for row in rows]


def test_two_segments_by_hand() -> None:
    # standardised they are -1 and 1; bias 0 by symmetry, and where the slope of w^2 / 2 + 2 C log(1 + e^-w) is 0,
    # w = 2 C / (1 + e^w)
    ridge = fit_ridge([column(3.0), column(7.0)], labelled([0.0], [1.0]), penalty=0.5)
    assert ridge.mean == pytest.approx([5.0])
    assert ridge.scale == pytest.approx([2.0])
    assert ridge.bias == pytest.approx(0.0, abs=1e-6)
    weight = ridge.weight[0]
    assert weight == pytest.approx(1.0 / (1.0 + math.exp(weight)), abs=1e-6)
    assert weight > 0.3
    # 1,000 lies 497.5 spreads out and counts as 4
    assert ridge.logits(column(5.0, 1000.0)) == pytest.approx([0.0, 4.0 * weight], abs=1e-5)


def test_every_segment_inherits_its_videos_label_as_scikit_learn_has_it() -> None:
    generator = np.random.default_rng(0)
    lengths, kinds = [9, 4, 12, 1, 7, 15], [0, 1, 2, 0, 1, 2]
    pairs = zip(lengths, kinds, strict=True)
    videos = [generator.normal(0.4 * kind, 1.0, (n, 5)).astype(np.float32) for n, kind in pairs]
    videos[2][3, 1] = 60.0  # far beyond the clip
    labels = labelled(*([float(kind == 1), float(kind == 2)] for kind in kinds))
    ridge = fit_ridge(videos, labels, penalty=0.05)
    x, kind = np.concatenate(videos).astype(np.float64), np.repeat(kinds, lengths)
    standard = np.clip((x - x.mean(0)) / x.std(0), -4, 4)
    assert (np.abs(standard) == 4).any()

    def expected(positive: np.ndarray) -> np.ndarray:
        model = LogisticRegression(C=0.05, tol=1e-10, max_iter=5000).fit(standard, positive)
        return np.asarray(model.decision_function(standard))

    np.testing.assert_allclose(ridge.logits(x), expected(kind > 0), atol=1e-4)
    np.testing.assert_allclose(ridge.share_logits(x)[:, 0], expected(kind == 1), atol=1e-4)
    np.testing.assert_allclose(ridge.share_logits(x)[:, 1], expected(kind == 2), atol=1e-4)
    again = fit_ridge(videos, labels, penalty=0.05)
    np.testing.assert_array_equal(again.weight, ridge.weight)


def test_a_single_category_needs_no_shares() -> None:
    ridge = fit_ridge([column(0.0, 1.0), column(2.0)], labelled([0.0], [1.0]))
    assert not ridge.share_logits(column(5.0)).any()


def test_penalty_follows_the_number_of_channels() -> None:
    assert inverse_penalty(177) == pytest.approx(1e-3)  # lite's motion
    assert inverse_penalty(4096) == pytest.approx(1e-4)  # C3D
    ridge = fit_ridge([np.zeros((2, 177), np.float32), np.ones((2, 177), np.float32)], labelled([0.0], [1.0]))
    assert ridge.inverse_penalty == inverse_penalty(177)


def test_a_channel_that_never_moves_has_no_say() -> None:
    still = [np.stack([np.full(4, 2.0), np.arange(4.0) + place], axis=1).astype(np.float32) for place in range(2)]
    ridge = fit_ridge(still, labelled([0.0], [1.0]), penalty=1.0)
    assert ridge.weight[0] == 0.0
    assert np.isfinite(ridge.logits(still[0])).all()


@pytest.mark.parametrize("labels", [labelled([0.0], [0.0]), labelled([1.0], [1.0])])
def test_one_kind_of_video_is_one_sentence(labels: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match="normal and of anomalous"):
        fit_ridge([column(0.0), column(1.0)], labels)
