"""What tables over seeds share: their options, their runs, their output."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.apps.commands.workforce import add_workforce

if TYPE_CHECKING:
    from refinevad.datasets.dataset import FeatureIndex
    from refinevad.study.figure_rows import FigureRow
    from refinevad.study.seed_rows import SeedRow
    from refinevad.training.recipe import Recipe


def declare_seeds(parser: argparse.ArgumentParser) -> None:
    """Declare the recipe, its seeds and where the runs go."""
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="recipe (.toml)")
    declare_runs(parser)


def declare_runs(parser: argparse.ArgumentParser) -> None:
    """Declare the seeds and where the runs go."""
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="seeds (default 0 1 2)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for runs and the table")
    add_workforce(parser)
    parser.add_argument("--json", metavar="FILE", help="write all seeds' figures as JSON; - for stdout")


def make_rows(recipe: "Recipe", index: "FeatureIndex", seeds: list[int], out: Path) -> "list[SeedRow]":
    """Train and evaluate every seed in a folder of its own; finished ones are read back."""
    from refinevad.apps.terminal import note
    from refinevad.study.over_seeds import run_seed

    rows = []
    for seed in seeds:
        row, _ = run_seed(recipe.with_seed(seed), index, out / f"seed{seed}")
        note(f"{out.name} seed {seed}: validation {row.validation:.4f}, AUC {row.auc_words}")
        rows.append(row)
    return rows


def give_table(
    args: argparse.Namespace,
    table: str,
    rows: "Mapping[str, Sequence[SeedRow]]",
    figures: "Sequence[FigureRow]" = (),
) -> None:
    """Write table.md, figures.csv where the table has such rows, and the table or all seeds' figures to stdout."""
    from refinevad.apps.terminal import give_json
    from refinevad.files.whole import atomic_write
    from refinevad.study.figure_rows import FILE, write_figures

    if figures:
        write_figures(args.out / FILE, figures)
    with atomic_write(args.out / "table.md") as partial:
        partial.write_text(table + "\n", encoding="utf-8")
    if not give_json({name: [row.figures() for row in seeds] for name, seeds in rows.items()}, args.json):
        print(table)
