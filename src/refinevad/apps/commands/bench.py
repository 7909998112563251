"""refinevad bench: the tables of docs/results.md, each by one command."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refinevad.training.dataset import FeatureIndex
    from refinevad.training.recipe import Recipe
    from refinevad.training.study import SeedRow

HELP = "make the tables: a recipe over several seeds, ablations"
EXAMPLE = """\
example:
  refinevad bench recipe recipes/survfights.toml --seeds 0 1 2 --out out/bench/survfights
  refinevad bench ablation recipes/survfights.toml --seeds 0 1 2 3 4 --out out/bench/ablation/survfights

A finished seed is not run again. The table goes to stdout and to DIR/table.md; --json writes every seed's figures.
"""
ABLATION_FIGURES = ("auc", "ano_auc", "ap", "map_average", "video_auc")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="WHAT")
    recipe = kinds.add_parser("recipe", help="one recipe over several seeds, mean and spread, beside its controls")
    ablation = kinds.add_parser("ablation", help="variants of one recipe, compared with it seed by seed")
    ablation.add_argument(
        "--variants",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="variant files (default: all of recipes/ablation)",
    )
    for kind in (recipe, ablation):
        kind.add_argument("recipe", type=Path, metavar="RECIPE", help="recipe (.toml)")
        kind.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="seeds (default 0 1 2)")
        kind.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for runs and the table")
        kind.add_argument("--workers", type=int, default=2, metavar="N", help="processes that extract missing features")
        kind.add_argument("--json", metavar="FILE", help="write all seeds' figures as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Run every seed, of every variant, and print the table."""
    from refinevad.apps.terminal import give_json, stepping
    from refinevad.files import atomic_write
    from refinevad.training.ablation import WHOLE, ablation_table, read_variant
    from refinevad.training.experiment import make_features
    from refinevad.training.recipe import read_recipe
    from refinevad.training.study import markdown_table

    recipe = read_recipe(args.recipe)
    done = make_features(recipe, args.out / "features", args.workers, stepping("extract", "video"))
    if args.kind == "recipe":
        rows = {WHOLE: _seeds(recipe, done.index, args.seeds, args.out)}
        table = markdown_table(rows[WHOLE])
    else:
        paths = args.variants or sorted((args.recipe.parent / "ablation").glob("*.toml"))
        rows = {WHOLE: _seeds(recipe, done.index, args.seeds, args.out / WHOLE)}
        for variant in map(read_variant, paths):
            rows[variant.name] = _seeds(variant.of(recipe), done.index, args.seeds, args.out / variant.name)
        table = ablation_table(rows, ABLATION_FIGURES)
    with atomic_write(args.out / "table.md") as partial:
        partial.write_text(table + "\n", encoding="utf-8")
    content = {name: [vars(row) for row in seeds] for name, seeds in rows.items()}
    if not give_json(content, args.json):
        print(table)
    return 0


def _seeds(recipe: "Recipe", index: "FeatureIndex", seeds: list[int], out: Path) -> "list[SeedRow]":
    from refinevad.apps.terminal import note
    from refinevad.training.study import run_seed

    rows = []
    for seed in seeds:
        row, _ = run_seed(recipe.with_seed(seed), index, out / f"seed{seed}")
        note(f"{out.name} seed {seed}: validation {row.validation:.4f}, AUC {row.metrics['auc']:.4f}")
        rows.append(row)
    return rows
