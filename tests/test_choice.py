"""Settings chosen without the set they are shown on: ranks against scipy, and that a set truly has no say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from refinevad.errors import InputError
from refinevad.judging.resampling import Sampled
from refinevad.study.choice import choice_table, choose, ranks

SETS, CANDIDATES = ("streets", "shop", "rooms"), ("plain", "shift", "deep")
figure = st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9])
rows = st.tuples(*(figure for _ in CANDIDATES)).map(lambda values: dict(zip(CANDIDATES, values, strict=True)))
tables = st.tuples(*(rows for _ in SETS)).map(lambda found: dict(zip(SETS, found, strict=True)))


@given(st.lists(figure, min_size=1, max_size=8))
def test_equal_figures_share_their_ranks(values: list[float]) -> None:
    found = ranks({str(place): value for place, value in enumerate(values)})
    np.testing.assert_allclose(list(found.values()), rankdata([-value for value in values]))


@given(tables)
def test_each_set_gets_what_ranks_best_on_the_others(table: dict[str, dict[str, float]]) -> None:
    found = choose(table)
    for name in SETS:
        others = [rankdata([-table[other][c] for c in CANDIDATES]) for other in SETS if other != name]
        assert found.without[name] == CANDIDATES[int(np.argmin(np.mean(others, axis=0)))]
    means = np.mean([rankdata([-table[other][c] for c in CANDIDATES]) for other in SETS], axis=0)
    assert list(found.mean_ranks.values()) == pytest.approx(means.tolist())
    assert found.overall == CANDIDATES[int(np.argmin(means))]


@given(tables, rows)
def test_a_sets_own_truth_has_no_say_in_what_it_is_shown_with(
    table: dict[str, dict[str, float]], other: dict[str, float]
) -> None:
    assert choose(table).without["shop"] == choose({**table, "shop": other}).without["shop"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"streets": {"plain": 0.5}}, "needs 2 sets"),
        ({}, "needs 2 sets"),
        ({"streets": {"plain": 0.5}, "shop": {"shift": 0.5}}, "shop has the candidates"),
        ({"streets": {"plain": 0.5}, "shop": {"plain": float("nan")}}, "no figure on shop"),
    ],
)
def test_what_cannot_be_ranked_is_refused(table: dict[str, dict[str, float]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose(table)


def sampled(value: float, spread: float) -> Sampled:
    return Sampled(value, value + spread * np.linspace(-1, 1, 101))


def test_the_table_shows_the_chosen_row_with_its_interval_beside_the_control() -> None:
    table = {
        "streets": {"plain": sampled(0.8, 0.1), "shift": sampled(0.9, 0.1), "control": sampled(0.7, 0.1)},
        "shop": {"plain": sampled(0.6, 0.1), "shift": sampled(0.5, 0.1), "control": sampled(0.55, 0.3)},
    }
    lines = choice_table(table, "control", "AUC").splitlines()
    # streets is shown with what is best on the shop, and the other way round
    assert lines[2] == "| streets | plain | 0.8000 [0.705, 0.895] | 0.7000 | +0.1000 [+0.100, +0.100] | yes |"
    assert lines[3] == "| shop | shift | 0.5000 [0.405, 0.595] | 0.5500 | -0.0500 [-0.240, +0.140] | no |"
    assert lines[4] == "| mean | | | | +0.0250 | |"
    assert "| shift | 0.9000 | 0.5000 | 1.50 |" in lines
    assert "What ships, chosen over all sets: plain." in lines  # a tie in mean rank: the plainest, listed first
    with pytest.raises(InputError, match="no row other"):
        choice_table(table, "other", "AUC")
