"""TOML tables out of files that people write: bounded in size, and every number in them one to reckon with."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refinevad.errors import InputError
from refinevad.files.finite import is_finite

MOST_BYTES = 4 << 20


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The tables of a file; `what` it is begins the sentence of an error.

    NaN and infinities are left to who knows what they would mean.

    Raises:
        InputError: it cannot be read, is too large, or is no TOML; or a whole number in it is beyond every float.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError(f"{what} {path} holds more than {MOST_BYTES:,} bytes")
        tables = tomllib.loads(content.decode("utf-8"))
        large = any(type(value) is int and not is_finite(value) for value in _leaves(tables))
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or too long a number
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{what} {path} is not valid TOML: {reason}") from error
    if large:
        raise InputError(f"{what} {path} holds a whole number that is too large for any use")
    return tables


def _leaves(tables: dict[str, Any]) -> Iterator[Any]:
    """Every value that is no table or list."""
    left: list[Any] = [tables]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value
        else:
            yield value
