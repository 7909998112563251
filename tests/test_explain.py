"""The page about a run's inside: statistics by hand, figures on a tiny run, and nothing that leaves the file."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refinevad.apps.explain import map_figure
from refinevad.apps.explain.chart import Panel, log_ticks, ticks
from refinevad.apps.explain.distribution_figure import higher
from refinevad.apps.explain.event_figure import best_found
from refinevad.apps.explain.explanation import FIGURES, figures_of, write_explanation
from refinevad.apps.explain.inside import Explained, Inside, look_inside
from refinevad.apps.explain.projection import principal_components, t_sne
from refinevad.apps.explain.seriation import seriate
from refinevad.apps.explain.statistic import confusion, cosines, neighbour_agreement, rank_correlation, ranks
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.datasets.dataset import Item
from refinevad.features.store import Features, Provenance
from refinevad.judging.localisation import TrueSpan
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.scoring.scores import Scores, score
from refinevad.scoring.windows import WindowRule
from refinevad.timeline import SegmentRule, Timeline

torch.set_num_threads(1)
RULE = SegmentRule(seconds=1.0)
HOSTILE = '"><img src=x onerror=alert(1)>'
VOID = {"meta", "link", "img", "br", "hr"}


@pytest.fixture(autouse=True)
def _without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are drawn as where it is not installed; t-SNE has a test of its own."""
    monkeypatch.setattr(map_figure, "t_sne", lambda _: None)


# --- statistics ------------------------------------------------------------------------------------------------------


def test_ranks_share_ties() -> None:
    assert ranks(np.array([10.0, 20.0, 10.0, 5.0])).tolist() == [2.5, 4.0, 2.5, 1.0]


def test_rank_correlation_by_hand() -> None:
    """rho = 1 - 6 sum d^2 / n (n^2 - 1) without ties: d = (0, 1, -1, 0), rho = 1 - 12 / 60."""
    a = np.array([1.0, 2.0, 30.0, 400.0])
    assert rank_correlation(a, np.array([0.1, 0.3, 0.2, 0.9])) == pytest.approx(0.8)
    assert rank_correlation(a, -(a**3)) == pytest.approx(-1.0)
    assert np.isnan(rank_correlation(a, np.ones(4)))
    assert np.isnan(rank_correlation(a[:2], a[:2]))


def test_probability_of_the_higher_by_hand() -> None:
    """Of the pairs 2-1, 2-2, 3-1, 3-2 three are won and one is a tie: 3.5 of 4."""
    assert higher(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == pytest.approx(0.875)


def test_confusion_by_hand() -> None:
    """Two a (one named b), one b, and one of both kinds named b, which counts in each row."""
    counts = confusion([("a",), ("a",), ("b",), ("a", "b"), ("other",)], ["a", "b", "b", "b", "a"], ("a", "b"))
    assert counts.tolist() == [[1, 2], [0, 2]]


def test_neighbours_by_hand() -> None:
    """On a line 0, 1, 10, 11, 12: all but the stray a at 12 have a neighbour of their kind; 4 of 10 pairs are alike."""
    points = np.array([[0.0], [1.0], [10.0], [11.0], [12.5]])
    found, chance = neighbour_agreement(points, ["a", "a", "b", "b", "a"])
    assert found == pytest.approx(4 / 5)
    assert chance == pytest.approx(4 / 10)


def test_cosines_by_hand() -> None:
    alike = cosines(np.array([[1.0, 0.0], [3.0, 3.0], [-2.0, 0.0], [0.0, 0.0]]))
    root = 0.5**0.5
    assert alike[0].tolist() == pytest.approx([1.0, root, -1.0, 0.0])
    assert alike[1, 2] == pytest.approx(-root)


@given(st.permutations(range(9)))
def test_things_on_a_line_are_put_in_their_order(shuffled: list[int]) -> None:
    places = np.array([0.0, 1.0, 1.9, 3.1, 4.0, 5.2, 6.0, 7.1, 8.0])[list(shuffled)]
    order = [shuffled[place] for place in seriate(np.abs(places[:, None] - places[None, :]))]
    assert order in (list(range(9)), list(range(9))[::-1])


def test_components_of_a_known_cloud() -> None:
    """Two orthogonal directions of spread 3 and 1, and nothing else: the first axis is the wide one."""
    wide, narrow = np.array([0.0, 0.6, 0.8]), np.array([1.0, 0.0, 0.0])
    cloud = np.array([3 * wide, -3 * wide, narrow, -narrow]) + 7.0
    chart = principal_components(cloud)
    assert np.allclose(chart.points, [[3, 0], [-3, 0], [0, 1], [0, -1]])
    assert "100 % of the variance" in chart.told


def test_t_sne_keeps_far_groups_apart() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(24, 4)) + np.repeat([[0.0], [40.0]], 12, axis=0)
    chart = t_sne(cloud)
    assert chart is not None
    assert neighbour_agreement(chart.points, ["a"] * 12 + ["b"] * 12)[0] == 1.0
    assert t_sne(cloud[:5]) is None


