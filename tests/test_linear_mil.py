"""The direct path's objective: against scikit-learn where it is a plain regression, against its own words elsewhere."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression

from refinevad.training.linear_mil import linear_mil, pooled


def made(seed: int, lengths: list[int], channels: int) -> tuple[list[np.ndarray], list[bool]]:
    generator = np.random.default_rng(seed)
    anomalous = [place % 2 == 1 for place in range(len(lengths))]
    videos = [generator.normal(0.5 * side, 1.0, (n, channels)) for n, side in zip(lengths, anomalous, strict=True)]
    return videos, anomalous


def plainly(point: np.ndarray, videos: list[np.ndarray], anomalous: list[bool], c: float, share: float) -> float:
    """The objective, video by video; tau from the solution of inheritance alone."""
    *begun, _ = np.append(*linear_mil(videos, anomalous, c, 1.0))
    tau = 0.5 * np.std(np.concatenate(videos) @ begun)
    *weight, bias = point
    total = 0.0
    for video, side in zip(videos, anomalous, strict=True):
        logits = video @ np.array(weight) + bias
        sign = -1.0 if side else 1.0
        inherited = np.mean(np.log1p(np.exp(sign * logits)))
        pooled = tau * np.log(np.mean(np.exp(logits / tau)))
        total += share * inherited + (1 - share) * np.log1p(np.exp(sign * pooled))
    return float(c * np.mean([len(video) for video in videos]) * total + np.square(weight).sum() / 2)


def test_inheritance_alone_is_a_regression_in_which_every_video_counts_alike() -> None:
    videos, anomalous = made(0, [9, 3, 14, 6, 1, 8], 4)
    weight, bias = linear_mil(videos, anomalous, 0.3, inheritance=1.0)
    lengths = [len(video) for video in videos]
    each = np.repeat([np.mean(lengths) / n for n in lengths], lengths)
    model = LogisticRegression(C=0.3, tol=1e-12, max_iter=10_000)
    model.fit(np.concatenate(videos), np.repeat(anomalous, lengths), sample_weight=each)
    np.testing.assert_allclose(weight, model.coef_[0], atol=1e-4)
    assert bias == pytest.approx(model.intercept_[0], abs=1e-4)


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.5, 0.8]))
@settings(max_examples=20, deadline=None)
def test_it_stands_where_the_objective_is_flat_and_no_higher_than_where_it_began(seed: int, share: float) -> None:
    videos, anomalous = made(seed, [5, 9, 20, 34, 1, 12], 3)
    words = (videos, anomalous, 0.2, share)
    found = np.append(*linear_mil(videos, anomalous, 0.2, share))
    begun = np.append(*linear_mil(videos, anomalous, 0.2, 1.0))
    assert plainly(found, *words) <= plainly(begun, *words)
    slope = approx_fprime(found, plainly, 1e-6, *words)
    assert np.linalg.norm(slope) < 1e-2, slope


@given(st.integers(0, 1000), st.floats(0.01, 100.0))
def test_the_pooled_logit_lies_between_the_mean_and_the_highest(seed: int, tau: float) -> None:
    lengths = torch.tensor([1, 7, 30])
    of = torch.repeat_interleave(torch.arange(3), lengths)
    logits = 50 * torch.randn(38, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found = pooled(logits, of, lengths, tau)
    for video, one in enumerate(torch.split(logits, lengths.tolist())):
        assert float(one.mean()) - 1e-6 <= float(found[video]) <= float(one.max()) + 1e-6
        expected = tau * (torch.logsumexp(one / tau, 0) - np.log(len(one)))
        assert float(found[video]) == pytest.approx(float(expected), abs=1e-6)


def test_mil_looks_for_the_moment_and_inheritance_for_the_video() -> None:
    # every anomalous video has channel 0 a little higher throughout, and channel 1 much higher in one segment of 32
    generator = np.random.default_rng(3)
    videos, anomalous = made(3, [32] * 40, 2)
    for video, side in zip(videos, anomalous, strict=True):
        video[:] = generator.normal(0.0, 1.0, video.shape)
        if side:
            video[:, 0] += 0.3
            video[generator.integers(32), 1] += 6.0
    inherited, _ = linear_mil(videos, anomalous, 1.0, inheritance=1.0)
    mixed, _ = linear_mil(videos, anomalous, 1.0)
    assert mixed[1] / mixed[0] > 1.5 * inherited[1] / inherited[0]


def test_the_same_videos_give_the_same_numbers_whatever_ran_before() -> None:
    videos, anomalous = made(1, [9, 30, 14, 61], 5)
    first = linear_mil(videos, anomalous, 0.1)
    torch.manual_seed(5)
    again = linear_mil(videos, anomalous, 0.1)
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1] == again[1]
