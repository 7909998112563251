"""refinevad bench recipe: one recipe over several seeds."""

import argparse
from pathlib import Path

from refinevad.apps.commands.benches.seeds import declare_seeds, give_table, make_rows
from refinevad.apps.commands.metrics import adjusted_words
from refinevad.apps.commands.workforce import PROCESSES, workforce

HELP = "one recipe over several seeds, mean and spread, beside its controls"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the table's options."""
    declare_seeds(parser)
    parser.add_argument("--features", type=Path, metavar="DIR", help="folder of features, instead of the recipe's")
    parser.add_argument(
        "--encoder", metavar="E", help="instead of the recipe's; features go into --features, else beside the runs"
    )


def run(args: argparse.Namespace) -> int:
    """Run every seed and print the table."""
    from refinevad.apps.terminal import notes, stepping
    from refinevad.study.figure_rows import figure_rows
    from refinevad.study.over_seeds import BENCHMARK_FIGURES, FIGURES, markdown_table
    from refinevad.study.over_videos import OverVideos
    from refinevad.training.experiment import extract_features
    from refinevad.training.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    if args.encoder is not None:
        recipe = recipe.with_encoder(args.encoder)
    if args.features is not None:
        recipe = recipe.with_features(args.features)
    done = extract_features(recipe, args.out / "features", workforce(args, PROCESSES), stepping("extract", "video"))
    notes([*(f"left out: {sentence}" for sentence in done.failed.values()), *done.notes])
    rows = make_rows(recipe, done.index, args.seeds, args.out)
    notes(adjusted_words(rows[0].metrics))
    over = OverVideos.of(recipe, done.index)
    table = markdown_table(rows, BENCHMARK_FIGURES if recipe.published else FIGURES, over)
    over.add("all", rows)
    give_table(args, table, {"all": rows}, figure_rows({"all": rows}, "all", over))
    return 0
