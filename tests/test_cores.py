"""How many cores may be used, and calls that share them."""

import threading
from pathlib import Path

import pytest

from patience import patience
from refinevad.machine import cores
from refinevad.machine.cores import call_all, usable_cores


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Eight cores to run on, and the file of a container's quota, which does not exist yet."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    return tmp_path / "cpu.max"


def test_every_core_this_process_may_run_on(machine: Path) -> None:
    assert usable_cores() == 8


@pytest.mark.parametrize(
    ("quota", "wanted"), [("max 100000\n", 8), ("250000 100000\n", 2), ("50000 100000\n", 1), ("9900000 100000", 8)]
)
def test_a_containers_quota_counts(quota: str, wanted: int, machine: Path) -> None:
    machine.write_text(quota)
    assert usable_cores() == wanted


@pytest.mark.parametrize(("value", "wanted"), [("3", 3), ("12", 12), ("0", 8), ("", 8), ("many", 8)])
def test_the_variable_others_read_counts_first(
    value: str, wanted: int, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert usable_cores() == wanted


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_calls_order(threads: int) -> None:
    assert call_all([lambda n=n: n * n for n in range(20)], threads) == [n * n for n in range(20)]
    assert call_all([], threads) == []


def test_calls_run_side_by_side() -> None:
    """Each waits for the other: in turn they would never end."""
    meet = threading.Barrier(2, timeout=patience(30))
    assert sorted(call_all([meet.wait, meet.wait], 2)) == [0, 1]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_error_is_raised_and_no_thread_is_left(threads: int) -> None:
    begun: list[int] = []

    def call(number: int) -> int:
        begun.append(number)
        if number >= 4:
            raise ValueError(f"call {number}")
        return number

    with pytest.raises(ValueError, match="call 4"):
        call_all([lambda n=n: call(n) for n in range(200)], threads)
    assert len(begun) < 200
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cores")]
