"""Tables of figures: what bench keeps as numbers, how a page is rendered from them, and that the pages here are."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from refinevad.apps.cli import main
from refinevad.apps.results_tables import cells_as_they_are, rendered_pages
from refinevad.errors import InputError
from refinevad.files.cells import read_cells, write_cells
from refinevad.study.figure_rows import FigureRow, figure_rows, read_figures, standing_rows, write_figures
from refinevad.study.seed_rows import SeedRow
from refinevad.study.standings import Standing

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "results"
SPECIFICATION = """
[style]
share = ["{value:.2f}", " ± {deviation:.3f}", " ({minus:+.2f} ± {minus_half:.2f}; {ahead:.0f} of {common:.0f})"]
both = ["{value:.1f} / {beside:.1f}"]

[names]
all = "the whole"

[columns]
one = [
    { head = "AUC", figure = "auc", style = "share" },
    { head = "AP", figure = "ap", style = "share", missing = "not reached" },
    { head = "mAP", figure = "map_average", style = "both", beside = "all" },
]

[table.heads]
data = ["heads/street.csv"]
by = ["set", "row"]
heads = ["set", "head"]
columns = "one"
names = { street = "a street" }
"""
PAGE = "# Heads\n\nBefore.\n\n<!-- table: heads -->\nstale\n<!-- end of table -->\n\nAfter.\n"


def folder_of_pages(folder: Path, specification: str = SPECIFICATION, page: str = PAGE) -> Path:
    """A page, its specification, and the figures of two heads."""
    (folder / "data" / "heads").mkdir(parents=True)
    (folder / "data" / "tables.toml").write_text(specification, encoding="utf-8")
    (folder / "heads.md").write_text(page, encoding="utf-8")
    rows = [
        FigureRow("all", "auc", 0.8, 0.02),
        FigureRow("all", "ap", 0.5),
        FigureRow("all", "map_average", 20.0),
        FigureRow("other", "auc", 0.75, 0.01, minus=-0.05, minus_half=0.04, ahead=1.0, common=5.0),
        FigureRow("other", "map_average", 10.0),
    ]
    write_figures(folder / "data" / "heads" / "street.csv", rows)
    return folder


def seeds(values: list[float], **more: float) -> list[SeedRow]:
    gap = {"auc": {"difference": 0.1, "ci95": [0.0, 0.3], "excludes_0": False}}
    controls = {"ridge control": {"auc": 0.6, "model_minus_control": gap}}
    return [SeedRow(seed, 0.9, {"auc": value, **more}, controls) for seed, value in enumerate(values)]


def test_the_pages_here_are_what_their_figures_give() -> None:
    pages = rendered_pages(PAGES)
    shown = sum(text.count("<!-- table: ") for text in pages.values())
    assert shown >= 35  # that no table lost its marks
    for page, text in pages.items():
        assert page.read_text(encoding="utf-8") == text, f"{page} differs from its data: make tables"


def test_no_table_is_kept_by_hand() -> None:
    """But those of defaults.md and what the paper states."""
    by_hand = {}
    for page in PAGES.glob("*.md"):
        unmarked = re.sub(
            r"<!-- table: .*?<!-- end of table -->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        if found := re.findall(r"^(\|.*\|)\n\|-", unmarked, flags=re.MULTILINE):
            by_hand[page.name] = found
    by_hand.pop("defaults.md", None)
    assert by_hand == {"benchmarks.md": ["| | the paper | measured here |"]}


def test_cells_are_shown_as_a_benchmark_wrote_them(tmp_path: Path) -> None:
    """All columns or those asked for, in their order; the first column's names as the specification has them."""
    write_cells(
        tmp_path / "cells.csv", [("head", "CPU", "peak"), ("ours", "17 ms", "1,024 MB"), ("other", "", 'a "b"')]
    )
    rows = read_cells(tmp_path / "cells.csv")
    assert cells_as_they_are({"names": {"other": "theirs"}}, {"names": {"ours": "**ours**"}}, rows).splitlines() == [
        "| head | CPU | peak |",
        "|---|---|---|",
        "| **ours** | 17 ms | 1,024 MB |",
        '| theirs |  | a "b" |',
    ]
    assert cells_as_they_are({}, {"show": ["head", "peak"]}, rows).splitlines()[2] == "| ours | 1,024 MB |"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("head,CPU\nours\n", "row 2: 1 cells under a head of 2"),
        ("", "is empty"),
        ('head,CPU\n"ours,1\n', "cannot be read"),
        ("head,CPU\nour|s,1\n", "a bar"),
        ("other,CPU\nours,1\n", "lacks or misuses"),
        (b"head,CPU\n\xff,1\n", "cannot be read"),
    ],
)
def test_cells_that_are_no_table(tmp_path: Path, content: str | bytes, words: str) -> None:
    table = '[table.heads]\ncells = "cells.csv"\nshow = ["head", "CPU"]\n'
    folder = folder_of_pages(tmp_path, table)
    (folder / "data" / "cells.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=words):
        rendered_pages(folder)


def test_a_page_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of_pages(tmp_path)
    page = folder / "heads.md"
    assert main(["bench", "render", str(folder), "--check"]) == 1
    assert page.read_text(encoding="utf-8") == PAGE
    assert main(["bench", "render", str(folder)]) == 0
    assert "heads.md: written from" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8").splitlines() == [
        "# Heads",
        "",
        "Before.",
        "",
        "<!-- table: heads -->",
        "| set | head | AUC | AP | mAP |",
        "|---|---|---|---|---|",
        "| a street | the whole | 0.80 ± 0.020 | 0.50 | 20.0 / 20.0 |",
        "| a street | other | 0.75 ± 0.010 (-0.05 ± 0.04; 1 of 5) | not reached | 10.0 / 20.0 |",
        "<!-- end of table -->",
        "",
        "After.",
    ]
    assert main(["bench", "render", str(folder), "--check"]) == 0


