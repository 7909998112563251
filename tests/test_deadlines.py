"""A run of tests ends: by a worker's death, by a test that sleeps for ever, by one that cannot be interrupted."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import patience
from patience import slowness, wait_until

TESTS = Path(__file__).parent
SETTINGS = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]


def run(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """pytest over a folder of its own, with this suite's limits and half a second in place of minutes."""
    ours = [word for word in SETTINGS["addopts"].split() if "worker" in word]
    command = [sys.executable, "-m", "pytest", "-v", "-p", "deadlines", "-o", "timeout=0.5", *ours, *options]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "REFINEVAD_TEST_BEYOND_S": "0.5"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_worker_that_dies_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("import os\ndef test_dies(): os._exit(3)\ndef test_after(): pass\n")
    for name in "bcd":
        (tmp_path / f"test_{name}.py").write_text("def test_one(): pass\ndef test_two(): pass\n")
    done = run(tmp_path, "-n", "2", "--dist", "loadfile")
    assert done.returncode == 1
    assert "crashed while running 'test_a.py::test_dies'" in done.stdout


def test_a_test_that_hangs_fails_and_one_that_nothing_stops_ends_its_process(tmp_path: Path) -> None:
    lines = [
        "import collections, itertools, time",
        "def test_sleeps(): time.sleep(100_000)",
        "def test_goes_on(): pass",
        "def test_cannot_be_stopped(): collections.deque(itertools.repeat(0), maxlen=0)",
    ]
    (tmp_path / "test_a.py").write_text("\n".join(lines) + "\n")
    done = run(tmp_path)
    assert done.returncode == 1
    for said in ("test_sleeps FAILED", "test_goes_on PASSED"):
        assert said in done.stdout
    assert "Timeout (" in done.stderr
    assert "in test_cannot_be_stopped" in done.stderr


@pytest.mark.parametrize(
    ("load", "schedule", "times"),
    [
        (0.2, "1000 0 7", 1.0),  # idle
        (6.0, "1000 0 7", 3.0),  # six want two cores
        (6.0, "1000 9000 7", 10.0),  # niced: let for one part in ten
        (6.0, "0 0 0", 3.0),  # nothing was counted
    ],
)
def test_how_slow_a_machine_is(
    load: float, schedule: str, times: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "schedstat").write_text(schedule)
    monkeypatch.setattr(patience, "_SCHEDULE", tmp_path / "schedstat")
    monkeypatch.setattr(patience, "_PROCESSOR", 0.5)  # a faster one gets no shorter limits
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 9.0, 9.0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    assert slowness() == times
    monkeypatch.setattr(patience, "_PROCESSOR", 2.0)
    assert patience.patience(30.0) == 60.0 * times


def test_what_does_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "slowness", lambda: 1.0)
    asked: list[int] = []
    wait_until(lambda: len(asked) == 3 or bool(asked.append(0)))
    assert len(asked) == 3
    with pytest.raises(AssertionError, match="the moon did not come"):
        wait_until(lambda: False, "the moon", 0.05)
