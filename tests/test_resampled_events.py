"""Event figures over resamples: for each draw, the figure itself on a set that holds every copy as its own video."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_sweeps import alerts_per_hour_at_recall, best_event_f1_at
from refinevad.judging.alerts import Curve, Interval
from refinevad.judging.event_points import EVENT_IOUS
from refinevad.judging.resampled_events import ALERTS, BEST_F1, event_samples

NAMES = ("a", "b", "c", "d")


def random_set(rng: np.random.Generator) -> tuple[dict[str, Curve], dict[str, list[Interval]], dict[str, float]]:
    """Four videos with scores of six levels; the first has an event, others may."""
    curves, truths, hours = {}, {}, {}
    for place, name in enumerate(NAMES):
        length = int(rng.integers(1, 15))
        curves[name] = Curve(rng.integers(0, 6, size=length) / 5, 2.0 * np.arange(length + 1))
        starts = rng.integers(0, 2 * length, size=1 if place == 0 else rng.integers(0, 3))
        truths[name] = [(float(s), float(s + rng.integers(1, 9))) for s in starts]
        hours[name] = float(rng.uniform(0.1, 2.0))
    return curves, truths, hours


def on_copies(
    curves: Mapping[str, Curve],
    truths: Mapping[str, Sequence[Interval]],
    hours: Mapping[str, float],
    counts: Sequence[int],
) -> dict[str, float]:
    copies = [(name, f"{name}{copy}") for name, count in zip(NAMES, counts, strict=True) for copy in range(count)]
    its_curves = {copy: curves[name] for name, copy in copies}
    its_truths = {copy: truths[name] for name, copy in copies}
    if not any(its_truths.values()):
        return {ALERTS: np.nan} | {f"{BEST_F1}/{iou}": np.nan for iou in EVENT_IOUS}
    rate = alerts_per_hour_at_recall(its_curves, its_truths, sum(hours[name] for name, _ in copies))
    best = best_event_f1_at(its_curves, its_truths) or {}
    return {ALERTS: rate if np.isfinite(rate) else np.nan} | {f"{BEST_F1}/{iou}": v for iou, v in best.items()}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_each_draw_equals_a_set_of_its_copies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves, truths, hours = random_set(rng)
    counts = np.concatenate([np.ones((1, 4), dtype=np.int64), rng.multinomial(4, np.full(4, 0.25), size=3)])
    places = {name: place for place, name in enumerate(NAMES)}
    found = event_samples(
        curves, truths, hours, lambda names: counts[:, [places[name] for name in names]].astype(np.float64)
    )
    for row, drawn in enumerate(counts):
        expected = on_copies(curves, truths, hours, drawn.tolist())
        assert {name: values[row] for name, values in found.items()} == pytest.approx(expected, nan_ok=True)
