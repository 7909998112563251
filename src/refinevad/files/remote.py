"""Files that lie elsewhere, at an address that fsspec opens (`s3://bucket/a.mp4`, `sftp://host/a.mp4`), as paths.

A `RemotePath` is a `Path` in all that is asked of files here: whether it is there, its size and time, its bytes, what
lies below it. Bytes are read by ranges: blocks that are kept for a while, whoever in this process asks for them again.
What is written goes through `files.whole.atomic_write`. fsspec is imported with the first such path.
"""

import io
import os
import stat as modes
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from pathlib import Path, PosixPath
from tempfile import TemporaryDirectory
from typing import Any

from refinevad.errors import InputError

BLOCK_BYTES = 4 << 20  # a read of a store far away takes as long as a few MB
_BLOCKS = 16
_KNOWN_S = 5.0  # for which it is believed that nobody else has changed a file
_SEPARATOR = "://"
# stores in which an object appears whole; elsewhere it is written beside its place and moved
_WHOLE = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "hf", "memory"))


def located(text: str) -> Path:
    """What a person named: a path here, or an address of elsewhere."""
    scheme, found, rest = text.partition(_SEPARATOR)
    if not found or not scheme.replace("+", "").isalnum():
        return Path(text)
    return Path(f"/{rest.lstrip('/')}") if scheme in ("file", "local") else RemotePath(f"{scheme}:", rest)


def as_path(path: str | os.PathLike[str]) -> Path:
    """As `located`, of what may be a path already."""
    return path if isinstance(path, Path) else located(os.fspath(path))