# --- drawing ---------------------------------------------------------------------------------------------------------


def test_values_land_where_they_belong() -> None:
    """Up is up, right is right, and what lies outside is clipped to the edge."""
    panel = Panel((0.0, 10.0), (0.0, 1.0), box=(50.0, 10.0, 100.0, 200.0))
    assert panel.across(np.array([0.0, 5.0, 10.0, 99.0])).tolist() == [50.0, 100.0, 150.0, 150.0]
    assert panel.up(np.array([0.0, 0.25, 1.0])).tolist() == [210.0, 160.0, 10.0]


def test_ticks_are_round_numbers() -> None:
    assert ticks(0.0, 1.0, most=6) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(-0.27, 0.31, most=5) == pytest.approx([-0.2, 0.0, 0.2])
    assert [told for _, told in log_ticks(-1.1, 1.1)] == ["0.1", "0.2", "0.5", "1", "2", "5", "10"]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(3, 8))
def test_ticks_stay_inside_and_few(low: float, width: float, most: int) -> None:
    found = ticks(low, low + width, most)
    assert 1 <= len(found) <= most
    assert min(found) >= low - 1e-6 * width - 1e-9 * abs(low)
    assert max(found) <= low + width + 1e-6 * width + 1e-9 * abs(low)


# --- a tiny run ------------------------------------------------------------------------------------------------------


def explained(
    categories: tuple[str, ...],
    name: str = "",
    merge: bool = False,
    motion: bool = True,
    direct: bool = False,
    training: Mapping[str, Any] = MappingProxyType({}),
) -> Explained:
    """An untrained model on twelve noisy videos, a third normal, each event from second 4 to 8 of 16."""
    torch.manual_seed(0)
    config = RefineVADConfig(channels=6, categories=categories, width=8, merge_runs=merge, direct=direct)
    model = RefineVAD(config).eval()
    if model.evidence is not None:  # both paths begin silent
        for layer in (model.evidence.linear, model.head[-1]):
            torch.nn.init.normal_(layer.weight)
    parts = {"frame_difference": (5, 6)} if motion else {"captions": (0, 6)}
    provenance = Provenance({"name": "fake"}, RULE.as_dict(), parts=parts)
    checkpoint = Checkpoint(model, "fake", provenance.signature, Calibration(0.5, 0.4, 6.0, True, 1.0), training)
    rng = np.random.default_rng(0)
    items, features, truths = [], [], []
    for place in range(12):
        labels = (categories[place % len(categories)],) if place % 3 else ()
        timeline = Timeline.uniform(16 * 5, 5.0, RULE)
        values = np.abs(rng.normal(size=(16, 6))).astype(np.float32)
        values[6:9] = values[6]  # one run of three
        values[15] = 0.0  # an empty segment
        items.append(Item(f"test/{name}{place}.mp4", labels, "test"))
        features.append(Features(values, timeline, provenance))
        spans = (TrueSpan(20, 40, labels[0]),) if labels else ()
        truths.append(VideoTruth(items[-1].path, labels, timeline, spans, ((20, 40),) if labels else ()))
    return look_inside(checkpoint, items, features, Truth(("normal", *categories), tuple(truths)))


