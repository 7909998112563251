"""The ridge control: by hand, against scikit-learn, and what it is made of."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from cases import config as refinevad_config
from cases import length_lists, padded, random_bags, seeds
from peer_cases import random_batch
from refinevad.datasets.bag import Bag
from refinevad.errors import InputError
from refinevad.peers.choice import open_head
from refinevad.peers.contender import Contender, ContenderConfig, ridge_config
from refinevad.scoring.scores import StreamScorer, score
from refinevad.scoring.windows import WindowRule
from refinevad.training import ridge as training_ridge
from refinevad.training.plain_controls import average
from refinevad.training.ridge import fit_linear, fit_ridge, inverse_penalty


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


def test_published_c3d_features_have_the_figures_their_readme_states(data_root: Path) -> None:
    """Frame AUC 0.786 and Ano-AUC 0.594 on the 46 test videos of ucf-c3d, at C = 1e-4."""
    features = data_root / "ucf-c3d" / "features"
    if not features.exists():
        pytest.skip("ucf-c3d is not among the real data")
    train = sorted((features / "train").glob("*.npy"))
    values = [np.load(path).astype(np.float32) for path in train]
    ridge = fit_ridge(values, labelled(*([float(not path.stem.startswith("Normal"))] for path in train)))
    assert ridge.inverse_penalty == pytest.approx(1e-4)
    spans = {
        video["name"]: video
        for video in json.loads((data_root / "ucf-crime" / "test_truth.json").read_text())["videos"]
    }
    scores, truth, anomalous = [], [], []
    for path in sorted((features / "test").glob("*.npy")):
        logits = average(ridge.logits(np.load(path).astype(np.float32)), 2)
        frames = spans[path.stem]["frames"]
        happens = np.zeros(frames, dtype=bool)
        for start, end in spans[path.stem]["anomalous_frames"]:
            happens[start:end] = True
        scores.append(logits[np.arange(frames) * len(logits) // frames])
        truth.append(happens)
        anomalous.append(np.full(frames, not path.stem.startswith("Normal")))
    of_frames, happens, inside = np.concatenate(scores), np.concatenate(truth), np.concatenate(anomalous)
    assert roc_auc_score(happens, of_frames) == pytest.approx(0.786, abs=5e-4)
    assert roc_auc_score(happens[inside], of_frames[inside]) == pytest.approx(0.594, abs=5e-4)


# --- as a model ------------------------------------------------------------------------------------------------------


def bags_of(seed: int, lengths: tuple[int, ...] = (9, 5, 12, 7), channels: int = 6) -> list[Bag]:
    """Every second one anomalous, of category 0 or 1, and shifted."""
    labels = [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    values = random_bags(list(lengths), channels, seed)
    return [Bag(v + i % 2, np.array(labels[i % 4], np.float32)) for i, v in enumerate(values)]


@pytest.mark.parametrize("inputs", [(), ((1, 3), (5, 6))])
def test_the_model_says_what_the_ridge_says_averaged_over_five_segments(inputs: tuple[tuple[int, int], ...]) -> None:
    bags = bags_of(0)
    config = ridge_config(refinevad_config(channels=6, categories=("a", "b"), inputs=inputs, smoothing=7))
    model = fit_linear(config, bags)
    chosen = [channel for first, last in inputs or ((0, 6),) for channel in range(first, last)]
    ridge = fit_ridge([bag.values[:, chosen] for bag in bags], [bag.labels for bag in bags])
    values = random_bags([11], 6, 1)[0]
    found = score(model, values)
    logits, shares = ridge.logits(values[:, chosen]), ridge.share_logits(values[:, chosen])

    def five(column: np.ndarray) -> np.ndarray:
        return np.array([column[max(t - 2, 0) : t + 3].mean() for t in range(len(column))])

    np.testing.assert_allclose(np.log(found.segments / (1 - found.segments)), five(logits), atol=1e-4)
    powers = np.exp(np.stack([five(column) for column in shares.T], axis=1))
    expected = found.segments[:, None] * powers / powers.sum(1, keepdims=True)
    np.testing.assert_allclose(found.categories, expected, atol=1e-5)


def test_merged_runs_are_taken_once_and_not_averaged_with_their_neighbours() -> None:
    config = ridge_config(refinevad_config(channels=6, categories=("a",), merge_runs=True, relative_smoothing=0.1))
    assert (config.merge_runs, config.smoothing, config.relative_smoothing) == (True, 0, 0.1)


def test_of_a_set_too_large_each_video_gives_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    bags = bags_of(2, (10, 20, 10, 20))
    config = ridge_config(refinevad_config(channels=6, categories=("a", "b")))
    monkeypatch.setattr(training_ridge, "MOST_NUMBERS", 180)  # half of 60 segments of 6 channels
    found = fit_linear(config, bags)
    # evenly spaced: every second segment
    expected = fit_linear(config, [Bag(bag.values[::2], bag.labels) for bag in bags])
    for name, value in expected.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name


def test_nothing_is_left_to_gain_where_the_closed_form_ends() -> None:
    """The head's own loss on all training segments has no slope at the fitted weights."""
    bags = bags_of(3)
    config = ridge_config(ContenderConfig(6, ("a", "b"), "linear", {"inverse_penalty": 0.05}))
    model = fit_linear(config, bags)
    x, mask = padded([bag.values for bag in bags])
    plain = Contender(replace(config, smoothing=0))
    plain.load_state_dict(model.state_dict())
    terms = plain.losses(plain(x, mask), torch.from_numpy(np.stack([bag.labels for bag in bags])), mask)
    total = terms["inherited"] + terms["penalty"]
    slopes = torch.autograd.grad(total, [plain.head.anomaly.weight, plain.head.anomaly.bias])
    assert max(float(slope.abs().max()) for slope in slopes) < 1e-3
    with torch.no_grad():
        plain.head.anomaly.weight[0, 0] += 0.1
    moved = plain.losses(plain(x, mask), torch.from_numpy(np.stack([bag.labels for bag in bags])), mask)
    assert moved["inherited"] + moved["penalty"] > total


@settings(max_examples=15, deadline=None)
@given(lengths=length_lists, seed=seeds)
def test_a_video_scores_the_same_alone_padded_and_beside_others(lengths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    head = open_head("linear", 8, ("a", "b"))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(generator=generator)
    values, mask = random_batch(lengths, seed, beyond=2)
    together = head(values, mask)
    for row, length in enumerate(lengths):
        alone = head(values[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(together.logits[row, :length], alone.logits[0])
        torch.testing.assert_close(together.category_logits[row, :length], alone.category_logits[0])
    assert not together.logits[~mask].any()
    assert not together.category_logits[~mask].any()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.floats(0.5, 40), st.floats(0, 1), st.booleans(), seeds)
def test_a_stream_scores_as_its_recording_does(
    segments: int, window_s: float, share: float, merge_runs: bool, seed: int
) -> None:
    config = ridge_config(refinevad_config(channels=6, categories=("a", "b"), merge_runs=merge_runs))
    model = fit_linear(config, bags_of(seed % 100))
    values = random_bags([segments], 6, seed, constant=merge_runs)[0]
    rule, bounds = WindowRule(window_s, window_s * share), np.arange(segments + 1.0)
    scorer = StreamScorer(model, rule)
    pushed = [scorer.push(values[t], bounds[t], bounds[t + 1]) for t in range(segments)] + [scorer.flush()]
    whole = score(model, values, bounds, rule)
    np.testing.assert_allclose(np.concatenate([part.scores for part in pushed]), whole.segments, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([part.categories for part in pushed]), whole.categories, atol=1e-6)
