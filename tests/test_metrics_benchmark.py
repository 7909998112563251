"""benchmarks/metrics.py: the set it makes up is of UCF-Crime's size, and every row runs."""

import runpy
from pathlib import Path

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "metrics.py"))


def test_the_set_is_of_ucf_crimes_size() -> None:
    truth = SCRIPT["made_up_truth"](290, 1_109_680)
    assert len(truth.videos) == 290
    assert sum(not video.normal for video in truth.videos) == 140
    assert len(truth.categories) == 13
    assert abs(truth.frames / 1_109_680 - 1) < 0.01
    assert 0 < truth.anomalous_frames < truth.frames / 2


def test_every_row_runs_at_a_small_size() -> None:
    head, *rows = SCRIPT["rows"](30, 1)
    assert head[1] == "CPU s"
    assert [name.split(",")[0] for name, _ in rows] == ["refinevad metrics"] * 2 + ["refinevad evaluate"] * 2
    assert all(float(seconds) >= 0 for _, seconds in rows)
