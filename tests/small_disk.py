"""File systems of our own that tests can fill. The fixture `disk` is a plugin; they need root, and leave to mount."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from server_programs import mounted


@contextmanager
def small_disk_at(place: Path, size: str) -> Iterator[Path]:
    """A file system of so much, such as "24m", at a folder that is made for it; skips where none can be mounted."""
    place.mkdir()
    with ExitStack() as held:
        try:
            held.enter_context(mounted(place, size))
        except OSError as error:
            pytest.skip(str(error))
        yield place


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    with small_disk_at(tmp_path / "disk", "24m") as place:
        yield place


def fill(disk: Path) -> Path:
    """Until nothing more goes."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"0" * size)
            except OSError:
                continue
    return ballast
