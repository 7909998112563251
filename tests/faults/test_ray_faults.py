"""A node killed, the driver killed and begun again, a full object store, a slow node, Ctrl-C: the same bytes each time.

Each test starts a cluster of its own, because it spoils it. `make faults`; no part of `make test`.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from cli_cases import ENVIRONMENT, leftovers
from patience import patience, wait_until
from ray_cluster import cluster
from refinevad.encoders.choice import EncoderChoice
from refinevad.features.encoding import Encoded
from refinevad.features.extraction import extract
from refinevad.features.workers import RayWorkers
from refinevad.machine import ray_pool
from refinevad.machine.ray_pool import OnRay, RayWarning
from refinevad.timeline import SegmentRule
from refinevad.video.frames import Clip
from test_workers import PortableEncoder
from videos import film, write_video

ray = pytest.importorskip("ray", reason="Ray is not installed: refinevad[ray]")
RULE = SegmentRule.default()


class NotingEncoder(PortableEncoder):
    """Leaves a file for each process that encodes, and waits; for ever in a node that a file calls slow."""

    def __init__(self, folder: Path, waits_s: float) -> None:
        super().__init__(waits_s=waits_s)
        self.folder = folder

    def encode(self, clips: Sequence[Clip]) -> np.ndarray:
        node = ray.get_runtime_context().get_node_id()
        (self.folder / node).touch()
        if (self.folder / f"slow-{node}").exists():
            time.sleep(100_000)
        return super().encode(clips)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A dozen short ones and one that is shared."""
    folder = tmp_path_factory.mktemp("films")
    made = [write_video(folder / f"{n}.mkv", frames=40 + n, codec="mpeg4") for n in range(12)]
    return [*made, film(folder / "long.mp4", 700)]


@pytest.fixture(scope="module")
def alone(films: list[Path]) -> list[np.ndarray]:
    return [extract(path, EncoderChoice("lite", PortableEncoder(), None), RULE).values for path in films]


def assert_same(found: dict[int, Any], alone: list[np.ndarray]) -> None:
    assert sorted(found) == list(range(len(alone)))
    for place, values in enumerate(alone):
        assert isinstance(found[place], Encoded), found[place]
        np.testing.assert_array_equal(found[place].vectors, values)


def test_a_node_killed_half_way(films: list[Path], alone: list[np.ndarray], tmp_path: Path) -> None:
    with cluster({}, {}) as started:
        victim = next(node for node in started.list_all_nodes() if node is not started.head_node)

        def kill() -> None:
            wait_until(lambda: len(list(tmp_path.iterdir())) == 2, "work on both nodes", 120)
            started.remove_node(victim, allow_graceful=False)

        killer = threading.Thread(target=kill)
        killer.start()
        with (
            pytest.warns(RayWarning, match="work was begun again on Ray: "),
            RayWorkers(OnRay(started.address)) as workers,
            workers.encode_all(films, NotingEncoder(tmp_path, 1.0), RULE) as files,
        ):
            found = dict(files)
        killer.join()
    assert_same(found, alone)
    assert 1 <= sum(workers.again.values()) <= 3  # what ran on it, not what waited


def test_a_node_that_hangs_is_overtaken(
    films: list[Path], alone: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its call is made a second time elsewhere when nothing else waits."""
    monkeypatch.setattr(ray_pool, "_SLOW_S", 3.0)
    with cluster({}, {}, {}) as started:
        slow = started.list_all_nodes()[-1].node_id
        (tmp_path / f"slow-{slow}").touch()
        with (
            pytest.warns(RayWarning, match="a call lasted much longer than the others"),
            RayWorkers(OnRay(started.address)) as workers,
            workers.encode_all(films, NotingEncoder(tmp_path, 0.1), RULE) as files,
        ):
            found = dict(files)
    assert (tmp_path / slow).exists()
    assert_same(found, alone)


def test_a_full_object_store(films: list[Path], alone: list[np.ndarray]) -> None:
    """Filled to the brim by another program's objects: answers go by the disk."""
    with cluster({"object_store_memory": 80 << 20}) as started, RayWorkers(OnRay(started.address)) as workers:
        held = [ray.put(np.zeros(20 << 20, np.uint8)) for _ in range(4)]
        large = [workers.submit(os.urandom, 30 << 20) for _ in range(5)]
        with workers.encode_all(films, PortableEncoder(), RULE) as files:
            found = dict(files)
        assert [len(each.result(patience(60))) for each in large] == [30 << 20] * 5
        assert len(held) == 4
    assert_same(found, alone)


def in_program(*arguments: object) -> "subprocess.Popen[str]":
    """The program, in a process group of its own as a terminal would give it."""
    command = [sys.executable, "-m", "refinevad", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "RAY_AUTH_MODE": "disabled"},
        start_new_session=True,
    )


