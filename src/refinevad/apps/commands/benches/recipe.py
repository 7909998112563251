"""refinevad bench recipe: one recipe over several seeds."""

import argparse

from refinevad.apps.commands.benches.seeds import declare_seeds, give_table, make_rows

HELP = "one recipe over several seeds, mean and spread, beside its controls"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the table's options."""
    declare_seeds(parser)


def run(args: argparse.Namespace) -> int:
    """Run every seed and print the table."""
    from refinevad.apps.terminal import stepping
    from refinevad.training.experiment import make_features
    from refinevad.training.recipe import read_recipe
    from refinevad.training.study import markdown_table

    recipe = read_recipe(args.recipe)
    done = make_features(recipe, args.out / "features", args.workers, stepping("extract", "video"))
    rows = make_rows(recipe, done.index, args.seeds, args.out)
    give_table(args, markdown_table(rows), {"all": rows})
    return 0
