"""A sentence can be read, whatever a file made it repeat."""

import pytest

from refinevad.errors import InputError, RefineVADError


@pytest.mark.parametrize("kind", [RefineVADError, InputError])
def test_a_sentence_that_repeats_an_endless_value_keeps_its_two_ends(kind: type[RefineVADError]) -> None:
    assert str(kind("the file is empty; copy it again")) == "the file is empty; copy it again"
    whole = "a" * 10_000
    assert str(kind(whole)) == whole
    said = str(kind(f"r.toml: unknown table {'x' * 70_000}; known: train"))
    assert len(said) < 10_000
    assert said.startswith("r.toml: unknown table xxx")
    assert said.endswith("xxx; known: train")
