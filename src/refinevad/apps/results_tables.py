"""Tables of docs/results, rendered from the figures that `bench` wrote, so that no digit is copied by hand.

A page holds `<!-- table: NAME -->` and `<!-- end of table -->`; what stands between is rendered. data/tables.toml
beside the pages says of each NAME which files of figures it is of, and how a cell reads:

    [style]
    share = ["{value:.4f}", " ± {deviation:.4f}"]      # a piece whose number is not there is left out

    [columns]
    defaults = [{ head = "AUC", row = "final_only", figure = "auc", style = "share" }]

    [table.defaults]
    data = ["defaults/survfights.csv"]                 # a file's stem is its set
    by = ["set"]                                       # a line each: of "set", "row", or both
    heads = ["set"]
    columns = "defaults"

`row` may be several, of which the first one there counts; `beside` names another row, whose value is {beside};
`rows` in a table names the rows that are shown.

What a benchmark prints is no figure a row, but cells as they read. Such a table names its file, and may choose columns:

    [table.head]
    cells = "speed/head.csv"                           # its first line is the head
    show = ["head", "CPU"]                             # all, where it is not there
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refinevad.errors import InputError
from refinevad.files.cells import read_cells
from refinevad.files.json_files import MOST_BYTES, check_regular
from refinevad.files.toml_files import read_toml
from refinevad.study.figure_rows import read_figures

SPECIFICATION = Path("data") / "tables.toml"
_BETWEEN = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)", flags=re.DOTALL)
_OPENED = "<!-- table:"

Numbers = Mapping[tuple[str, str, str], Mapping[str, float]]  # by set, row and figure


def rendered_pages(folder: Path) -> dict[Path, str]:
    """The text that each page of `folder` must have, tables and all.

    Raises:
        InputError: a table without an end or a specification, or one whose specification or figures are at fault.
    """
    specification = _read(folder / SPECIFICATION)
    pages = {}
    for page in sorted(folder.glob("*.md")):
        text = _text_of(page)
        whole = _BETWEEN.findall(text)
        if len(whole) != text.count(_OPENED):
            raise InputError(
                f"{page}: a table has no <!-- end of table -->, or a name of other letters than a-z, 0-9, - and _"
            )
        tables = {name: _named(folder, specification, name, page) for _, name, _ in whole}
        pages[page] = _BETWEEN.sub(lambda found, tables=tables: found[1] + tables[found[2]] + found[3], text)
    return pages


def _text_of(page: Path) -> str:
    try:
        check_regular(page, MOST_BYTES)
        return page.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8
        raise InputError(f"{page} cannot be read: {error}") from error


def _read(path: Path) -> Mapping[str, Any]:
    check_regular(path, MOST_BYTES)
    tables = read_toml(path, "the specification")
    for name in ("table", "names", "columns", "style"):
        if not isinstance(tables.get(name, {}), dict):
            raise InputError(f"{path}: {name} must be a table of its own")
    return tables


def _named(folder: Path, specification: Mapping[str, Any], name: str, page: Path) -> str:
    table = specification.get("table", {}).get(name)
    if table is None:
        raise InputError(f"{page} shows table {name}, which {folder / SPECIFICATION} does not describe")
    try:
        if "cells" in table:
            return cells_as_they_are(specification, table, read_cells(folder / "data" / table["cells"]))
        numbers = {
            (Path(file).stem, row.row, row.figure): row.numbers()
            for file in table["data"]
            for row in read_figures(folder / "data" / file)
        }
        return render(specification, table, numbers)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise InputError(f"{folder / SPECIFICATION}: table {name} lacks or misuses {error}") from error


def cells_as_they_are(specification: Mapping[str, Any], table: Mapping[str, Any], rows: Sequence[Sequence[str]]) -> str:
    """The rows as Markdown lines, each ended; of the columns that `show` names, else of all."""
    names, (head, *rest) = {**specification.get("names", {}), **table.get("names", {})}, rows
    first, *others = [head.index(column) for column in table.get("show", head)]
    shown = [[names.get(row[first], row[first]), *(row[place] for place in others)] for row in rest]
    return _markdown([head[place] for place in (first, *others)], shown)


def render(specification: Mapping[str, Any], table: Mapping[str, Any], numbers: Numbers) -> str:
    """The table as Markdown lines, each ended: one line a set, a row, or both, in the files' order."""
    by, columns, wanted = table["by"], specification["columns"][table["columns"]], table.get("rows")
    names, styles = {**specification.get("names", {}), **table.get("names", {})}, specification["style"]
    keys = dict.fromkeys(
        tuple({"set": of, "row": row}[part] for part in by) for of, row, _ in numbers if wanted is None or row in wanted
    )
    heads = [*table["heads"], *(column["head"] for column in columns)]
    lines = []
    for key in keys:
        place = dict(zip(by, key, strict=True))
        of = place.get("set", Path(table["data"][0]).stem)
        cells = [_cell(column, styles, numbers, of, column.get("row", place.get("row"))) for column in columns]
        lines.append([*(names.get(part, part) for part in key), *cells])
    return _markdown(heads, lines)


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table's lines, each ended. Raises ValueError where a cell has a bar or a line's end in it."""
    if any("|" in cell or "\n" in cell for row in (heads, *rows) for cell in row):
        raise ValueError("a cell with a bar or a line's end in it")
    lines = ["| " + " | ".join(row) + " |" for row in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]]) + "\n"


def _cell(column: Mapping[str, Any], styles: Mapping[str, Sequence[str]], numbers: Numbers, of: str, row: Any) -> str:
    """The pieces whose numbers are there; the column's `missing`, else a dash, where not even the first one's are."""
    figure, candidates = column["figure"], [row] if isinstance(row, str) else row or []
    known = dict(next((numbers[of, name, figure] for name in candidates if (of, name, figure) in numbers), {}))
    if beside := numbers.get((of, column.get("beside", ""), figure)):
        known["beside"] = beside["value"]
    pieces = [_piece(piece, known) for piece in styles[column["style"]]]
    return "".join(pieces) if pieces[0] else str(column.get("missing", "-"))


def _piece(piece: str, known: Mapping[str, float]) -> str:
    try:
        return piece.format_map(known)
    except KeyError:
        return ""
