"""refinevad bench ablation: what each part and each choice buys."""

import argparse
from pathlib import Path

from refinevad.apps.commands.benches.seeds import declare_seeds, give_table, make_rows
from refinevad.apps.commands.workforce import PROCESSES, workforce

HELP = "variants of one recipe, compared with it seed by seed"
FIGURES = ("auc", "ano_auc", "within_auc", "ap", "map_average", "video_auc")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the table's options."""
    declare_seeds(parser)
    parser.add_argument(
        "--variants", type=Path, nargs="+", metavar="FILE", help="variant files (default: all of recipes/ablation)"
    )
    parser.add_argument(
        "--base",
        type=Path,
        metavar="FILE",
        help="variant laid under all others (default: the recipe as it is)",
    )


def run(args: argparse.Namespace) -> int:
    """Run every seed of every variant and print the table."""
    from refinevad.apps.terminal import stepping
    from refinevad.study.ablation import WHOLE, ablation_table, read_variant
    from refinevad.study.figure_rows import figure_rows
    from refinevad.study.over_videos import OverVideos
    from refinevad.training.experiment import extract_features
    from refinevad.training.recipe import read_recipe

    recipe, whole = read_recipe(args.recipe), WHOLE
    if args.base:
        base = read_variant(args.base)
        recipe, whole = base.of(recipe), base.name
    done = extract_features(recipe, args.out / "features", workforce(args, PROCESSES), stepping("extract", "video"))
    paths = args.variants or sorted((args.recipe.parent / "ablation").glob("*.toml"))
    rows = {whole: make_rows(recipe, done.index, args.seeds, args.out / whole)}
    for variant in map(read_variant, paths):
        rows[variant.name] = make_rows(variant.of(recipe), done.index, args.seeds, args.out / variant.name)
    over = OverVideos.of(recipe, done.index)
    table = ablation_table(rows, FIGURES, whole, over)
    give_table(args, table, rows, figure_rows(rows, whole, over))
    return 0
