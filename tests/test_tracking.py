"""Events as they come are those of the whole curve, whatever the pieces; each is told of once, in order."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_events import plain_events
from refinevad.scoring.events import Event, EventRule, find_events
from refinevad.scoring.scores import SegmentScores
from refinevad.scoring.tracking import EventTracker, EventUpdate
from refinevad.timeline import Timeline

NAMES = ("a", "b")


def pieces(scores: np.ndarray, shares: np.ndarray, bounds: np.ndarray, cuts: list[int]) -> list[SegmentScores]:
    edges = [0, *sorted(cuts), len(scores)]
    return [SegmentScores(bounds[:-1][a:b], bounds[1:][a:b], scores[a:b], shares[a:b]) for a, b in pairwise(edges)]


def follow(updates: list[EventUpdate]) -> list[Event]:
    """What a reader who keeps one row an event ends with; every update must fit what was told before."""
    rows: dict[int, Event] = {}
    ended: dict[int, Event] = {}
    for update in updates:
        assert update.event not in ended
        if update.kind == "new":
            assert update.event == len(rows) + 1
            assert update.before is None
        else:
            assert update.before == rows[update.event]
        if update.kind == "update":
            assert update.before != update.after
        rows[update.event] = update.after
        if update.kind == "end":
            ended[update.event] = update.after
    assert set(ended) == set(rows)
    return [ended[number] for number in sorted(ended)]


def assert_same(found: list[Event], expected: list[Event], tolerance: float = 1e-12) -> None:
    """Equal events; of scores that differ within a tolerance, the place of the peak may be another."""
    assert [(event.start_s, event.end_s, event.category) for event in found] == [
        (event.start_s, event.end_s, event.category) for event in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert one.peak == pytest.approx(other.peak, abs=tolerance)
        assert one.peak_s == other.peak_s or tolerance > 1e-12
        assert one.probabilities == pytest.approx(other.probabilities, abs=tolerance)


@given(st.data(), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_updates_assemble_to_the_events_of_the_whole_curve(data: st.DataObject, segments: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.choice([0.1, 0.3, 0.4, 0.5, 0.6, 0.9], segments)  # thresholds themselves among them
    shares = scores[:, None] * generator.dirichlet([1.0, 1.0], segments).reshape(-1, 2)
    bounds = np.concatenate([[0.0], np.cumsum(generator.choice([0.25, 0.5, 0.75], segments))])
    rule = EventRule(
        0.5, data.draw(st.sampled_from([0.3, 0.4, 0.5, 0.7])), *data.draw(st.sampled_from([(0.5, 2.0), (1.5, 1.0)]))
    )
    tracker, updates = EventTracker(NAMES, rule), []
    for piece in pieces(scores, shares, bounds, data.draw(st.lists(st.integers(0, segments), max_size=9))):
        told = tracker.push(piece)
        kinds = [(update.kind, update.event) for update in told]
        assert len(set(kinds)) == len(kinds)
        updates += told
    updates += tracker.flush()
    wanted = plain_events(scores, shares, NAMES, bounds, rule)
    assert_same(follow(updates), wanted)
    assert_same(find_events(scores, shares, NAMES, Timeline(np.arange(segments + 1), bounds), rule), wanted)


@given(st.data(), st.integers(0, 60), st.integers(0, 2**32 - 1), st.sampled_from([1.5, 2.0, 3.0, 7.0]))
def test_no_event_lasts_longer_than_it_may(data: st.DataObject, segments: int, seed: int, longest_s: float) -> None:
    """Parts lie end to end where one was cut; every second above the upper threshold is in one, if not too short."""
    generator = np.random.default_rng(seed)
    scores = generator.choice([0.1, 0.4, 0.6, 0.9], segments, p=[0.1, 0.2, 0.3, 0.4])
    shares = scores[:, None] * generator.dirichlet([1.0, 1.0], segments).reshape(-1, 2)
    bounds = np.arange(segments + 1) * 0.5
    rule = EventRule(0.5, 0.3, 0.5, 2.0)
    tracker, updates = EventTracker(NAMES, rule, longest_s), []
    for piece in pieces(scores, shares, bounds, data.draw(st.lists(st.integers(0, segments), max_size=9))):
        updates += tracker.push(piece)
    updates += tracker.flush()
    parts = follow(updates)
    assert all(part.end_s - part.start_s <= longest_s + 1e-9 for part in parts)
    assert all(one.end_s <= other.start_s + 1e-9 for one, other in pairwise(parts))
    for start, score in zip(bounds[:-1], scores, strict=True):
        if score > rule.threshold:
            assert any(part.start_s <= start < part.end_s for part in parts)
    whole = [(e.start_s, e.end_s) for e in plain_events(scores, shares, NAMES, bounds, rule)]
    assert all(any(start <= part.start_s and part.end_s <= end for start, end in whole) for part in parts)
    cut = {update.event for update in updates if update.cut}
    for number, part in enumerate(parts, start=1):
        if any(part.end_s == other.start_s for other in parts):
            assert number in cut


def test_one_event_by_hand() -> None:
    """Above 0.5 from 2 to 4 s and from 5 to 6 s, below everything between: one event, ended 2 s later."""
    curve = np.array([0.1, 0.1, 0.8, 0.7, 0.1, 0.9, 0.1, 0.1, 0.1])
    tracker = EventTracker(NAMES, EventRule(0.5, 0.3, 1.5, 2.0))
    told: dict[int, list[tuple[str, int, float]]] = {}
    for second, score in enumerate(curve):
        share = np.array([[score, 0.0]])
        one = SegmentScores(np.array([float(second)]), np.array([second + 1.0]), np.array([score]), share)
        told[second] = [(u.kind, u.event, u.after.end_s) for u in tracker.push(one)]
    nothing: list[tuple[str, int, float]] = []
    assert told == {
        **dict.fromkeys((0, 1, 2, 4, 6, 8), nothing),  # at 2 it has not lasted 1.5 s
        3: [("new", 1, 4.0)],
        5: [("update", 1, 6.0)],
        7: [("end", 1, 6.0)],  # what begins at 8 s is 2 s behind 6 s: too late to be merged
    }
    assert tracker.flush() == []


def test_a_run_that_never_passes_the_upper_threshold_keeps_an_event_open_but_does_not_lengthen_it() -> None:
    curve = np.array([0.8, 0.8, 0.1, 0.4, 0.4, 0.4, 0.4, 0.1])
    tracker, bounds = EventTracker(NAMES, EventRule(0.5, 0.3, 0.5, 2.0)), np.arange(9.0)
    single = pieces(curve, curve[:, None] * [0.5, 0.5], bounds, list(range(1, 8)))
    told = [[(u.kind, u.after.end_s) for u in tracker.push(piece)] for piece in single]
    # from 3 s a run is under way that would be merged, should it pass 0.5
    assert told == [[("new", 1.0)], [("update", 2.0)], [], [], [], [], [], [("end", 2.0)]]
