"""One pool of worker processes: results, Ctrl-C in real processes, work that is left, workers that are killed."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from multiprocessing import active_children
from pathlib import Path

import pytest

from refinevad.errors import InputError, RefineVADError
from refinevad.machine.worker_pool import WorkerPool, deaths_told
from videos import film

LONG_S = 300.0  # beyond a test's limit: who waits for it fails
NAP_S = 0.1  # a signal that comes between Python's last look and the sleep is seen after it


def children() -> set[int]:
    return {child.pid for child in active_children() if child.pid is not None}


def long_work(folder: Path) -> None:
    """Takes for ever, and leaves nothing half-written."""
    half = folder / f"half-{os.getpid()}"
    half.touch()
    try:
        for _ in range(int(LONG_S / NAP_S)):
            time.sleep(NAP_S)
    except KeyboardInterrupt:
        (folder / f"interrupted-{os.getpid()}").touch()
        raise
    finally:
        half.unlink()


def refuse(text: str) -> None:
    raise InputError(text)


def wait_for(folder: Path, pattern: str, count: int) -> None:
    while len(list(folder.glob(pattern))) < count:  # the test's own limit ends it
        time.sleep(0.05)


def test_calls_are_made_elsewhere_and_errors_come_through() -> None:
    before = children()
    with WorkerPool(2) as pool:
        assert len(children() - before) == 2
        futures = [pool.submit(pow, number, 2) for number in range(5)]
        assert [future.result() for future in futures] == [0, 1, 4, 9, 16]
        assert pool.submit(os.getpid).result() in children() - before
        assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
        with pytest.raises(InputError, match="no such thing"):
            pool.submit(refuse, "no such thing").result()
        assert pool.submit(pow, 3, 3).result() == 27
    assert children() == before


def test_what_is_left_is_interrupted_and_what_waits_is_not_begun(tmp_path: Path) -> None:
    """By an error in this process, which no signal tells the workers of."""
    before, queued = children(), []

    def leave() -> None:
        with WorkerPool(2) as pool:
            queued.extend(pool.submit(long_work, tmp_path) for _ in range(9))
            wait_for(tmp_path, "half-*", 2)
            raise InputError("the disk is full")

    with pytest.raises(InputError, match="the disk is full"):
        leave()
    assert children() == before
    assert len(list(tmp_path.glob("interrupted-*"))) == 2
    assert not list(tmp_path.glob("half-*"))
    assert len(queued) == 9
    assert all(future.done() for future in queued)


def test_a_killed_worker_is_one_sentence(tmp_path: Path) -> None:
    """The others of its pool are interrupted, and nobody waits for it."""
    before = children()

    def kill() -> None:
        with deaths_told("counts", "count again"), WorkerPool(2) as pool:
            futures = [pool.submit(long_work, tmp_path) for _ in range(2)]
            wait_for(tmp_path, "half-*", 2)
            os.kill(min(children() - before), signal.SIGKILL)
            futures[0].result()

    with pytest.raises(RefineVADError, match="a process that counts was killed, perhaps for want of memory; count ag"):
        kill()
    assert children() == before


PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import numpy as np
from fakes import MeanEncoder
from refinevad.encoders.choice import EncoderChoice
from refinevad.features.extraction import extract
from refinevad.features.workers import Workers
from refinevad.timeline import SegmentRule
from test_worker_pool import long_work

class Slow(MeanEncoder):
    portable = True

    def encode(self, clips):
        long_work(Path(sys.argv[2]))

if __name__ == "__main__":
    with Workers(2) as workers:
        extract(Path(sys.argv[1]), EncoderChoice("lite", Slow(), None), SegmentRule.default(), workers=workers)
"""


def start(tmp_path: Path) -> "subprocess.Popen[str]":
    """A real process whose two workers read shares of a recording for ever, in a process group of its own."""
    script = tmp_path / "reads_shares.py"
    script.write_text(textwrap.dedent(PROGRAM).format(tests=str(Path(__file__).parent)))
    (tmp_path / "marks").mkdir()
    recording = film(tmp_path / "v.mp4", 900)
    return subprocess.Popen(
        [sys.executable, script, recording, tmp_path / "marks"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("whole_group", [True, False], ids=["as a terminal does", "the parent alone"])
def test_ctrl_c_while_shares_are_read(whole_group: bool, tmp_path: Path) -> None:
    process = start(tmp_path)
    try:
        wait_for(tmp_path / "marks", "half-*", 2)
        workers = [int(mark.name.rpartition("-")[2]) for mark in (tmp_path / "marks").glob("half-*")]
        tell = os.killpg if whole_group else os.kill
        tell(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=LONG_S)
        assert process.returncode != 0
        # the parent's, with the worker's that it may have had as a result; no worker tells of its own
        assert err.count("Traceback (most recent call last)") == 1 + err.count("The above exception")
        assert "KeyboardInterrupt" in err
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        assert len(list((tmp_path / "marks").glob("interrupted-*"))) == 2
        assert not list((tmp_path / "marks").glob("half-*"))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
