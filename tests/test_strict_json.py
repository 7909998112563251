"""JSON that anyone may have written is values, or one kind of error."""

import pytest

from refinevad.strict_json import parse_json


def test_values_are_read_with_a_byte_order_mark_too() -> None:
    assert parse_json('\ufeff{"a": [1, null]}') == {"a": [1, None]}


@pytest.mark.parametrize(
    ("text", "why"),
    [("[" * 100_000, "nested too deeply"), ('{"a": 1, "a": 2}', "'a' stands twice"), ("{", "Expecting property name")],
)
def test_all_else_is_a_value_error(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_json(text)
