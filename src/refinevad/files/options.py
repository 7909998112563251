"""Options that people write in recipes: each value is what its dataclass says, or one sentence tells which is not."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from refinevad.errors import InputError
from refinevad.files.finite import is_finite
from refinevad.files.shown import short

_MOST_WHOLE = 1 << 31  # a seed beyond it is no seed everywhere, and of nothing else can there be so many


def check_options(kind: str, known: type, values: Mapping[str, Any], at_least: Mapping[str, int | float]) -> None:
    """Hold values against the names and annotations of the dataclass `known`, and against lower bounds.

    Raises:
        InputError: a name it does not have, or a value that is none of a Literal's choices, of another type, not
            finite, or too small.
    """
    declared = get_type_hints(known)
    hints = {field.name: declared[field.name] for field in fields(known)}
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise InputError(f"unknown {kind} option {', '.join(unknown)}; known: {', '.join(sorted(hints))}")
    for name, value in values.items():
        hint = hints[name]
        if get_origin(hint) is Literal and value not in get_args(hint):
            raise InputError(f"{kind} option {name} is one of {', '.join(get_args(hint))}: got {short(value)}")
        if hint is float and not is_finite(value):
            raise InputError(f"{kind} option {name} is a number: got {short(value)}")
        if hint in (int, bool) and type(value) is not hint:
            needed = "a whole number" if hint is int else "true or false"
            raise InputError(f"{kind} option {name} is {needed}: got {short(value)}")
        if type(value) is int and abs(value) > _MOST_WHOLE:
            raise InputError(f"{kind} option {name} can be {_MOST_WHOLE:,} at most: got {short(value)}")
        if name in at_least and value < at_least[name]:
            raise InputError(f"{kind} option {name} must be at least {at_least[name]:g}: got {value!r}")
