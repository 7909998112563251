"""Files that are whole or absent: written beside their place, then moved into it."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from refinevad.errors import InputError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a `.partial` path beside `path`; move it to `path` when the block ends well, delete it otherwise.

    Creates the folder. The suffix of `path` stays last in the temporary name, because writers pick a
    format by suffix.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except (OSError, SafetensorError) as error:  # safetensors wraps the system's errors in its own
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot write {path}: {reason}; free the disk or choose another folder") from error
    finally:
        with suppress(OSError):  # there is nothing to delete where the folder could not be made
            partial.unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
