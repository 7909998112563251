"""benchmarks/soak.py: every frame goes through, hours are counted in video time, and growth is called growth."""

import itertools
import runpy
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "soak.py"))
Hour = SCRIPT["Hour"]


def hour(number: float, megabytes: float, blocks: int = 1000) -> object:
    return Hour(number, 0, 0, megabytes * 1e6, blocks, 0, 0.0)


def test_frames_go_through_as_video_time_passes() -> None:
    seen = SCRIPT["pictures"](64, 48)
    detector = SCRIPT["cheap_detector"](seen, 5.0)
    hours = list(SCRIPT["soak"](detector, seen, 0.05, 5.0, 0.025))
    assert [one.frames for one in hours] == [450, 900]  # 90 s and 180 s at 5 a second
    assert [one.hour for one in hours] == [0.025, 0.05]
    assert detector.counts.frames == 900
    assert hours[1].segments == 280  # of 0.64 s; at 179.8 s the 281st is still open
    assert hours[1].events > 0
    assert hours[1].resident > 1e7


def test_growth_is_called_growth() -> None:
    verdict = SCRIPT["verdict"]
    assert "slope +0.000 MB" in verdict([hour(1, 100), hour(2, 100), hour(3, 100)])
    assert "flat to 1%" in verdict([hour(1, 100), hour(2, 100.9), hour(3, 100.5)])
    grown = verdict([hour(1, 100, 1000), hour(2, 102, 1500), hour(3, 104, 2000)])
    assert "slope +2.000 MB and +500 Python blocks an hour" in grown
    assert "within 4.00% of the first row: NOT flat" in grown
    assert "NOT flat" in verdict([hour(1, 100), hour(2, 90)])  # what fell was not flat either
    assert "says nothing" in verdict([hour(1, 100)])


def test_the_table_holds_growth_since_the_first_row() -> None:
    head, first, second = SCRIPT["rows"]([hour(1, 100), hour(2, 101, 900)])
    assert len(head) == len(first) == len(second)
    assert first[3:7] == ("100.0", "+0.00%", "1,000", "+0.00%")
    assert second[3:7] == ("101.0", "+1.00%", "900", "-10.00%")


@pytest.mark.parametrize(("width", "height"), [(64, 48), (320, 240)])
def test_half_of_the_pictures_stand_still(width: int, height: int) -> None:
    seen = SCRIPT["pictures"](width, height)
    changed = [bool((one != other).any()) for one, other in itertools.pairwise(seen)]
    assert seen[0].shape == (height, width, 3)
    assert sum(changed) == len(seen) // 2 - 1
    assert not any(changed[: len(seen) // 2])
