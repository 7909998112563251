"""JSON that anyone may have written is values, or one kind of error."""

import json

import pytest

from refinevad.files.strict_json import parse_json


def test_values_are_read_with_a_byte_order_mark_too() -> None:
    assert parse_json('\ufeff{"a": [1, null]}') == {"a": [1, None]}


def test_the_largest_and_the_deepest_are_read() -> None:
    assert parse_json("-" + "9" * 308) == -(10**308 - 1)
    assert parse_json('["' + "9" * 400 + '", 7, 1.' + "5" * 400 + "]") == ["9" * 400, 7, 1.5555555555555556]
    assert parse_json("[" * 64 + "]" * 64) == json.loads("[" * 64 + "]" * 64)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * 65 + "]" * 65, "nested too deeply"),
        ('{"a":' * 65 + "1" + "}" * 65, "nested too deeply"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ("{", "Expecting property name"),
        ('{"b": [{"a": 1, "a": 1}]}', "'a' stands twice"),
        ('["' + "9" * 400 + '", ' + "1" * 309 + "]", "a whole number has 309 digits"),
        ('{"a": [-1' + "0" * 308 + "]}", "a whole number has 309 digits"),
        ("9" * 5000, "a whole number has 5,000 digits"),
    ],
)
def test_all_else_is_a_value_error(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_json(text)
