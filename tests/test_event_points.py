"""Event F1 by overlap, by hand and against every threshold tried one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_sweeps import best_event_f1_at
from refinevad.judging.alerts import Curve, event_score, extract_events
from refinevad.judging.event_points import event_counts, event_f1_at


def test_by_hand() -> None:
    truths = {"a": [(0.0, 10.0)], "b": [(0.0, 4.0), (6.0, 10.0)], "n": []}
    # IoU 0.4 in a, 1 in b; a false one in n, a missed one in b
    found = {"a": [(6.0, 10.0, 0.9)], "b": [(0.0, 4.0, 0.8)], "n": [(0.0, 1.0, 0.7)]}
    # 3 predicted, 3 true: both match up to IoU 0.4
    assert event_f1_at(found, truths) == pytest.approx({"0.2": 4 / 6, "0.3": 4 / 6, "0.5": 2 / 6})
    assert event_counts(found, truths, 0.5) == ({"a": 0, "b": 2}, {"a": 2, "b": 3, "n": 1})
    assert event_f1_at({"n": []}, {"n": []}) is None
    assert event_f1_at({"a": []}, {"a": [(0.0, 1.0)]}) == {"0.2": 0.0, "0.3": 0.0, "0.5": 0.0}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.none() | st.tuples(st.integers(0, 3))),
        min_size=1,
        max_size=4,
    ).filter(lambda rows: any(begins for _, begins in rows))
)
def test_the_best_is_over_all_thresholds(rows: list[tuple[list[int], tuple[int] | None]]) -> None:
    curves = {
        f"v{i}": Curve(np.array(levels) / 4, 3.0 * np.arange(len(levels) + 1)) for i, (levels, _) in enumerate(rows)
    }
    truths = {f"v{i}": [(float(begins[0]), begins[0] + 5.0)] if begins else [] for i, (_, begins) in enumerate(rows)}
    best = best_event_f1_at(curves, truths)
    assert best is not None
    for iou in (0.2, 0.3, 0.5):
        tried = [
            event_score({name: extract_events(curve, level / 4) for name, curve in curves.items()}, truths, iou).f1
            for level in range(5)
        ]
        assert best[str(iou)] == pytest.approx(max(tried))