@pytest.mark.parametrize(
    ("specification", "page", "words"),
    [
        (SPECIFICATION, PAGE.replace("heads -->", "none -->"), "shows table none"),
        (SPECIFICATION, PAGE.replace("<!-- end of table -->", ""), "no <!-- end of table -->"),
        (SPECIFICATION, PAGE.replace("table: heads", "table: he/ads"), "a name of other letters"),
        (SPECIFICATION.replace("share = ", "shar = "), PAGE, "table heads lacks or misuses 'share'"),
        (SPECIFICATION.replace('columns = "one"', ""), PAGE, "table heads lacks or misuses 'columns'"),
        (SPECIFICATION.replace("street.csv", "road.csv"), PAGE, "road.csv cannot be read"),
        ("[style", PAGE, "tables.toml is not valid TOML"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, specification: str, page: str, words: str) -> None:
    folder = folder_of_pages(tmp_path, specification, page)
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        rendered_pages(folder)
    assert main(["bench", "render", str(folder)]) == 2
    assert (folder / "heads.md").read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("row,figure,value\na,auc,1\n", "lacks the column deviation"),
        (",".join(FigureRow.__match_args__) + "\na,auc,one,,,,,,,\n", "line 2"),
        (",".join(FigureRow.__match_args__) + "\na,auc,,,,,,,,\n", "line 2"),
    ],
)
def test_figures_that_are_none(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "figures.csv").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_figures(tmp_path / "figures.csv")


def test_figures_of_seeds_by_hand(tmp_path: Path) -> None:
    rows = {"all": seeds([0.80, 0.82, 0.84]), "less": seeds([0.79, 0.83, 0.81])}
    write_figures(tmp_path / "figures.csv", figure_rows(rows, "all"))
    found = {(row.row, row.figure): row for row in read_figures(tmp_path / "figures.csv")}
    assert found["all", "seeds"].value == 3
    assert found["all", "validation"].value == pytest.approx(0.9)
    assert found["all", "auc"] == FigureRow("all", "auc", 0.82, 0.02)
    # differences -0.01, +0.01, -0.03: mean -0.01, deviation 0.02, t(2) = 4.303
    assert found["less", "auc"].minus == pytest.approx(-0.01)
    assert found["less", "auc"].minus_half == pytest.approx(4.303 * 0.02 / math.sqrt(3), rel=1e-4)
    assert (found["less", "auc"].ahead, found["less", "auc"].common) == (1, 3)
    assert found["ridge control", "auc"].value == pytest.approx(0.6)
    gap = found["all", "auc_minus_ridge control"]
    assert (gap.value, gap.low, gap.high) == (pytest.approx(0.1), 0.0, pytest.approx(0.3))
    assert ("less", "auc_minus_ridge control") not in found


def test_figures_of_heads() -> None:
    rows = [replace(row, controls={}) for row in seeds([0.8], map_average=20.0)]
    standings = [Standing("refinevad", rows, 1000, 3.5, True), Standing("rtfm", rows, 2000, None, False)]
    found = {(row.row, row.figure): row.value for row in standing_rows(standings, {"chance": {"auc": 0.5}}, None)}
    assert found["refinevad", "parameters"] == 1000
    assert found["refinevad", "seconds"] == 3.5
    assert ("rtfm", "seconds") not in found
    assert found["refinevad", "map_average"] == 20
    assert ("rtfm", "map_average") not in found  # it names no category
    assert found["chance", "auc"] == 0.5
