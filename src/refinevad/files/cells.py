"""A table of cells as people read them, kept as CSV: what a benchmark prints, and a page of results shows."""

import csv
from collections.abc import Sequence
from pathlib import Path

from refinevad.errors import InputError
from refinevad.files.json_files import MOST_BYTES, check_regular
from refinevad.files.whole import atomic_write

Cells = Sequence[Sequence[str]]


def write_cells(path: Path, rows: Cells) -> None:
    """Write rows, the head first; the file is there whole or not at all. Raises InputError where it cannot be."""
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def read_cells(path: Path) -> list[list[str]]:
    """The rows, the head first.

    Raises:
        InputError: it cannot be read, is no CSV or empty, or a row is not as wide as the head.
    """
    try:
        check_regular(path, MOST_BYTES)
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except (OSError, ValueError, csv.Error) as error:  # ValueError: not UTF-8
        raise InputError(f"{path} cannot be read as comma-separated values ({error})") from error
    if not rows:
        raise InputError(f"{path} is empty; a table needs a head at least")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise InputError(f"{path}, row {number}: {len(row)} cells under a head of {len(rows[0])}")
    return rows