def test_a_run_trained_under_a_window_is_explained_under_it() -> None:
    """4 s of 16: what `evaluate` and `detect` say of the video, and another curve than that of the whole."""
    whole = explained(("fall", "fight")).videos[1]
    seen = explained(("fall", "fight"), training={"options": {"window_s": 4.0, "delay_s": 1.0}})
    video, rng = seen.videos[0], np.random.default_rng(0)
    values = np.abs(rng.normal(size=(16, 6))).astype(np.float32)
    values[6:9], values[15] = values[6], 0.0
    wanted = score(seen.checkpoint.refinevad, values, video.timeline.time_bounds, WindowRule(4.0, 1.0))
    np.testing.assert_array_equal(video.scores.segments, wanted.segments)
    assert not np.array_equal(seen.videos[1].scores.segments, whole.scores.segments)


class Elements(HTMLParser):
    """Every element with its attributes; fails where tags do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page_of(tmp_path: Path, found: Explained, title: str = "tiny") -> str:
    write_explanation(tmp_path / "inside.html", title, found, list(figures_of(found).values()), {"run": title})
    return (tmp_path / "inside.html").read_text(encoding="utf-8")


def test_what_stands_for_a_run_of_equal_segments() -> None:
    """Segments 6 to 8 are one run, 15 is empty: 13 are seen, and the step into the run is |x_6 - x_5|."""
    video = explained(("a", "b"), merge=True, motion=False).videos[0]
    assert video.seen.tolist() == [0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14]
    assert video.motion[0] == video.motion[1]
    assert len(video.motion) == 13
    assert (video.shift_ratio > 0).all()
    whole = explained(("a", "b"))
    assert whole.videos[0].seen.tolist() == list(range(16))
    assert whole.motion_name == "frame difference"


def test_truth_and_shares_of_a_video() -> None:
    video = explained(("a", "b")).videos[1]
    assert np.flatnonzero(video.anomalous).tolist() == [4, 5, 6, 7]
    assert np.allclose(video.shares.sum(axis=1), 1.0)
    assert not explained(("a", "b")).videos[0].anomalous.any()


def inside(name: str, own: list[float], truth: tuple[float, float]) -> Inside:
    """A video of category `a` whose own category score is given second by second."""
    score = np.array(own)
    scores = Scores(score, np.stack([score, 0 * score], axis=1), np.array([0.9, 0.1]), score)
    timeline = Timeline.uniform(len(own), 1.0, RULE)
    return Inside(name, ("a",), timeline, scores, np.arange(len(own)), score, None, (truth,))


def test_best_found_rises_inside_its_event() -> None:
    """Means inside less outside: 0.4 (high all over), 0.6, and -0.6 for the one that peaks elsewhere."""
    high = inside("high", [0.5, 0.9, 0.9, 0.5], (1.0, 3.0))
    clear = inside("clear", [0.1, 0.7, 0.7, 0.1], (1.0, 3.0))
    wrong = inside("wrong", [0.7, 0.1, 0.1, 0.7], (1.0, 3.0))
    best = best_found([high, clear, wrong], ("a", "b"), "a")
    assert best is not None
    assert best[0].name == "clear"
    assert best[1] == pytest.approx(0.6)
    assert best_found([wrong], ("a", "b"), "a") is None
    assert best_found([clear], ("a", "b"), "b") is None


def test_every_figure_is_drawn_and_nothing_reaches_outside(tmp_path: Path) -> None:
    found = explained(("arson", "fall", "fight"))
    html = page_of(tmp_path, found)
    elements = Elements(html).found
    assert html.count('<section class="card explained"') == len(FIGURES)
    drawings = [attrs for tag, attrs in elements if tag == "svg"]
    assert len(drawings) >= 9
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawings)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"<script>.*?</script>", "", html, flags=re.S))
    assert not [attrs for tag, attrs in elements if "src" in attrs]
    assert "nan" not in html
    dots = [attrs for tag, attrs in elements if tag == "circle"]
    assert len(dots) == 12
    assert [attrs["data-group"] for attrs in dots].count("normal") == 4
    assert "The map is by principal components" in html


def test_confusion_figure_counts_the_named() -> None:
    """Against a count by hand over the model's own most likely categories."""
    found = explained(("arson", "fall", "fight"))
    numbers = figures_of(found)["confusion"].numbers
    named = [found.categories[int(v.scores.presence.argmax())] == v.labels[0] for v in found.videos if v.labels]
    assert numbers["videos"] == 8
    assert numbers["named_rightly"] == pytest.approx(sum(named) / 8)
    assert np.sum(numbers["counts"]) == 8
    assert np.trace(numbers["counts"]) == sum(named)


