"""A CSV file with a header -> its rows, as people and spreadsheets save them; what has two meanings is refused."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from refinevad.errors import InputError
from refinevad.files.json_files import check_regular

MOST_BYTES = 1 << 30
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Row:
    """One row: its line in the file, and the value of each column without blanks around it ("" where it is absent)."""

    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")


@dataclass(frozen=True)
class Table:
    """The columns, in small letters and in order, and the rows that are not empty."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """Read comma-separated values in UTF-8, with or without a byte order mark. Names of columns may be in any case.

    Raises:
        InputError: a folder or a pipe, too large, not UTF-8, other separators than commas, a column twice, or a row
            with more values than columns.
        OSError: the file cannot be read.
    """
    if path.exists():
        check_regular(path, MOST_BYTES)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next((row for row in reader if row), [])
            columns = _columns(path, header)
            rows = [_row(path, reader.line_num, columns, values) for values in reader if any(v.strip() for v in values)]
            return Table(columns, tuple(rows))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path} is not a table of comma-separated values ({error})") from error


def _columns(path: Path, header: list[str]) -> tuple[str, ...]:
    if len(header) == 1:
        for separator, words in _OTHER_SEPARATORS.items():
            if separator in header[0]:
                raise InputError(f"{path}, line 1: separated by {words}; save it with commas, and points in numbers")
    columns = tuple(name.strip().casefold() for name in header)
    for name in columns:
        if name and columns.count(name) > 1:
            raise InputError(f"{path}, line 1: column {name!r} stands twice; keep one")
    return columns


def _row(path: Path, line: int, columns: tuple[str, ...], values: list[str]) -> Row:
    if any(value.strip() for value in values[len(columns) :]):
        raise InputError(
            f"{path}, line {line}: {len(values)} values for {len(columns)} columns; put a value with a comma in quotes"
        )
    return Row(line, {name: value.strip() for name, value in zip(columns, values, strict=False)})
