"""refinevad bench recipe: one recipe over several seeds."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.apps.commands.benches.seeds import declare_seeds, give_table, make_rows
from refinevad.apps.commands.metrics import adjusted_words
from refinevad.errors import InputError

if TYPE_CHECKING:
    from refinevad.training.recipe import Recipe

HELP = "one recipe over several seeds, mean and spread, beside its controls"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the table's options."""
    declare_seeds(parser)
    parser.add_argument(
        "--features", type=Path, metavar="DIR", help="published features elsewhere than the recipe says"
    )


def run(args: argparse.Namespace) -> int:
    """Run every seed and print the table."""
    from refinevad.apps.terminal import notes, stepping
    from refinevad.training.experiment import make_features
    from refinevad.training.recipe import read_recipe
    from refinevad.training.study import BENCHMARK_FIGURES, FIGURES, markdown_table

    recipe = with_features(read_recipe(args.recipe), args.features)
    done = make_features(recipe, args.out / "features", args.workers, stepping("extract", "video"))
    notes([*(f"left out: {sentence}" for sentence in done.failed.values()), *done.notes])
    rows = make_rows(recipe, done.index, args.seeds, args.out)
    notes(adjusted_words(rows[0].metrics))
    give_table(args, markdown_table(rows, BENCHMARK_FIGURES if recipe.published else FIGURES), {"all": rows})
    return 0


def with_features(recipe: "Recipe", folder: Path | None) -> "Recipe":
    """The recipe on published features that lie elsewhere. Raises InputError for a recipe that makes its own."""
    if folder is None:
        return recipe
    if recipe.published is None:
        raise InputError('--features is for recipes of kind "published"; others make their features')
    return replace(recipe, published=replace(recipe.published, folder=folder))
