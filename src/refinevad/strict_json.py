"""JSON text -> values, where a key that stands twice is an error: the first of the two would go unseen."""

import json
from typing import Any


def parse_json(text: str) -> Any:
    """Values of JSON text, with or without a byte order mark.

    Raises:
        ValueError: not JSON (json.JSONDecodeError, which has line and column), nested too deeply, or a key twice in
            one object.
    """
    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands twice; keep one")
        found[key] = value
    return found