def run_whole(*arguments: object) -> None:
    program = in_program(*arguments)
    _, told = program.communicate(timeout=patience(120))
    assert program.returncode == 0, told


@pytest.fixture(scope="module")
def data(films: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 24 videos, the same 12 in two categories."""
    root = tmp_path_factory.mktemp("set")
    for label in ("normal", "fall"):
        (root / "train" / label).mkdir(parents=True)
        for path in films[:12]:
            (root / "train" / label / path.name).symlink_to(path)
    return root


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process makes of it."""
    out = tmp_path_factory.mktemp("whole")
    run_whole("extract", data, "--out", out, "--workers", 1)
    return contents(out)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def made_in(out: Path) -> int:
    return len(list(out.rglob("*.safetensors")))


def test_the_driver_killed_and_begun_again(data: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    with cluster({}) as started:
        first = in_program("extract", data, "--out", tmp_path, "--ray", started.address)
        wait_until(lambda: made_in(tmp_path) >= 3 or first.poll() is not None, "the third video", 180)
        first.kill()
        first.communicate()
        kept = made_in(tmp_path)
        assert 3 <= kept < 24
        second = in_program("extract", data, "--out", tmp_path, "--ray", started.address)
        said, told = second.communicate(timeout=patience(180))
    assert second.returncode == 0, told
    assert f"{24 - kept} videos extracted, {kept} up to date, 0 left out" in said
    assert contents(tmp_path) == whole


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """For temporary files: sockets lie in it, whose paths may not be long."""
    with TemporaryDirectory(prefix="rv", dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_on_a_ray_of_its_own_it_leaves_nothing(
    how: signal.Signals, data: Path, whole: dict[str, bytes], tmp_path: Path, short_folder: Path
) -> None:
    """No process, no half-written file, no folder; it listened on the loopback interface alone; and it goes on."""
    temporary = short_folder
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(ENVIRONMENT, "TMPDIR", str(temporary))
        program = in_program("extract", data, "--out", out, "--ray", "local", "--workers", 2)
    wait_until(lambda: made_in(out) >= 3 or program.poll() is not None, "the third video", 240)
    assert program.poll() is None, program.communicate()[1]
    started = processes_with(str(temporary))
    assert len(started) >= 3
    assert {address for pid in {*started, program.pid} for address in listening(pid)} <= {
        "0100007F",
        _MAPPED,
        _LOOPBACK6,
    }
    os.killpg(program.pid, how)
    _, told = program.communicate(timeout=patience(60))
    assert program.returncode == (130 if how == signal.SIGINT else 143)
    assert "Traceback" not in told
    wait_until(lambda: not processes_with(str(temporary)), "the end of Ray's processes", 60)
    assert leftovers(out) == []
    assert list(temporary.iterdir()) == []
    run_whole("extract", data, "--out", out, "--workers", 1)
    assert contents(out) == whole


_MAPPED, _LOOPBACK6 = "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"


def processes_with(word: str) -> set[int]:
    """Processes whose command line names it."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word in (folder / "cmdline").read_text() and "pytest" not in (folder / "cmdline").read_text():
                found.add(int(folder.name))
        except OSError:
            continue
    return found


def listening(pid: int) -> Iterator[str]:
    """Addresses, as the kernel writes them, on which a process waits for connections."""
    try:
        inodes = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    except OSError:
        return
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                yield fields[1].partition(":")[0]
