"""benchmarks/soak_faults.py: what is missing is called lost, what must have come is counted, and growth is growth."""

import itertools
import math
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videos import flat, write_video

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import soak_faults
import soak_sources
import soak_tally
from soak_tally import Outcome, Stretch, Witness

SINKS = ("webhook", "mqtt")
Told = tuple[str, str, str, str]  # event, kind, identity, reason


def told(*envelopes: Told) -> Witness:
    witness = Witness()
    for event, kind, identity, reason in envelopes:
        witness.take({"event_id": event, "kind": kind, "id": identity, "reason": reason or None})
    return witness


def whole(event: str) -> list[Told]:
    return [(event, kind, f"{event}-{kind}", "") for kind in ("new", "update", "end")]


def judged(
    journal: list[Told], webhook: list[Told], mqtt: list[Told], kept: str = "end", stored: str = "ended"
) -> Outcome:
    sinks = {"webhook": told(*webhook), "mqtt": told(*mqtt)}
    files = {"e1": kept} if kept else {}
    return soak_tally.judge(told(*journal), sinks, files, {"e1": stored} if stored else {})


def test_what_every_place_has_is_found() -> None:
    one = whole("e1")
    outcome = judged(one, [*one, one[0], one[2]], one, stored="closed-by-restart")
    assert (outcome.begun, outcome.found, outcome.redelivered) == (1, 1, 2)
    assert outcome.clean


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("gone", ["new", "end"])
def test_what_a_sink_never_got_is_lost_there(sink: str, gone: str) -> None:
    given_ = {name: [item for item in whole("e1") if name != sink or item[1] != gone] for name in SINKS}
    outcome = judged(whole("e1"), **given_)
    assert outcome.lost == (f"e1 {sink}: no {gone}",)
    assert outcome.alone == ((f"e1 {sink}",) if gone == "new" else ())
    assert (outcome.found, outcome.clean) == (0, False)


def test_an_event_that_only_one_place_heard_of_was_begun_all_the_same() -> None:
    for place in range(3):
        heard = [whole("e1") if number == place else [] for number in range(3)]
        outcome = judged(*heard, kept="", stored="")
        assert (outcome.begun, outcome.found) == (1, 0)
    assert judged([], [], [], kept="", stored="new").lost[-1] == "e1 storage: new"
    assert "e1 folder: update" in judged(whole("e1"), whole("e1"), whole("e1"), kept="update").lost


def test_an_order_that_is_wrong_is_no_delivery() -> None:
    new, update, end = whole("e1")
    assert judged([new], [end, new, update], [new, update, end]).lost == ("e1 webhook: end before new",)


def test_the_same_thing_told_twice_is_told_from_the_same_message_twice() -> None:
    one = whole("e1")
    again = ("e1", "new", "another", "")
    assert judged(one, one, [*one, again]).twice == ("e1 mqtt: 2 news",)
    restart = ("e1", "end", "by-restart", "restart")
    outcome = judged(one, [one[0], restart, one[2]], one)
    assert (outcome.twice, outcome.ended_anew) == ((), 1)
    assert judged(one, [*one, ("e1", "end", "another", "")], one).twice == ("e1 webhook: 2 ends",)


# -- what must have come ---------------------------------------------------------------------------------------------


def test_stretches_end_where_the_mark_changes_or_nobody_looked() -> None:
    seen = [(0.0, "a"), (1.0, "a"), (2.0, ""), (3.0, "a"), (4.0, "b"), (5.0, "b"), (30.0, "b"), (31.0, "b")]
    found = soak_tally.stretches("door", seen, 10.0)
    assert [(one.begin_s, one.end_s) for one in found] == [(0, 1), (3, 3), (4, 5), (30, 31)]
    assert soak_tally.stretches("door", [], 10.0) == []


@given(st.lists(st.tuples(st.integers(1, 20), st.sampled_from(["", "a", "b"])), max_size=40))
def test_every_second_between_two_equal_marks_lies_in_one_stretch(steps: list[tuple[int, str]]) -> None:
    times = np.cumsum([step for step, _ in steps]).tolist()
    seen = [(float(at), mark) for at, (_, mark) in zip(times, steps, strict=True)]
    found = soak_tally.stretches("door", seen, 10.0)
    expected = sum(
        after[0] - before[0]
        for before, after in itertools.pairwise(seen)
        if before[1] and before[1] == after[1] and after[0] - before[0] <= 10.0
    )
    assert math.isclose(sum(one.end_s - one.begin_s for one in found), expected)