def test_paths_share_what_varies() -> None:
    """Against numpy's covariances; within videos of the differences from each video's own mean."""
    found = explained(("arson", "fall"), direct=True)
    figure = figures_of(found)["paths"]
    direct, refined = ([v.scores.paths[:, place] for v in found.videos] for place in (1, 2))
    for column, change in (("everywhere", lambda x: x), ("within", lambda x: x - x.mean())):
        a, b = (np.concatenate([change(video) for video in path]) for path in (direct, refined))
        expected = np.cov(a, a + b)[0, 1] / np.var(a + b, ddof=1)
        assert 0.02 < expected < 0.98
        assert figure.numbers[column] == pytest.approx({"direct": expected, "refined": 1 - expected})
    assert f"direct path {100 * figure.numbers['everywhere']['direct']:.0f} %" in figure.told
    assert sum(figure.numbers["between"].values()) == pytest.approx(1.0)
    assert figure.body.count("<tr>") == 3


def test_a_run_with_one_path_is_said_so() -> None:
    figure = figures_of(explained(("fall",)))["paths"]
    assert not figure.body
    assert figure.told == "MoTAR + CORE carries 100 % of every score: this run has no other path."
    assert figure.numbers["everywhere"] == {"refined": 1.0}


def test_one_category_shrinks_to_sentences(tmp_path: Path) -> None:
    found = explained(("fall",))
    figures = figures_of(found)
    for name in ("prototypes", "events", "confusion"):
        assert not figures[name].body
        assert "one category, fall" in figures[name].told
    assert figures["gate"].body
    assert 'class="drawn heat"' not in page_of(tmp_path, found)


def test_a_gate_that_does_not_look_is_said_so() -> None:
    found = explained(("fall",))
    config = RefineVADConfig(channels=6, categories=("fall",), width=8, gate="fixed")
    still = Checkpoint(RefineVAD(config).eval(), "fake", {}, found.checkpoint.calibration)
    figure = figures_of(Explained(still, found.videos, found.motion_name, found.gate_curve))["gate"]
    assert "'fixed'" in figure.told
    assert not figure.body


def test_a_gate_against_the_motion_is_said_so() -> None:
    """The same run with r_t turned round: the sign of the correlation turns, and the sentence says it."""
    found = explained(("a", "b"), motion=False)
    first = figures_of(found)["gate"].numbers["rank_correlation"]
    turned = []
    for video in found.videos:
        s = video.scores
        scores = Scores(s.segments, s.categories, s.presence, 1 - s.shift_ratio)
        turned.append(
            Inside(video.name, video.labels, video.timeline, scores, video.seen, video.motion, None, video.truth)
        )
    figures = figures_of(Explained(found.checkpoint, tuple(turned), found.motion_name, found.gate_curve))
    assert figures["gate"].numbers["rank_correlation"] == pytest.approx(-first)
    told = [figures["gate"].told, figures_of(found)["gate"].told]
    assert ["runs against" in text for text in told] == [first > 0.1, first < -0.1]
    assert "too few for a map" in figures["map"].told  # and no video is left that has an embedding


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    html = page_of(tmp_path, explained((HOSTILE, "<svg onload=alert(2)>"), name=HOSTILE), HOSTILE)
    page = Elements(html)
    assert not [attrs for tag, attrs in page.found if tag == "img" or "onerror" in attrs or "onload" in attrs]
    assert HOSTILE in "".join(page.text)
