"""A table's figures as plain numbers, one line a row and figure: what `bench` writes beside table.md.

docs/results/data holds such files, and the tables of docs/results are rendered from them (apps/results_tables.py).
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from refinevad.errors import InputError
from refinevad.files.table import read_table
from refinevad.files.whole import atomic_write
from refinevad.judging.intervals import figure_of
from refinevad.judging.resampling import interval
from refinevad.judging.resampling import paired as paired_over_videos
from refinevad.study.ablation import paired
from refinevad.study.over_seeds import mean_spread
from refinevad.study.over_videos import OverVideos
from refinevad.study.seed_rows import SeedRow
from refinevad.study.standings import OURS, Standing, wins

FILE = "figures.csv"
KEPT = (
    "auc",
    "ano_auc",
    "within_auc",
    "ap",
    "map_average",
    "video_auc",
    "event_f1",
    "recall_at_fpr/0.01",
    "recall_at_fpr/0.05",
    "alerts_per_hour_at_80_recall",
)


@dataclass(frozen=True)
class FigureRow:
    """One figure of one row of a table.

    Attributes:
        deviation: of the value, over seeds.
        low, high: 95 % interval of the value over videos.
        minus, minus_half: paired difference to the table's first row over seeds, and half its 95 % interval.
        ahead, common: in how many of the common seeds the row is ahead of the first.
    """

    row: str
    figure: str
    value: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None
    minus: float | None = None
    minus_half: float | None = None
    ahead: float | None = None
    common: float | None = None

    def numbers(self) -> dict[str, float]:
        """The numbers that are there, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        return {name: number for name, number in named.items() if number is not None}


COLUMNS = tuple(field.name for field in fields(FigureRow))


def figure_rows(rows: Mapping[str, Sequence[SeedRow]], whole: str, over: OverVideos | None = None) -> list[FigureRow]:
    """Every figure of every row and of the controls beside `whole`, the row that the others are compared with.

    With `over`, `<figure>_over_videos` is of scores averaged over seeds, and `<figure>_minus_<other>` a difference
    over videos to another row or to a control; that to a control is a mean over seeds, its interval's ends too.
    """
    found: list[FigureRow] = []
    for name, seeds in rows.items():
        found.append(FigureRow(name, "seeds", float(len(seeds))))
        found.append(FigureRow(name, "validation", float(np.mean([row.validation for row in seeds]))))
        found.extend(_of_seeds(name, seeds, () if name == whole else rows[whole], over))
        found.extend(_over_videos(name, whole, over))
    controls = [row.controls for row in rows[whole]]
    for name in controls[0] if controls else ():
        seeds = [replace(row, metrics=row.controls.get(name, {})) for row in rows[whole]]
        found.extend(_of_seeds(name, seeds, (), None))
        found.extend(_minus_control(whole, name, seeds))
    return found


def standing_rows(
    standings: Sequence[Standing], controls: Mapping[str, Mapping[str, Any]], over: OverVideos | None = None
) -> list[FigureRow]:
    """The figures of heads, with their sizes and costs, and of trained controls, one run each."""
    kept = figure_rows({standing.name: standing.rows for standing in standings}, OURS, over)
    nameless = {standing.name for standing in standings if not standing.names_categories}
    found = [row for row in kept if row.figure != "map_average" or row.row not in nameless]
    for standing in standings:
        found.append(FigureRow(standing.name, "parameters", float(standing.parameters)))
        if standing.seconds is not None:
            found.append(FigureRow(standing.name, "seconds", standing.seconds))
    for name, metrics in controls.items():
        values = ((figure, figure_of(metrics, figure)) for figure in KEPT)
        found.extend(FigureRow(name, figure, float(value)) for figure, value in values if value is not None)
    return found


def _of_seeds(
    name: str, seeds: Sequence[SeedRow], whole: Sequence[SeedRow], over: OverVideos | None
) -> Iterator[FigureRow]:
    for figure in KEPT:
        pair = mean_spread(seeds, figure)
        if pair is None:
            continue
        sampled = over.rows.get(name, {}).get(figure) if over else None
        low, high = (interval(sampled) if sampled else None) or (None, None)
        gap = paired(seeds, whole, figure) or (None, None)
        ahead = map(float, wins(seeds, whole, figure)) if gap[0] is not None else (None, None)
        yield FigureRow(name, figure, *pair, low, high, *gap, *ahead)


def _over_videos(name: str, whole: str, over: OverVideos | None) -> Iterator[FigureRow]:
    sampled = over.rows if over else {}
    for figure, of in sampled.get(name, {}).items():
        if figure not in KEPT or not np.isfinite(of.value):
            continue
        low, high = interval(of) or (None, None)
        yield FigureRow(name, f"{figure}_over_videos", float(of.value), None, low, high)
        other = sampled.get(whole, {}).get(figure) if name != whole else None
        gap = paired_over_videos(of, other) if other else None
        if gap is not None:
            yield FigureRow(name, f"{figure}_minus_{whole}", gap.mean, None, gap.low, gap.high)


def _minus_control(whole: str, control: str, seeds: Sequence[SeedRow]) -> Iterator[FigureRow]:
    """The mean over seeds of a stored difference and of its interval's ends, where every seed has it."""
    for figure in KEPT:
        gaps = [(row.metrics.get("model_minus_control") or {}).get(figure) for row in seeds]
        if any(gap is None for gap in gaps):
            continue
        ends = np.mean([[gap["difference"], *gap["ci95"]] for gap in gaps if gap is not None], axis=0)
        mean, low, high = (float(end) for end in ends)
        yield FigureRow(whole, f"{figure}_minus_{control}", mean, None, low, high)


def write_figures(path: Path, rows: Iterable[FigureRow]) -> None:
    """Write the file whole or not at all, six significant digits a number."""
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            numbers = {name: f"{round(number, 9):.6g}" for name, number in row.numbers().items()}
            writer.writerow({"row": row.row, "figure": row.figure, **numbers})


def read_figures(path: Path) -> list[FigureRow]:
    """Read what `write_figures` wrote.

    Raises:
        InputError: it cannot be read, lacks a column, or holds something else where a number belongs.
    """
    try:
        table = read_table(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise InputError(f"{path} lacks the column {missing[0]}; `refinevad bench` writes {', '.join(COLUMNS)}")
    found = []
    for row in table.rows:
        try:
            numbers = {name: float(row[name]) for name in COLUMNS[2:] if row[name]}
            found.append(FigureRow(row["row"], row["figure"], **numbers))
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}, line {row.line}: a value is missing or no number ({error})") from error
    return found
