"""A disk that is full, or a quota: one sentence, and nothing half-written."""

import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cli_cases import ENVIRONMENT, FAKES, call, error_of, leftovers, make_run, make_set
from patience import patience
from small_disk import small_disk_at

pytestmark = pytest.mark.usefixtures("small_encoder")

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set") / "videos")


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(data, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk_at(tmp_path / "disk", "64k") as place:
        yield place


def test_a_full_disk_in_extract(data: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = small_disk / "features"
    (small_disk / "other").write_bytes(b"x" * (64 << 10) if not _fits(small_disk, 56 << 10) else b"x" * (40 << 10))
    assert call("extract", data, "--out", out, "--workers", 1) == 2
    assert "No space left on device" in error_of(capsys)
    assert leftovers(small_disk) == []
    made = len(list(out.rglob("*.safetensors")))
    (small_disk / "other").unlink()
    assert call("extract", data, "--out", out, "--workers", 1, "--json", "-") in (0, 2)
    assert len(list(out.rglob("*.safetensors"))) >= made


def _fits(place: Path, size: int) -> bool:
    return shutil.disk_usage(place).free >= size


def test_a_full_disk_in_train_and_detect(
    data: Path, run: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = run / "features"
    assert call("train", data, "--out", small_disk / "run", "--features", features, "--workers", 1, "--epochs", 1) == 2
    assert "No space left on device" in error_of(capsys)
    assert leftovers(small_disk) == []
    free = shutil.disk_usage(small_disk).free
    (small_disk / "other").write_bytes(b"x" * max(free - 4096, 0))
    assert call("detect", data / "test" / "fall" / "0.mkv", "--model", run, "--out", small_disk / "found") == 2
    assert "No space left on device" in error_of(capsys)
    assert leftovers(small_disk) == []


def test_a_write_that_fails_halfway(data: Path, tmp_path: Path) -> None:
    """Where nothing can be mounted: files above 1 KB fail, as at the end of a quota."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

    command = [sys.executable, "-B", str(FAKES), "extract", str(data), "--out", str(tmp_path / "out"), "--workers", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=ENVIRONMENT, timeout=patience(60), preexec_fn=limit
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("refinevad: error: cannot write ") == 1
    assert "Traceback" not in done.stderr
    assert leftovers(tmp_path) == []
    assert not list(tmp_path.rglob("*.safetensors"))
