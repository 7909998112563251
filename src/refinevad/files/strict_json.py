"""JSON text -> values, where a key that stands twice is an error: the first of the two would go unseen."""

import json
from typing import Any

MOST_DEPTH = 64  # lists and objects in each other; Python's recursion limit ends what reads or prints much deeper ones
_MOST_DIGITS = 308  # a whole number of more is beyond every float


def parse_json(text: str) -> Any:
    """Values of JSON text, with or without a byte order mark. Every whole number among them fits into a float.

    Raises:
        ValueError: not JSON (json.JSONDecodeError, which has line and column), nested more than `MOST_DEPTH` deep, a
            whole number of more than 308 digits, or a key twice in one object.
    """
    try:
        content = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_once, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _check_depth(content)
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key[:100]!r} stands twice; keep one")
        found[key] = value
    return found


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > _MOST_DIGITS:
        raise ValueError(f"a whole number has {len(digits.lstrip('-')):,} digits, which is too large for any use")
    return int(digits)


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(MOST_DEPTH):
        inner = (node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list))
        level = [node for nodes in inner for node in nodes if isinstance(node, dict | list)]
        if not level:
            return
    raise ValueError("nested too deeply")
