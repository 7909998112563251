"""JSON text -> values, where a key that stands twice is an error: the first of the two would go unseen."""

import json
from typing import Any

MOST_DEPTH = 64  # lists and objects in each other; Python's recursion limit ends what reads or prints much deeper ones
_MOST_DIGITS = 308  # a whole number of more is beyond every float
_NESTING = (dict, list)
_DIGITS_ALIKE = bytes(ord("0") if chr(byte) in "0123456789" else ord(" ") for byte in range(256))


def parse_json(text: str) -> Any:
    """Values of JSON text, with or without a byte order mark. Every whole number among them fits into a float.

    Raises:
        ValueError: not JSON (json.JSONDecodeError, which has line and column), nested more than `MOST_DEPTH` deep, a
            whole number of more than 308 digits, or a key twice in one object.
    """
    try:
        # numbers are looked at one by one only where some row of digits is that long: an index holds 400,000 of them
        whole = _whole if _has_long_row(text) else None
        content = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_once, parse_int=whole)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _check_depth(content)
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    found.clear()
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key[:100]!r} stands twice; keep one")
        found[key] = value
    return found


def _has_long_row(text: str) -> bool:
    """Whether more digits stand in a row than a whole number may have."""
    alike = text.encode("utf-8", "surrogatepass").translate(_DIGITS_ALIKE)
    return b"0" * (_MOST_DIGITS + 1) in alike


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > _MOST_DIGITS:
        raise ValueError(f"a whole number has {len(digits.lstrip('-')):,} digits, which is too large for any use")
    return int(digits)


def _check_depth(content: Any) -> None:
    level = [content] if type(content) in _NESTING else []
    for _ in range(MOST_DEPTH):
        below: list[Any] = []
        for node in level:
            below += [one for one in (node.values() if type(node) is dict else node) if type(one) in _NESTING]
        if not below:
            return
        level = below
    raise ValueError("nested too deeply")
