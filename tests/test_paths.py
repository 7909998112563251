"""What each path adds to a score: the summands are the logit, of the model and to the end; shares by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import close, config, length_lists, option_sets, padded, random_bags, random_model, seeds
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.peers.contender import Contender, ContenderConfig
from refinevad.scoring.paths import PATHS, PathCurves, names_of_paths, shares_of_variance
from refinevad.scoring.scores import Scores, score, score_window
from refinevad.scoring.windows import WHOLE, WindowRule

later_options = st.fixed_dictionaries(
    {
        "relative_smoothing": st.sampled_from([0.0, 0.04, 0.5]),
        "video_weight": st.sampled_from([0.0, 0.3, 1.0]),
        "merge_runs": st.booleans(),
        "empty": st.sampled_from(["zero", "mean"]),
    }
)


def logit(scores: Scores) -> np.ndarray:
    return np.asarray(np.log(scores.segments) - np.log1p(-scores.segments))


@given(option_sets, length_lists, seeds)
def test_what_the_paths_add_is_the_logit(options: dict[str, Any], lengths: list[int], seed: int) -> None:
    """For every configuration, with padding and without a word about what lies in it."""
    model = random_model(RefineVADConfig(**options), seed)
    x, mask = padded(random_bags(lengths, options["channels"], seed), beyond=2, filling=3.0)
    with torch.no_grad():
        output = model(x, mask)
        found = model.path_logits(x, mask, output)
    assert found.shape == (*mask.shape, len(PATHS))
    close(output.logits, found.sum(-1).numpy())
    assert not found[~mask].any()
    absent = [place for place, name in enumerate(PATHS) if name != "base" and name not in names_of_paths(model.config)]
    assert not found[..., absent].any()


def spoken(lengths: list[int], channels: int, seed: int) -> np.ndarray:
    """Segments in runs, every third run empty, as captions are."""
    bags = random_bags(lengths, channels, seed)
    runs = [np.repeat(bag[:1] * (place % 3 > 0), len(bag), 0) for place, bag in enumerate(bags)]
    return np.concatenate(runs)


@given(option_sets, later_options, st.lists(st.integers(1, 9), min_size=2, max_size=8), seeds, st.booleans())
def test_what_the_paths_add_stays_the_logit_to_the_end(
    options: dict[str, Any], later: dict[str, Any], lengths: list[int], seed: int, windowed: bool
) -> None:
    """Through merged runs, empty segments, smoothing, the video's own evidence and blended windows."""
    model = random_model(RefineVADConfig(**options, **later), seed, 0.2)
    values = spoken(lengths, options["channels"], seed)
    whole = score_window(model, values).rows
    close(whole[:, 0], whole[:, -len(PATHS) :].sum(1))
    scored = score(model, values, None, WindowRule.of(7.0, 3.0) if windowed else WHOLE)
    assert scored.paths is not None
    away = np.abs(logit(scored)) < 12  # beyond, a score no longer tells its logit
    close(logit(scored)[away], scored.paths.sum(1)[away])


def test_with_ridge_the_base_is_an_average_training_segment() -> None:
    """Over the segments that `match_paths` saw each path adds 0 on average, and spreads as its share says."""
    model = random_model(config(direct=True, ridge=True, head_weight=0.3, smoothing=1), 3)
    values = random_bags([50], 6, 1)[0]
    x, mask = padded([values])
    with torch.no_grad():
        output = model(x, mask)
        model.path_mean.zero_()
        model.path_scale.copy_(torch.tensor([2.0, 1.0]))
        by_path = model.path_logits(x, mask, output)[0]  # (1 - s) direct / 2, s refined
        model.match_paths(by_path[:, 1] / 0.7 * 2, by_path[:, 2] / 0.3)
        found = model.path_logits(x, mask, model(x, mask))[0].numpy()
    assert np.allclose(found[:, 0], float(model.path_mean[1]))
    assert np.abs(found[:, 1:3].mean(0)).max() < 1e-6
    scale = float(model.path_scale[1])
    np.testing.assert_allclose(found[:, 1:3].std(0), [0.7 * scale, 0.3 * scale], rtol=1e-5)


