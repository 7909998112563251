"""A run in a folder or on a storage that fsspec knows: its files, one beside the other."""

import hashlib
import importlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refinevad.errors import InputError
from refinevad.files.whole import sha256_file
from refinevad.files.whole_folder import whole_folder
from refinevad.run_folder import WEIGHTS
from refinevad.sharing.addresses import StorageAddress
from refinevad.sharing.run_files import MOST, OF_HUBS, check_complete, check_names


def digest_of(files: Mapping[str, str]) -> str:
    """The revision of a place that has none of its own: a digest over names and SHA-256 of its files."""
    lines = "".join(f"{name} {sha256}\n" for name, sha256 in sorted(files.items()))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def push(files: Mapping[str, Path], address: StorageAddress) -> str:
    """Put a run's files there, the weights last; its revision.

    Raises:
        InputError: the place holds another run or other things, or cannot be written.
    """
    with _opened(address) as (system, folder):
        there = _names(system, folder)
        check_names((name for name in there if name not in OF_HUBS), str(address))
        if WEIGHTS in there and _remote_sha256(system, f"{folder}/{WEIGHTS}") != sha256_file(files[WEIGHTS]):
            raise InputError(f"{address} holds another run; choose another place, or remove that run first")
        if "file" in system.protocol:
            _push_here(files, Path(folder), [name for name in there if name in OF_HUBS])
        else:
            _put(files, system, folder, there)
    return digest_of({name: sha256_file(path) for name, path in files.items()})


def _push_here(files: Mapping[str, Path], folder: Path, keep: Sequence[str]) -> None:
    """A folder on this machine is there whole, or as it was."""
    with whole_folder(folder, lambda _: True) as partial:
        for name in keep:
            shutil.copyfile(folder / name, partial / name)
        for name, path in files.items():
            shutil.copyfile(path, partial / name)


def _put(files: Mapping[str, Path], system: Any, folder: str, there: Sequence[str]) -> None:
    """One after the other, the weights last: a storage moves no folders."""
    system.makedirs(folder, exist_ok=True)
    for name in MOST:
        if name in files:
            system.put_file(str(files[name]), f"{folder}/{name}")
        elif name in there:
            system.rm_file(f"{folder}/{name}")


def pull(address: StorageAddress, folder: Path) -> str:
    """Fetch the files of a run that lies there; its revision.

    Raises:
        InputError: as `check_complete`, or there is no such place.
    """
    with _opened(address) as (system, source):
        names = [name for name in _names(system, source) if name not in OF_HUBS]
        if not names:
            raise InputError(f"there is no run at {address}")
        check_complete({name: system.size(f"{source}/{name}") for name in names}, str(address))
        for name in names:
            system.get_file(f"{source}/{name}", str(folder / name))
            if (folder / name).stat().st_size > MOST[name]:
                raise InputError(f"{address}: {name} holds more than {MOST[name]:,} bytes")
    return digest_of({name: sha256_file(folder / name) for name in names})


@contextmanager
def _opened(address: StorageAddress) -> Iterator[tuple[Any, str]]:
    """The storage and the path on it. Raises InputError where its package is missing, or whatever it says."""
    try:
        core: Any = importlib.import_module("fsspec.core")
        system, folder = core.url_to_fs(address.url)
        yield system, folder.rstrip("/")
    except ImportError as error:
        raise InputError(f"{address} needs a package that is not here ({error}); pip install it") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{address} cannot be used: {_first_line(error)}") from error


def _names(system: Any, folder: str) -> list[str]:
    """What lies there, by name; a folder inside ends with a slash."""
    if not system.exists(folder):
        return []
    if not system.isdir(folder):
        raise InputError(f"{folder} is no folder")
    rows = system.ls(folder, detail=True)
    found = [(row["name"].rstrip("/").rpartition("/")[2], row["type"]) for row in rows]
    return sorted(f"{name}/" if kind == "directory" else name for name, kind in found if name)


def _remote_sha256(system: Any, path: str) -> str:
    with system.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
