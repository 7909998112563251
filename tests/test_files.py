"""Files that are whole, that others may read, and that are told apart without reading all of them."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from refinevad.errors import InputError
from refinevad.files.whole import atomic_write, sampled_sha256


@pytest.mark.parametrize("length", [0, 1, 65_536, 65_537, 3_000_000])
def test_the_same_bytes_elsewhere_have_the_same_digest(tmp_path: Path, length: int) -> None:
    content = bytes(i * 7 % 251 for i in range(length))
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(content)
    assert sampled_sha256(tmp_path / "a") == sampled_sha256(tmp_path / "b")


def test_another_length_or_another_byte_at_either_end_or_in_a_block_changes_it(tmp_path: Path) -> None:
    """Of 3,000,000 bytes the second block begins at (3,000,000 - 65,536) / 15 = 195,630."""
    path, content = tmp_path / "video", bytes(3_000_000)
    path.write_bytes(content)
    seen = {sampled_sha256(path)}
    for place in (0, 195_631, 2_999_999):
        path.write_bytes(content[:place] + b"\1" + content[place + 1 :])
        seen.add(sampled_sha256(path))
    path.write_bytes(content + b"\0")
    seen.add(sampled_sha256(path))
    assert len(seen) == 5


def test_weights_are_readable_by_whom_the_umask_lets(tmp_path: Path) -> None:
    """A service runs as another user than the one who trained."""
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "model.safetensors") as partial:
            save_file({"weight": np.zeros(3, np.float32)}, partial)
    finally:
        os.umask(before)
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_pipe_stays_a_pipe_and_gets_the_finished_bytes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(pipe) as partial:
        partial.write_bytes(b"whole")
    assert os.read(reader, 100) == b"whole"
    os.close(reader)
    with pytest.raises(InputError, match=r"cannot write .*pipe\.json"), atomic_write(pipe):
        pass  # nobody reads it now
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    """As root a file that was moved to /dev/null would take the place of it, for every program of the machine."""
    null = tmp_path / "null"
    try:
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    with atomic_write(null) as partial:
        partial.write_bytes(b"anything")
    assert stat.S_ISCHR(null.stat().st_mode)


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "target.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    with atomic_write(link) as partial:
        partial.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["target.json"]
