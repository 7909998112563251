"""Windowed scoring: windows cover exactly, blends are as weighed by hand, and one window is no window at all."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import close, config, random_bags, random_model
from refinevad.model import RefineVAD
from refinevad.scores import Scores, score, windows


@given(st.integers(1, 400), st.integers(2, 60), st.data())
def test_windows_cover_exactly(segments: int, window: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, window - 1))
    found = windows(segments, window, overlap)
    assert found[0][0] == 0
    assert found[-1][1] == segments
    assert all(end - start == min(window, segments) for start, end in found)
    for (start, end), (later, later_end) in pairwise(found):
        assert start < later
        assert end < later_end
        assert end - later >= overlap
    step = window - overlap
    assert len(found) == max(1, 1 - (-(segments - window) // step))  # no more of them than needed


def direct(model: RefineVAD, values: np.ndarray) -> Scores:
    """One pass over all segments, without windows."""
    with torch.no_grad():
        output = model(torch.from_numpy(values)[None], torch.ones(1, len(values), dtype=torch.bool))
    parts = (output.scores, output.category_scores, output.presence, output.shift_ratio)
    return Scores(*(part[0].double().numpy() for part in parts))


@given(st.integers(1, 12), st.integers(0, 99))
def test_a_video_that_fits_a_window_is_scored_whole(segments: int, seed: int) -> None:
    model, values = random_model(config(), seed), random_bags([segments], 6, seed)[0]
    found, expected = score(model, values, window=12, overlap=3), direct(model, values)
    for name in ("segments", "categories", "presence", "shift_ratio"):
        close(getattr(found, name), getattr(expected, name), 1e-12)


def test_windows_are_blended_linearly() -> None:
    """17 segments, windows [0, 10) and [7, 17): over the three shared ones 3/4, 2/4, 1/4 of the first."""
    model, values = random_model(config(topology="broadcast"), 4), random_bags([17], 6, 4)[0]
    first, second = direct(model, values[:10]), direct(model, values[7:])
    found = score(model, values, window=10, overlap=3)
    share = np.array([0.75, 0.5, 0.25])
    for name, wide in (("segments", share), ("shift_ratio", share), ("categories", share[:, None])):
        one, two = getattr(first, name), getattr(second, name)
        blended = wide * one[7:] + (1 - wide) * two[:3]
        close(getattr(found, name), np.concatenate([one[:7], blended, two[3:]]), 1e-6)
    close(found.presence, np.maximum(first.presence, second.presence), 1e-6)
    assert np.abs(first.segments[7:] - second.segments[:3]).max() > 1e-3  # there was something to blend


@given(st.integers(1, 60), st.integers(2, 12), st.integers(0, 99), st.data())
def test_a_model_without_context_scores_the_same_in_any_windows(
    segments: int, window: int, seed: int, data: st.DataObject
) -> None:
    """Blending weights sum to one everywhere: scores that do not depend on the window come out as they went in."""
    model = random_model(config(layers=0, gate="none", topology="none"), seed)
    values = random_bags([segments], 6, seed)[0]
    found = score(model, values, window, data.draw(st.integers(0, window - 1)))
    close(found.segments, direct(model, values).segments, 1e-6)


@pytest.mark.parametrize(("segments", "mean"), [(15, 14.0), (16, 14.5), (32, 30.0)])
def test_a_videos_score_is_the_mean_of_its_top_segments(segments: int, mean: float) -> None:
    """floor(T / 16) + 1 of 0 .. T - 1: the largest; the two largest; the three largest."""
    curve = np.random.default_rng(0).permutation(np.arange(float(segments)))
    empty = np.zeros((segments, 1))
    assert Scores(curve, empty, np.zeros(1), np.zeros(segments)).video == mean
