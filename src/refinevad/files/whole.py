"""Files that are whole or absent: written beside their place, then moved into it."""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError

from refinevad.errors import InputError
from refinevad.files.remote import RemotePath

_BLOCKS, _BLOCK_BYTES = 16, 65_536
_NAME_BYTES = 255
_PARTIAL = re.compile(r"\..*\.(?P<pid>[1-9]\d*)\.partial(\.[^.]*)?")


def fitting(stem: str, rest: str) -> str:
    """The stem as it is where a file system takes `stem + rest` for a name; else its beginning and a digest of it.

    Names are counted in bytes, at most 255 of them, of which a letter may take four.
    """
    room = _NAME_BYTES - len(os.fsencode(rest))
    if len(os.fsencode(stem)) <= room:
        return stem
    digest = f"~{hashlib.sha256(os.fsencode(stem)).hexdigest()[:12]}"
    begin = stem
    while len(os.fsencode(begin)) > room - len(digest):
        begin = begin[:-1]
    return f"{begin}{digest}"


def is_there(path: Path) -> bool:
    """Whether a file or folder has this name; too long a one, or one with a NUL in it, has none, and is no error."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a `.partial` path beside `path`; move it to `path` when the block ends well, delete it otherwise.

    What is no file, such as /dev/stdout or a pipe, stays what it is and gets the finished bytes; links are written
    through. What lies elsewhere (remote.py) is made here, and sent when it is finished. Creates the folder, and removes
    from it what processes that were killed left half-written. The suffix of `path` stays last in the temporary name,
    because writers pick a format by suffix.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    if isinstance(path, RemotePath):
        with _sent(path) as whole:
            yield whole
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))  # written through, as anything else would: /dev/stdout is a link, too
    if _is_stream(path):
        with _in_stream(path) as whole:
            yield whole
        return
    end = f".{os.getpid()}.partial{path.suffix}"
    partial = path.with_name(f".{fitting(path.stem, f'.{end}')}{end}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent.absolute())
        mode = _usual_mode(partial) if path.suffix == ".safetensors" else None
        yield partial
        if mode is not None:  # safetensors closes its files to all but their owner; a service is another user
            partial.chmod(mode)
        partial.replace(path)
    except (OSError, SafetensorError) as error:  # safetensors wraps the system's errors in its own
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot write {path}: {reason}; free the disk or choose another folder") from error
    finally:
        with suppress(OSError):  # there is nothing to delete where the folder could not be made
            partial.unlink(missing_ok=True)


def _is_stream(path: Path) -> bool:
    """Whether a device, a pipe or a socket stands there: moving a file to its place would end it, for everyone."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextmanager
def _sent(path: RemotePath) -> Iterator[Path]:
    with TemporaryDirectory(prefix="refinevad-") as folder:
        whole = Path(folder, f"whole{path.suffix}")
        yield whole
        try:
            path.put(whole)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"cannot write {path}: {reason}; see that it may be written, and is reached") from error


@contextmanager
def _in_stream(path: Path) -> Iterator[Path]:
    with TemporaryDirectory(prefix="refinevad-") as folder:
        whole = Path(folder, f"whole{path.suffix}")
        yield whole
        try:
            # a pipe that nobody reads is an error, not waited for
            stream = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            os.set_blocking(stream, True)
            with whole.open("rb") as source, os.fdopen(stream, "wb") as sink:
                shutil.copyfileobj(source, sink)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _usual_mode(path: Path) -> int:
    """Permissions that a new file gets here; made, and left empty, because asking for the umask would change it."""
    with path.open("wb") as file:
        return os.fstat(file.fileno()).st_mode & 0o777


@lru_cache(maxsize=1024)  # once a folder and process: listing it for each of its files would take long
def _sweep(folder: Path) -> None:
    """Remove the `.partial` files of processes that no longer run here."""
    for left in folder.glob(".*.partial*"):
        found = _PARTIAL.fullmatch(left.name)
        if found and not is_running(int(found["pid"])):
            left.unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's process, or no process number at all
        return True
    return True


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sampled_sha256(path: Path) -> str:
    """SHA-256 of a file's length and of 16 blocks of 64 KiB spread over it, its first and last bytes among them.

    A recording of any length costs a mebibyte to read; what edits a compressed video moves bytes in most blocks.
    """
    length = path.stat().st_size
    digest = hashlib.sha256(str(length).encode())
    with path.open("rb") as file:
        for block in range(_BLOCKS):
            file.seek(max(0, length - _BLOCK_BYTES) * block // (_BLOCKS - 1))
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()