def test_a_ridge_that_is_not_matched_yet_adds_nothing() -> None:
    model = random_model(config(direct=True, ridge=True, head_weight=0.5), 3)
    model.path_mean.zero_()
    model.path_scale.fill_(1.0)
    x, mask = padded(random_bags([5], 6, 1))
    with torch.no_grad():
        output = model(x, mask)
        found = model.path_logits(x, mask, output)
    assert not found[..., PATHS.index("direct")].any()
    close(output.refined, found[..., PATHS.index("refined")].numpy())


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"refined": "MoTAR + CORE"}),
        ({"direct": True}, {"direct": "direct path", "refined": "MoTAR + CORE"}),
        ({"direct": True, "ridge": True, "head_weight": 0.5}, {"direct": "direct path", "refined": "MoTAR + CORE"}),
        ({"direct": True, "ridge": True, "head_weight": 1.0}, {"refined": "MoTAR + CORE"}),
        ({"direct": True, "ridge": True, "head_weight": 0.0}, {"direct": "direct path"}),
        ({"topology": "none"}, {"refined": "MoTAR"}),
        ({"topology": "none", "gate": "none"}, {"refined": "refined path"}),
        ({"prompt_owner": (0, 1, 2, 3)}, {"refined": "MoTAR + CORE", "prompts": "written prompts"}),
        ({"video_weight": 0.5}, {"refined": "MoTAR + CORE", "video": "the video as a whole"}),
    ],
)
def test_the_paths_that_count_are_named(options: dict[str, Any], names: dict[str, str]) -> None:
    assert names_of_paths(config(**options)) == names


def test_a_published_head_is_one_path() -> None:
    model = Contender(ContenderConfig(6, ("a",), "sultani")).eval()
    values = random_bags([9], 6, 0)[0]
    scored = score(model, values)
    curves = PathCurves.of(model, scored.paths)
    assert curves is not None
    assert dict(curves.names) == {"refined": "sultani head"}
    np.testing.assert_allclose(curves.added[:, 0], logit(scored), atol=1e-5)
    assert PathCurves.of(model, None) is None


def test_lifts_by_hand() -> None:
    """Segments 1 and 2 of four: the first path adds 3 and 5, the second 1 and -1; over all, 2 and 1 on average."""
    added = np.array([[0.0, 1.0], [3.0, 1.0], [5.0, -1.0], [0.0, 3.0]])
    curves = PathCurves({"direct": "d", "refined": "r"}, np.zeros(4), added, from_training=True)
    assert curves.lifts(1, 3) == {"direct": 4.0, "refined": 0.0}
    assert replace(curves, from_training=False).lifts(1, 3) == {"direct": 2.0, "refined": -1.0}
    assert curves.above != replace(curves, from_training=False).above


def test_shares_of_variance_by_hand() -> None:
    """a = -1, 1 and b = -3, 3: sums -4, 4; covariances 4 and 12 of 16. With b = -a nothing varies."""
    assert shares_of_variance(np.array([[-1.0, -3.0], [1.0, 3.0]])).tolist() == [0.25, 0.75]
    assert shares_of_variance(np.array([[4.0, 0.0], [4.0, 1.0]])).tolist() == [0.0, 1.0]
    assert np.isnan(shares_of_variance(np.array([[-1.0, 1.0], [1.0, -1.0]]))).all()


@given(st.integers(2, 30), st.integers(1, 4), seeds)
def test_shares_of_variance_add_up_and_follow_numpy(segments: int, paths: int, seed: int) -> None:
    added = np.random.default_rng(seed).normal(2.0, 1.5, (segments, paths))
    found = shares_of_variance(added)
    assert found.sum() == pytest.approx(1.0)
    table = np.cov(np.column_stack([added, added.sum(1)]).T)
    np.testing.assert_allclose(found, table[:-1, -1] / table[-1, -1], atol=1e-9)


def test_scores_are_the_same_as_the_models_own() -> None:
    """Following the paths changes nothing: the score is the sigmoid of the model's logit."""
    model: RefineVAD = random_model(config(direct=True, smoothing=2), 0)
    values = random_bags([20], 6, 0)[0]
    x, mask = padded([values])
    with torch.no_grad():
        expected = model(x, mask).scores[0]
    np.testing.assert_allclose(score(model, values).segments, expected.numpy(), atol=1e-7)
