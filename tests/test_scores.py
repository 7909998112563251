"""Windowed scoring: blends are as weighed by hand, and one window is no window at all."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import close, config, random_bags, random_model
from refinevad.model import RefineVAD
from refinevad.scoring.scores import Scores, gaussian, score
from refinevad.scoring.tokens import merge_runs
from refinevad.scoring.windows import WindowRule


def direct(model: RefineVAD, values: np.ndarray) -> Scores:
    """One pass over all segments, without windows."""
    with torch.no_grad():
        output = model(torch.from_numpy(values)[None], torch.ones(1, len(values), dtype=torch.bool))
    parts = (output.scores, output.category_scores, output.presence, output.shift_ratio)
    return Scores(*(part[0].double().numpy() for part in parts))


@given(st.integers(1, 12), st.integers(0, 99))
def test_a_video_that_fits_a_window_is_scored_whole(segments: int, seed: int) -> None:
    model, values = random_model(config(), seed), random_bags([segments], 6, seed)[0]
    rule = WindowRule(window_s=12.0)
    found, expected = score(model, values, np.arange(segments + 1.0), rule), direct(model, values)
    for name in ("segments", "categories", "presence", "shift_ratio"):
        close(getattr(found, name), getattr(expected, name), 1e-6)


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


def test_windows_are_blended_linearly() -> None:
    """45 segments of 1 s, windows [0, 24) and [21, 45): logits 3/4, 2/4, 1/4 of the first over the three they share."""
    model, values = random_model(config(topology="broadcast"), 4), random_bags([45], 6, 4)[0]
    first, second = direct(model, values[:24]), direct(model, values[21:])
    found = score(model, values, np.arange(46.0), WindowRule(window_s=24.0))
    share = np.array([0.75, 0.5, 0.25])
    blended = share * logit(first.segments[21:]) + (1 - share) * logit(second.segments[:3])
    scores = np.concatenate([first.segments[:21], 1 / (1 + np.exp(-blended)), second.segments[3:]])
    close(found.segments, scores, 1e-6)
    ratio = share * first.shift_ratio[21:] + (1 - share) * second.shift_ratio[:3]
    close(found.shift_ratio, np.concatenate([first.shift_ratio[:21], ratio, second.shift_ratio[3:]]), 1e-6)
    # shares of categories are blended as logarithms: a weighted geometric mean, made to sum to one
    parts = first.categories[21:] / first.segments[21:, None], second.categories[:3] / second.segments[:3, None]
    mean = parts[0] ** share[:, None] * parts[1] ** (1 - share[:, None])
    close(found.categories[21:24], scores[21:24, None] * mean / mean.sum(1, keepdims=True), 1e-6)
    close(found.presence, np.maximum(first.presence, second.presence), 1e-6)
    assert np.abs(first.segments[21:] - second.segments[:3]).max() > 1e-3  # there was something to blend


@given(st.integers(0, 60), st.floats(1, 30), st.integers(0, 99), st.data())
def test_a_model_without_context_scores_the_same_in_any_windows(
    segments: int, window_s: float, seed: int, data: st.DataObject
) -> None:
    """Blending weights sum to one everywhere: scores that do not depend on the window come out as they went in."""
    model = random_model(config(layers=0, gate="none", topology="none"), seed)
    values = random_bags([segments], 6, seed)[0]
    rule = WindowRule(window_s, data.draw(st.floats(0, window_s)))
    found = score(model, values, np.arange(segments + 1.0), rule)
    close(found.segments, direct(model, values).segments if segments else np.zeros(0), 1e-6)


@pytest.mark.parametrize(("segments", "mean"), [(15, 14.0), (16, 14.5), (32, 30.0)])
def test_a_videos_score_is_the_mean_of_its_top_segments(segments: int, mean: float) -> None:
    """floor(T / 16) + 1 of 0 .. T - 1: the largest; the two largest; the three largest."""
    curve = np.random.default_rng(0).permutation(np.arange(float(segments)))
    empty = np.zeros((segments, 1))
    assert Scores(curve, empty, np.zeros(1), np.zeros(segments)).video == mean


def test_runs_become_tokens_and_go_back_to_their_places() -> None:
    """a a 0 b a: three tokens a, b, a; the empty segment takes what it is given."""
    a, b, nothing = [1.0, 2.0], [3.0, 4.0], [0.0, 0.0]
    tokens = merge_runs(np.array([a, a, nothing, b, a], dtype=np.float32))
    assert tokens.values.tolist() == [a, b, a]
    assert tokens.place.tolist() == [0, 0, -1, 1, 2]
    assert tokens.expand(np.array([0.1, 0.2, 0.3]), 9.0).tolist() == [0.1, 0.1, 9.0, 0.2, 0.3]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, 99))
def test_merging_runs_scores_each_run_once(kinds: list[int], seed: int) -> None:
    """Scores are those of the runs alone, repeated; segments without features are undecided: a logit of 0."""
    palette = np.concatenate([np.zeros((1, 6), dtype=np.float32), random_bags([3], 6, seed)[0]])
    model = random_model(config(merge_runs=True), seed)
    found = score(model, palette[kinds])
    runs = [kind for place, kind in enumerate(kinds) if kind and (place == 0 or kinds[place - 1] != kind)]
    alone = direct(model, palette[runs]).segments if runs else np.zeros(0)
    run = -1
    for place, kind in enumerate(kinds):
        run += bool(kind) and (place == 0 or kinds[place - 1] != kind)
        close(found.segments[place], np.array(alone[run] if kind else 0.5), 1e-6)
    assert np.isfinite(found.categories).all()


def test_gaussian_by_hand() -> None:
    """An impulse becomes the kernel; a constant stays, to its ends; a ramp keeps its middle."""
    impulse, t = np.zeros((41, 1)), np.arange(41) - 20
    impulse[20] = 1.0
    kernel = np.exp(-(t**2) / 8.0) * (np.abs(t) <= 8)
    close(gaussian(impulse, 2.0)[:, 0], kernel / kernel.sum(), 1e-12)
    close(gaussian(np.full((3, 2), 7.0), 2.0), np.full((3, 2), 7.0), 1e-12)
    ramp = np.arange(41.0)[:, None]
    close(gaussian(ramp, 2.0)[10:31], ramp[10:31], 1e-12)


def test_the_whole_videos_evidence_is_added_to_each_logit() -> None:
    """video_weight 0.5 of log sum_c exp(mean d_c), which the direct path gives."""
    model, values = random_model(config(direct=True), 6), random_bags([9], 6, 6)[0]
    weighed = RefineVAD(config(direct=True, video_weight=0.5)).eval()
    weighed.load_state_dict(model.state_dict())
    with torch.no_grad():
        evidence = model(torch.from_numpy(values)[None], torch.ones(1, 9, dtype=torch.bool)).evidence[0].double()
    video = float(torch.logsumexp(evidence.mean(0), 0))
    close(logit(score(weighed, values).segments) - logit(score(model, values).segments), np.full(9, 0.5 * video))
