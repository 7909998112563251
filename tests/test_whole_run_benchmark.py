"""benchmarks/whole_run.py: its films are as long as it says, and its ratios are of things run in turn."""

import argparse
import runpy
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield runpy.run_path(str(BENCHMARKS / "whole_run.py"))


def test_a_film_over_and_over_has_all_its_frames_at_rising_times(script: dict[str, Any], tmp_path: Path) -> None:
    import av

    minute = script["made"](tmp_path / "a.mp4", (96, 64), 2, Path("no data here"))
    script["repeated"](tmp_path / "b.mp4", minute, 3)
    with av.open(str(tmp_path / "b.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) == 150
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert all(step == pytest.approx(0.04) for step in steps)


def test_ratios_are_of_one_round(script: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding in 10, 20 and 60 s, this in 5, 40 and 60: 2, a half and 1 by round, 1 in the middle."""
    run = script["Run"]
    times = iter([run(10.0, 8.0), run(5.0, 8.0), run(20.0, 8.0), run(40.0, 4.0), run(60.0, 8.0), run(60.0, 16.0)])
    monkeypatch.setitem(script["whole_table"].__globals__, "timed", lambda command, sources: next(times))
    films = {"short": script["Films"]([Path("a.mp4")], 40.0)}
    head, decoding, detect = script["whole_table"](films, Path("run"), argparse.Namespace(rounds=3, against=None))
    assert len(head) == len(decoding) == len(detect)
    assert detect[0] == "short: detect"
    assert detect[1:] == ("40.00", "8.00", "0.27", "1", "1.00", "1.00")
    assert decoding[5:] == ("1.00", "1.00")


def test_a_process_that_fails_is_no_time(script: dict[str, Any]) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        script["timed"](["-c", "raise SystemExit(1)"], script["SOURCES"])