class RemotePath(PosixPath):
    """An address of elsewhere. What asks raises OSError where the store cannot answer, as a path's methods do."""

    def __new__(cls, *parts: str | os.PathLike[str]) -> "RemotePath":
        whole = "/".join(os.fspath(part) for part in parts)
        return super().__new__(cls, whole.replace(_SEPARATOR, ":/"))

    def __str__(self) -> str:
        scheme, *rest = self.parts or ("",)
        return f"{scheme}//{'/'.join(rest)}" if scheme.endswith(":") else super().__str__()

    def absolute(self) -> "RemotePath":
        return self

    def is_absolute(self) -> bool:
        return True

    def expanduser(self) -> "RemotePath":
        return self

    def is_symlink(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        info = _info(self)
        folder = info["type"] == "directory"
        changed_ns = _changed_ns(info)
        mode = modes.S_IFDIR | 0o755 if folder else modes.S_IFREG | 0o644
        seconds = changed_ns // 1_000_000_000
        return os.stat_result(
            (mode, 0, 0, 1, 0, 0, int(info.get("size") or 0), seconds, seconds, seconds), {"st_mtime_ns": changed_ns}
        )

    def exists(self) -> bool:
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        return self.exists() and modes.S_ISDIR(self.stat().st_mode)

    def is_file(self) -> bool:
        return self.exists() and modes.S_ISREG(self.stat().st_mode)

    def iterdir(self) -> Generator["RemotePath", None, None]:
        with _answering(self) as store:
            names = [str(each["name"]).rstrip("/").rpartition("/")[2] for each in store.ls(_within(self), detail=True)]
        yield from [self / name for name in sorted(names) if name]

    def walk_files(self) -> Iterator["RemotePath"]:
        """Every file below it, in order, with one listing of the store where that can."""
        inside = _within(self)
        with _answering(self) as store:
            found = store.find(inside, withdirs=False, detail=True)
        begin = inside.strip("/")
        for name in sorted(found):
            yield self / name.strip("/").removeprefix(begin).lstrip("/")

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        with _answering(self) as store:
            store.makedirs(_within(self), exist_ok=True)

    def unlink(self, missing_ok: bool = False) -> None:
        _info_then.cache_clear()
        with _answering(self) as store:
            if not missing_ok or store.exists(_within(self)):
                store.rm(_within(self))

    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """Its bytes, or their text, to be read."""
        if set(mode) - set("rbt"):
            raise OSError(f"{self} is written whole, by atomic_write")
        file = io.BufferedReader(RangedFile(self))
        return file if "b" in mode else io.TextIOWrapper(file, encoding or "utf-8", errors, newline)

    def put(self, source: Path) -> None:
        """Have the bytes of a file here in its place, all at once."""
        inside = _within(self)
        _info_then.cache_clear()
        with _answering(self) as store:
            if self.parts[0].rstrip(":") in _WHOLE:
                store.put_file(str(source), inside)
                return
            store.makedirs(inside.rpartition("/")[0], exist_ok=True)
            partial = f"{inside.rpartition('/')[0]}/.{self.name}.{os.getpid()}.partial"
            store.put_file(str(source), partial)
            store.mv(partial, inside)


class RangedFile(io.RawIOBase):
    """A remote file's bytes, read by ranges."""

    def __init__(self, path: RemotePath) -> None:
        status = path.stat()
        self._path, self._size, self._version = path, status.st_size, status.st_mtime_ns
        self.name, self.mode = str(path), "rb"  # as any open file has
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        number, offset = divmod(self._place, BLOCK_BYTES)
        if self._place >= self._size:
            return 0
        block = _block(self._path, self._version, self._size, number, BLOCK_BYTES)
        part = block[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = max(offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence], 0)
        return self._place

    def tell(self) -> int:
        return self._place


@contextmanager
def here(path: Path) -> Iterator[Path]:
    """A path whose bytes lie on this machine: itself, or while this lasts a copy of what is remote."""
    if not isinstance(path, RemotePath):
        yield path
        return
    with TemporaryDirectory(prefix="refinevad-") as folder:
        copy = Path(folder, f"copy{path.suffix}")
        with _answering(path) as store:
            store.get_file(_within(path), str(copy))
        yield copy


@lru_cache(maxsize=_BLOCKS)
def _block(path: RemotePath, version: int, size: int, number: int, length: int) -> bytes:
    """Bytes of one block. `version`: tells a file that was written anew from the one before."""
    start = number * length
    with _answering(path) as store:
        return bytes(store.cat_file(_within(path), start=start, end=min(start + length, size)))


def _info(path: RemotePath) -> dict[str, Any]:
    """What the store says of a file; whoever opens a video asks ten times in a moment."""
    return _info_then(path, int(time.monotonic() / _KNOWN_S))


@lru_cache(maxsize=4096)
def _info_then(path: RemotePath, tick: int) -> dict[str, Any]:
    with _answering(path) as store:
        return dict(store.info(_within(path)))


def _changed_ns(info: dict[str, Any]) -> int:
    """When it was changed, in nanoseconds since 1970; 0 where the store does not say."""
    for name in ("LastModified", "last_modified", "mtime", "updated", "modified", "created"):
        when = info.get(name)
        if isinstance(when, str):
            when = datetime.fromisoformat(when)
        if isinstance(when, datetime):
            since = when if when.tzinfo else when.replace(tzinfo=UTC)
            return round(since.timestamp() * 1_000_000) * 1000
        if isinstance(when, int | float):
            return int(when * 1_000_000_000)
    return 0


@lru_cache(maxsize=64)
def _store(scheme: str, host: str) -> Any:
    """fsspec's file system of an address. Raises InputError where a package is missing that speaks with it."""
    try:
        return import_module("fsspec").core.url_to_fs(f"{scheme}://{host}/")[0]
    except ImportError as error:
        raise InputError(f"{scheme}:// cannot be opened here ({error}); pip install 'refinevad[ray]'") from error
    except ValueError as error:
        raise InputError(f"{scheme}:// is no address that fsspec knows ({error})") from error


def _within(path: RemotePath) -> str:
    """The path as its store names it."""
    return str(_store(*_root(path))._strip_protocol(str(path)))


def _root(path: RemotePath) -> tuple[str, str]:
    return path.parts[0].rstrip(":"), path.parts[1] if len(path.parts) > 1 else ""


@contextmanager
def _answering(path: RemotePath) -> Iterator[Any]:
    """The store that a path lies in; whatever it raises becomes an OSError, by which a path's callers know failure."""
    try:
        yield _store(*_root(path))
    except (OSError, InputError) as error:
        if isinstance(error, OSError) and not error.filename:
            error.filename = str(path)
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else path}") from error
