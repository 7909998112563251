"""safetensors files whose bytes follow from what is in them: the library writes metadata in an order of chance."""

import json
import struct
from pathlib import Path

_LENGTH = struct.Struct("<Q")


def sort_metadata(path: Path) -> None:
    """Put the metadata of a safetensors file in the order of their names, in place; all else stays where it is."""
    with path.open("r+b") as file:
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        header = json.loads(file.read(length))
        if len(header.get("__metadata__", ())) < 2:
            return
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(text) <= length, "the same values in another order are as long"
        file.seek(_LENGTH.size)
        file.write(text.ljust(length))
