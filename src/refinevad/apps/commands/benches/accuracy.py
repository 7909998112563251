"""refinevad bench accuracy: RefineVAD beside published heads and controls, on equal terms."""

import argparse
from pathlib import Path

from refinevad.apps.commands.benches.seeds import declare_seeds, give_table
from refinevad.apps.commands.workforce import PROCESSES, workforce

HELP = "RefineVAD beside published heads and controls: the same features, splits, schedule and selection"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the table's options."""
    declare_seeds(parser)
    parser.add_argument(
        "--heads",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="heads with their settings (default: all of recipes/peers/RECIPE's name/)",
    )


def run(args: argparse.Namespace) -> int:
    """Run every seed of every head and the controls, and print the table; it is renewed after each head."""
    from refinevad.apps.terminal import note, stepping
    from refinevad.files.whole import atomic_write
    from refinevad.study.ablation import read_variant
    from refinevad.study.figure_rows import standing_rows
    from refinevad.study.held_features import HeldFeatures
    from refinevad.study.over_videos import OverVideos
    from refinevad.study.standings import OURS, plain_controls, stand, standings_table
    from refinevad.training.experiment import extract_features
    from refinevad.training.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    index = extract_features(
        recipe, args.out / "features", workforce(args, PROCESSES), stepping("extract", "video")
    ).index
    index = HeldFeatures.of(index)
    folder = args.recipe.parent / "peers" / args.recipe.stem
    heads = {path.stem: read_variant(path).of(recipe) for path in args.heads or sorted(folder.glob("*.toml"))}
    controls = plain_controls(recipe, index)
    over = OverVideos.of(recipe, index)
    for name, control in controls.items():
        over.add_scores(name, control.scores)
    figures = {name: control.figures for name, control in controls.items()}
    standings = []
    for name, settings in {OURS: recipe, **heads}.items():
        standings.append(stand(name, settings, args.seeds, index, args.out, note))
        if name == OURS:
            over.add_controls(standings[0].rows)
        table = standings_table(standings, {**standings[0].rows[0].controls, **figures}, over)
        with atomic_write(args.out / "table.md") as partial:
            partial.write_text(table + "\n", encoding="utf-8")
    give_table(
        args, table, {standing.name: standing.rows for standing in standings}, standing_rows(standings, figures, over)
    )
    return 0
