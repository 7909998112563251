"""The trained controls: against scikit-learn, by hand, and that they learn what a segment alone can tell."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from refinevad.datasets.bag import Bag
from refinevad.training.plain_controls import READINGS, average, linear_on_means, logistic_regression, mlp_with_mil


@pytest.mark.parametrize("inverse_penalty", [0.3, 10.0])
def test_logistic_regression_equals_scikit_learn(inverse_penalty: float) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(2.0, 1.0, (60, 5))
    positive = x[:, 0] + generator.normal(0, 0.5, 60) > 2.3
    weight, bias = logistic_regression(x, positive.tolist(), inverse_penalty)
    oracle = LogisticRegression(C=inverse_penalty, tol=1e-10, max_iter=5000).fit(x, positive)
    np.testing.assert_allclose(weight, oracle.coef_[0], rtol=1e-3, atol=1e-4)
    assert bias == pytest.approx(oracle.intercept_[0], rel=1e-3)


def test_average_by_hand() -> None:
    values = np.array([0.0, 3.0, 6.0, 9.0])
    np.testing.assert_allclose(average(values, 1), [1.5, 3.0, 6.0, 7.5])
    np.testing.assert_allclose(average(values, 0), values)
    np.testing.assert_allclose(average(values, 9), [4.5] * 4)


def test_readings_smooth_segments_and_weigh_the_videos_mean() -> None:
    generator = np.random.default_rng(1)
    training = [generator.normal(float(i % 2), 1.0, (4, 3)).astype(np.float32) for i in range(12)]
    tested = [generator.normal(0.5, 1.0, (30, 3)).astype(np.float32)]
    found = linear_on_means(training, [bool(i % 2) for i in range(12)], tested)
    logits = {name: np.log(scores[0] / (1 - scores[0])) for name, scores in found.items()}
    plain, short, wide = (logits[name] for name in READINGS)
    assert wide[20] == pytest.approx(plain[5:].mean())  # +-15 of 30 segments: 5 to the last
    assert short[20] == pytest.approx(plain[15:26].mean() + 0.5 * plain.mean())
    assert found["linear on video means"][0].mean() > 0  # a score


def test_mlp_finds_the_segment_that_makes_a_video_anomalous() -> None:
    generator = np.random.default_rng(2)
    videos, labels = [], []
    for number in range(40):
        values = generator.normal(0, 1, (12, 4)).astype(np.float32)
        if number % 2:
            values[number % 12, 0] += 6.0
        videos.append(values)
        labels.append(np.array([float(number % 2)], dtype=np.float32))
    bags = [Bag(values, label) for values, label in zip(videos, labels, strict=True)]
    scores = mlp_with_mil(bags, videos, limit=32)
    assert np.mean([int(scores[n].argmax()) == n % 12 for n in range(1, 40, 2)]) > 0.9
