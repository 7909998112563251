"""Folders that are whole or absent: filled beside their place, then moved into it."""

import filecmp
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from refinevad.errors import InputError
from refinevad.files.whole import fitting, is_running

_END = "partial-folder"
_LEFT = re.compile(rf"\..*\.(?P<pid>[1-9]\d*)\.{_END}")


@contextmanager
def whole_folder(path: Path, replaces: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield an empty folder beside `path`; move it to `path` when the block ends well, delete it otherwise.

    What is equal to the byte stays as it lies. `replaces`: whether a folder with something in it may be replaced.

    Raises:
        InputError: something else stands there, or the folder cannot be written.
    """
    path = path.absolute()
    _check_place(path, replaces)
    end = f".{os.getpid()}.{_END}"
    partial = path.with_name(f".{fitting(path.name, f'.{end}')}{end}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        partial.mkdir()
        yield partial
        _check_place(path, replaces)  # something may have come there meanwhile
        if path.is_dir() and _same(partial, path):
            return
        _move(partial, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write {path}: {reason}; free the disk or choose another folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_place(path: Path, replaces: Callable[[Path], bool]) -> None:
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_dir():
        raise InputError(f"{path} is no folder; choose another name")
    if any(path.iterdir()) and not replaces(path):
        raise InputError(f"{path} holds other things; choose a folder that is empty or not there yet")


def _same(first: Path, second: Path) -> bool:
    names = sorted(one.name for one in first.iterdir())
    if names != sorted(one.name for one in second.iterdir()):
        return False
    return not any(filecmp.cmpfiles(first, second, names, shallow=False)[1:])


def _move(partial: Path, path: Path) -> None:
    """Put `partial` in the place of `path`, and of what lies there."""
    if not path.exists():
        partial.rename(path)
        return
    old = partial.with_name(partial.name.replace(f".{_END}", f"0.{_END}"))
    path.rename(old)
    try:
        partial.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what processes that no longer run here left half-filled."""
    for left in folder.glob(f".*.{_END}"):
        found = _LEFT.fullmatch(left.name)
        if found and not is_running(int(found["pid"])):
            shutil.rmtree(left, ignore_errors=True)
