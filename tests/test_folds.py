"""Folds, each scored by a model of its own: every one is judged alone, and the mean is taken."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from refinevad.judging.evaluation import by_category
from refinevad.judging.folds import mean_figures, mean_rows
from refinevad.judging.localisation import TrueSpan
from refinevad.judging.predictions import VideoPrediction, align
from refinevad.judging.resampling import Bootstrap
from refinevad.judging.scene_bias import scene_bias
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.judging.yardstick import Yardstick
from refinevad.timeline import SegmentRule, Timeline

SEGMENTS, FRAMES = 5, 40
EVENT = (8, 24)  # the frames of segments 1 and 2


def truth_of(videos: int) -> Truth:
    timeline = Timeline.uniform(FRAMES, 25.0, SegmentRule(frames=FRAMES // SEGMENTS))
    spans = (TrueSpan(*EVENT, "x"),)
    return Truth(
        ("normal", "x"),
        tuple(
            VideoTruth(f"v{place}", ("x",), timeline, spans, (EVENT,))
            if place % 2
            else VideoTruth(f"v{place}", (), timeline, (), ())
            for place in range(videos)
        ),
    )


def right(place: int, least: float, most: float) -> np.ndarray:
    """A model that is never wrong, on a scale of its own."""
    scores = np.full(SEGMENTS, least)
    if place % 2:
        scores[1:3] = most
    return scores


def test_models_on_scales_of_their_own_are_not_ranked_against_each_other() -> None:
    truth = truth_of(8)
    names = [video.name for video in truth.videos]
    folds = [names[:4], names[4:]]
    said = {
        name: VideoPrediction.of(right(place, 0.6, 0.9) if place < 4 else right(place, 0.1, 0.2))
        for place, name in enumerate(names)
    }
    alone = Yardstick.of(truth, resamples=20, folds=folds).row(said, "strict")
    assert alone.figures["auc"] == alone.figures["ap"] == alone.figures["recall_at_fpr"]["0.01"] == 1.0
    assert alone.figures["map_average"] == pytest.approx(100.0)
    assert alone.figures["alerts_per_hour_at_80_recall"] == 0.0
    assert alone.sampled["auc"].value == 1.0
    # together, every event of the second model lies below every quiet segment of the first
    together = Yardstick.of(truth, resamples=20).row(said, "strict")
    assert together.figures["auc"] < 0.8
    assert alone.figures["frames"] == together.figures["frames"] == 8 * FRAMES
    assert alone.figures["videos"] == 8
    assert set(alone.figures) == set(together.figures)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_each_resample_is_the_mean_of_its_folds(seed: int, first: int) -> None:
    """By scikit-learn, on videos repeated as often as they were drawn."""
    truth = truth_of(10)
    names = [video.name for video in truth.videos]
    folds = [names[: 2 * first], names[2 * first :]] if first < 5 else [names[:4], names[4:]]
    rng = np.random.default_rng(seed)
    said = {name: VideoPrediction.of(rng.random(SEGMENTS)) for name in names}
    bootstrap = Bootstrap.of(truth, resamples=5, seed=seed, folds=folds)
    found = bootstrap.figures(said)
    assert bootstrap.units == 10
    for row, counts in enumerate([np.ones(10, dtype=int), *bootstrap.counts]):
        figures = []
        for fold in folds:
            drawn = [name for name in fold for _ in range(counts[names.index(name)])]
            assert len(drawn) == len(fold)
            scores = np.concatenate([np.repeat(said[name].scores, FRAMES // SEGMENTS) for name in drawn])
            true = np.zeros(len(scores), dtype=bool)
            for place, name in enumerate(drawn):
                if names.index(name) % 2:
                    true[place * FRAMES + EVENT[0] : place * FRAMES + EVENT[1]] = True
            if true.any():
                figures.append((roc_auc_score(true, scores), average_precision_score(true, scores), len(fold)))
        for column, name in enumerate(("auc", "ap")):
            given_here = found[name].value if row == 0 else found[name].samples[row - 1]
            weights = [entry[2] for entry in figures]
            expected = np.average([entry[column] for entry in figures], weights=weights) if figures else np.nan
            assert given_here == pytest.approx(expected, nan_ok=True)


def test_a_fold_in_which_a_figure_is_not_defined_has_no_say_in_it() -> None:
    parts = [
        {"auc": 0.5, "map": {"0.1": 10.0}, "videos": 3, "ano_auc": None, "adjusted": [1], "protocol": "strict"},
        {"auc": 0.9, "map": {"0.1": 30.0}, "videos": 1, "ano_auc": 0.7, "adjusted": [], "protocol": "strict"},
    ]
    assert mean_figures(parts, [3.0, 1.0]) == {
        "auc": pytest.approx(0.6),  # (3 x 0.5 + 0.9) / 4
        "map": {"0.1": pytest.approx(15.0)},
        "videos": 4,
        "ano_auc": 0.7,
        "adjusted": [1],
        "protocol": "strict",
    }
    rows = mean_rows([np.array([0.5, np.nan, np.nan]), np.array([0.9, 0.2, np.nan])], [3.0, 1.0])
    assert rows == pytest.approx([0.6, 0.2, np.nan], nan_ok=True)


def test_scene_bias_has_the_interval_of_its_own_figure() -> None:
    """In each fold the night's normal frames score higher, on a scale of the fold's own model."""
    truth = truth_of(16)
    names = [video.name for video in truth.videos]
    night = {name: float(place % 4 >= 2) for place, name in enumerate(names)}
    said = {
        name: VideoPrediction.of(np.full(SEGMENTS, (0.6 if place < 8 else 0.1) + 0.2 * night[name]))
        for place, name in enumerate(names)
    }
    alone, together = (
        scene_bias(align(said, truth).videos, {"night": night}, Bootstrap.of(truth, resamples=50, folds=folds))["night"]
        for folds in ([names[:8], names[8:]], None)
    )
    assert (alone["auc"], alone["frame_auc"], alone["ci95"]) == (1.0, 1.0, [1.0, 1.0])
    assert together["auc"] == together["frame_auc"] == 0.75  # the dark fold's night lies below the light one's day


def test_a_category_that_only_one_fold_has_is_judged_there() -> None:
    truth = truth_of(8)
    lone = Truth(("normal", "x", "y"), truth.videos)
    names = [video.name for video in truth.videos]
    odd, even = names[1::2], names[0::2]  # all of x in one fold, all that is normal in the other
    said = {name: VideoPrediction.of(right(place, 0.1, 0.9)) for place, name in enumerate(names)}
    rows = by_category(said, Yardstick.of(lone, resamples=1, folds=[odd, even]))
    assert set(rows) == {"x"}
    assert rows["x"]["videos"] == 4
    assert rows["x"]["auc"] == 1.0


def test_a_single_model_is_judged_as_ever() -> None:
    truth = truth_of(6)
    names = [video.name for video in truth.videos]
    rng = np.random.default_rng(0)
    said = {name: VideoPrediction.of(rng.random(SEGMENTS)) for name in names}
    one, none = (Yardstick.of(truth, resamples=30, folds=folds).row(said, "strict") for folds in ([names], None))
    assert one.figures == none.figures
