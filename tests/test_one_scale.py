"""One model's scores on another's scale: order kept, and an average training segment of the one is one of the other."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.scoring.one_scale import on_scale_of

CONFIG = RefineVADConfig(channels=3, categories=("x",), width=4, direct=True, ridge=True, shift_layers=1, layers=0)


def model(mean: float, scale: float) -> RefineVAD:
    """One whose refined path had this mean and spread over its training segments."""
    found = RefineVAD(CONFIG)
    found.path_mean = torch.tensor([0.3, mean])
    found.path_scale = torch.tensor([0.5, scale])
    return found


def score(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


def test_a_segment_as_far_above_the_average_scores_as_it_would_there() -> None:
    few, many = model(-2.5, 3.0), model(-2.0, 2.0)
    # two spreads above the training segments' mean: -2.5 + 2 x 3 = 3.5 of the one, -2 + 2 x 2 = 2 of the other
    assert on_scale_of(many, few, score(3.5)) == pytest.approx(score(2.0))
    curve = np.array([score(-2.5), score(0.5), score(3.5)])
    assert on_scale_of(many, few, curve) == pytest.approx([score(-2.0), score(0.0), score(2.0)])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.05, 20), st.floats(-8, 8))
def test_scores_keep_their_order_and_stay_scores(scores: list[float], scale: float, mean: float) -> None:
    curve = np.array(scores)
    moved = on_scale_of(model(mean, scale), model(-1.0, 1.5), curve)
    assert ((moved >= 0) & (moved <= 1)).all()
    order = np.argsort(curve, kind="stable")
    assert (np.diff(moved[order]) >= 0).all()


def test_a_model_without_a_scale_of_its_own_is_left_as_it_is() -> None:
    plain = RefineVAD(RefineVADConfig(channels=3, categories=("x",), width=4))
    curve = np.array([0.1, 0.9])
    assert on_scale_of(plain, model(-2.0, 2.0), curve) is curve
    assert on_scale_of(model(-2.0, 2.0), plain, 0.4) == 0.4
    assert on_scale_of(model(-2.0, 2.0), model(-2.0, 2.0), curve) is curve