@given(st.floats(0, 26), st.lists(st.floats(0, 8), min_size=60, max_size=60), st.floats(0, 400), st.floats(0, 600))
def test_a_camera_that_tells_of_every_incident_is_never_short(
    phase: float, late: Sequence[float], begin: float, length: float
) -> None:
    """An incident every 26 s, each told 0 to 8 s later, and the first and last of a stretch cut anywhere."""
    news = [phase + 26 * number + late[number] for number in range(60)]
    counted = soak_tally.due([Stretch("door", begin, begin + length)], {"door": news}, 26.0, 16.0)
    assert counted.missed == 0
    assert counted.short == ()


def test_incidents_that_nobody_told_of_are_missed() -> None:
    """100 s hold at least (100 - 16) / 26 = 3.2 of them."""
    found = [Stretch("door", 0.0, 100.0), Stretch("yard", 50.0, 150.0)]
    counted = soak_tally.due(found, {"door": [10.0, 130.0], "yard": [60.0, 86.0, 112.0]}, 26.0, 16.0)
    assert (counted.seconds, counted.due, counted.came, counted.missed) == (200.0, 6, 4, 2)
    assert counted.short == ("door from 0 to 100 s: 1 of 3",)


# -- memory ----------------------------------------------------------------------------------------------------------


def test_growth_is_growth_and_warm_up_is_left_out() -> None:
    still = [(float(at), 500.0 if at < 120 else 300.0) for at in range(600)]
    flat_one = soak_tally.memory(still, 120.0)
    assert flat_one is not None
    assert (flat_one.seconds, flat_one.first_mb, flat_one.last_mb, flat_one.flat) == (479.0, 300.0, 300.0, True)
    assert flat_one.slope_mb_h == pytest.approx(0.0, abs=1e-6)
    grown = soak_tally.memory([(float(at), 300.0 + at / 60) for at in range(3721)], 120.0)
    assert grown is not None
    assert grown.slope_mb_h == pytest.approx(60.0)
    assert not grown.flat
    assert soak_tally.memory(still[:150], 120.0) is None
    assert soak_tally.memory([], 120.0) is None


# -- what is played --------------------------------------------------------------------------------------------------


def test_every_source_plays_the_same_film_in_a_loop(tmp_path: Path) -> None:
    """4.5 s of grey at 25 a second become 4 s at 12.5: two parts of HLS, 50 pictures, twelve seconds in three turns."""
    source = write_video(tmp_path / "film.mp4", flat(range(20, 245, 2), 320, 240), size=(320, 240))
    film = soak_sources.make_film(source, tmp_path / "film", 11.0)
    assert film.period_s == 4.0
    assert len(list((film.folder / "jpeg").glob("*.jpg"))) == 50
    for path in (film.folder / "film.mp4", film.folder / "hls" / "all.m3u8"):
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
        shades = [float(frame.to_ndarray(format="gray").mean()) for frame in frames]
        assert len(shades) == 150
        assert shades[:50] == pytest.approx(shades[50:100], abs=1.5)
        assert np.diff([float(frame.pts * frame.time_base) for frame in frames]) == pytest.approx(
            float(1 / Fraction(25, 2))
        )
    assert len(list((film.folder / "hls").glob("part*.ts"))) == 6


def test_a_row_for_each_kind_of_fault_that_was() -> None:
    fault = soak_faults.Fault
    disk = [fault("disk", "", 60 * number, took) for number, took in enumerate((9.0, None, 3.0))]
    rows = soak_faults.fault_lines([*disk, fault("kill", "", 200, 7.0), fault("model", "", 260, None)])
    assert [row.split() for row in rows[1:]] == [
        ["disk", "3", "2", "6.0", "9.0"],
        ["model", "1", "0", "-", "-"],
        ["kill", "1", "1", "7.0", "7.0"],
    ]
