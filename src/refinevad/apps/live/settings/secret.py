"""Values that must not be seen: given in place, as env:NAME or as file:PATH; never printed."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from refinevad.errors import InputError

_MOST_BYTES = 64 << 10


@dataclass(frozen=True)
class Secret:
    """A password or key. Its text shows nowhere but in `reveal()`."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        return self._text

    def __str__(self) -> str:
        return "***"


def read_secret(text: str, what: str) -> Secret:
    """The value itself, of the variable in `env:NAME`, or of the file in `file:PATH` (without its last line end).

    Raises:
        InputError: the variable is not set, the file cannot be read, or nothing is in it; `what` names the setting.
    """
    if text.startswith("env:"):
        name = text.removeprefix("env:")
        if name not in os.environ:
            raise InputError(f"{what} is to come from the environment variable {name}, which is not set")
        value = os.environ[name]
    elif text.startswith("file:"):
        path = Path(text.removeprefix("file:"))
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
            value = content.decode("utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a name with a NUL in it
            reason = getattr(error, "strerror", None) or "not UTF-8 text, or no file's name"
            raise InputError(f"{what} is to come from the file {path}, which cannot be read: {reason}") from error
        if len(content) > _MOST_BYTES:
            raise InputError(f"{what} is to come from the file {path}, which holds more than {_MOST_BYTES:,} bytes")
    else:
        value = text
    if not value:
        raise InputError(f"{what} is empty; give a value, env:NAME or file:PATH")
    return Secret(value)
