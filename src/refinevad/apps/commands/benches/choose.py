"""refinevad bench choose: defaults chosen by a rule, and what they reach on the set that had no say."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.apps.commands.benches.seeds import declare_runs, give_table, make_rows
from refinevad.apps.commands.workforce import PROCESSES, workforce

if TYPE_CHECKING:
    from refinevad.judging.resampling import Sampled
    from refinevad.study.seed_rows import SeedRow

HELP = "candidates on several sets; for each set the one that ranks best on the others"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the table's options."""
    parser.add_argument("recipes", type=Path, nargs="+", metavar="RECIPE", help="recipes (.toml), one a set")
    declare_runs(parser)
    parser.add_argument(
        "--candidates", type=Path, nargs="+", required=True, metavar="FILE", help="variant files, the plainest first"
    )
    parser.add_argument("--base", type=Path, metavar="FILE", help="variant laid under all candidates")
    parser.add_argument(
        "--figure", choices=("auc", "ano_auc", "within_auc", "ap"), default="auc", help="what ranks them (default auc)"
    )


def run(args: argparse.Namespace) -> int:
    """Run every seed of every candidate on every set and print the tables."""
    from refinevad.ridge import RIDGE
    from refinevad.study.choice import choice_table
    from refinevad.study.over_videos import FIGURES

    resampled: dict[str, Mapping[str, Sampled]] = {}
    rows: dict[str, list[SeedRow]] = {}
    for path in args.recipes:
        found, resampled[path.stem] = _on_set(args, path)
        rows |= {f"{path.stem}/{name}": seeds for name, seeds in found.items()}
    give_table(args, choice_table(resampled, RIDGE, FIGURES[args.figure]), rows)
    return 0


def _on_set(args: argparse.Namespace, path: Path) -> "tuple[dict[str, list[SeedRow]], dict[str, Sampled]]":
    """Every candidate's seeds on one set, and the figure of their averaged scores, the ridge control's beside them."""
    from refinevad.apps.terminal import stepping
    from refinevad.ridge import RIDGE
    from refinevad.study.ablation import read_variant
    from refinevad.study.over_videos import OverVideos
    from refinevad.training.experiment import extract_features
    from refinevad.training.recipe import read_recipe

    recipe = read_recipe(path)
    if args.base:
        recipe = read_variant(args.base).of(recipe)
    folder = args.out / path.stem
    index = extract_features(
        recipe, folder / "features", workforce(args, PROCESSES), stepping("extract", "video")
    ).index
    over, rows = OverVideos.of(recipe, index), {}
    for variant in map(read_variant, args.candidates):
        rows[variant.name] = make_rows(variant.of(recipe), index, args.seeds, folder / variant.name)
        over.add(variant.name, rows[variant.name])
    over.add_controls(next(iter(rows.values())))
    names = [*rows, *([RIDGE] if RIDGE in over.rows else [])]
    return rows, {name: over.rows[name][args.figure] for name in names}
