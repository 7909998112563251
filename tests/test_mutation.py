"""What `make mutants` is told: its files and tests are there, and what it explains still stands in the source."""

import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "refinevad"
TARGETS = tomllib.loads((TESTS / "mutation" / "targets.toml").read_text())["targets"]
EXPLAINED = tomllib.loads((TESTS / "mutation" / "explained.toml").read_text())["mutants"]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["file"])
def test_targets_are_there(target: dict[str, object]) -> None:
    source = (SOURCE / str(target["file"])).read_text()
    assert all((TESTS / name).exists() for name in target["tests"])  # type: ignore[attr-defined]
    assert all(words in source for words in target.get("always", []))  # type: ignore[attr-defined]


@pytest.mark.parametrize("row", EXPLAINED, ids=lambda row: f"{row['file']}: {row['mutant']}")
def test_what_is_explained_stands_in_the_source(row: dict[str, str]) -> None:
    before, after = row["mutant"].split("  ->  ")
    assert before in {
        " ".join(line.split("  #")[0].split()) for line in (SOURCE / row["file"]).read_text().splitlines()
    }
    assert after != before
    assert row["why"].endswith(".")
    assert row["file"] in {target["file"] for target in TARGETS}
