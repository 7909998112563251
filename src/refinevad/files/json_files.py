"""JSON objects out of files that anyone may have written: bounded in size and depth, and never waited for."""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from refinevad.errors import InputError
from refinevad.files.remote import RemotePath
from refinevad.files.shown import short
from refinevad.files.strict_json import parse_json

Check = Callable[[Any], bool]

MOST_BYTES = 64 << 20  # figures of a thousand videos take a few megabytes


def check_regular(path: Path, most_bytes: int) -> None:
    """Hold a path to be a file with an end, before anything opens it: opening a pipe would wait for its writer.

    Raises:
        InputError: missing, a folder, a pipe, a device or a socket, links in a circle, or more than `most_bytes`.
    """
    try:
        facts = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(facts.st_mode):
        raise InputError(f"{path} is {_kind(facts.st_mode)} where a file is expected")
    if facts.st_size > most_bytes:
        raise InputError(f"{path} holds {facts.st_size:,} bytes; at most {most_bytes:,} are expected there")


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """The object in a file.

    Raises:
        InputError: no such file, not a regular one, too large, or no JSON object.
    """
    check_regular(path, most_bytes)
    try:
        with _opened(path) as file:
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise InputError(f"{path} holds more than {most_bytes:,} bytes")
        value = parse_json(content.decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise InputError(f"{path} is not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a JSON {type(value).__name__} where an object is expected")
    return value


def _opened(path: Path) -> BinaryIO:
    if isinstance(path, RemotePath):
        file: BinaryIO = path.open("rb")
        return file
    # should a pipe have come into its place meanwhile, this does not wait either
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")


def read_own(path: Path, checks: Mapping[str, Check], remedy: str) -> dict[str, Any]:
    """Read back an object that refinevad wrote; every value that `checks` names must be there and of its kind.

    Keys that it does not name are left alone: another version may have written them.

    Raises:
        InputError: as `read_json`, or a value that is missing or of another kind; the sentence ends with the remedy.
    """
    try:
        content = read_json(path)
    except InputError as error:
        raise InputError(f"{error}; {remedy}") from error
    for name, check in checks.items():
        if name not in content or not check(content[name]):
            said = f"{name} is {short(content[name])}" if name in content else f"{name} is missing"
            raise InputError(f"{path} is damaged or of another version ({said}); {remedy}")
    return content


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
