"""refinevad bench: the tables of docs/results.md, each by one command."""

import argparse
from pathlib import Path

HELP = "make the tables: a recipe over several seeds"
EXAMPLE = """\
example:
  refinevad bench recipe recipes/survfights.toml --seeds 0 1 2 --out out/bench/survfights

A finished seed is not run again; the table goes to stdout and to DIR/table.md.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="WHAT")
    recipe = kinds.add_parser("recipe", help="one recipe over several seeds, mean and spread, beside its controls")
    recipe.add_argument("recipe", type=Path, metavar="RECIPE", help="recipe (.toml)")
    recipe.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="seeds (default 0 1 2)")
    recipe.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for runs and the table")
    recipe.add_argument("--workers", type=int, default=2, metavar="N", help="processes that extract missing features")
    recipe.add_argument("--json", metavar="FILE", help="write all seeds' figures as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Run every seed and print the table."""
    from refinevad.apps.terminal import give_json, note, stepping
    from refinevad.files import atomic_write
    from refinevad.training.experiment import make_features
    from refinevad.training.recipe import read_recipe
    from refinevad.training.study import markdown_table, run_seed

    recipe = read_recipe(args.recipe)
    done = make_features(recipe, args.out / "features", args.workers, stepping("extract", "video"))
    rows = []
    for seed in args.seeds:
        row, _ = run_seed(recipe.with_seed(seed), done.index, args.out / f"seed{seed}", note)
        note(f"seed {seed}: AUC {row.metrics['auc']:.4f}, Ano-AUC {row.metrics['ano_auc'] or float('nan'):.4f}")
        rows.append(row)
    table = markdown_table(rows)
    with atomic_write(args.out / "table.md") as partial:
        partial.write_text(table + "\n", encoding="utf-8")
    if not give_json({"seeds": [vars(row) for row in rows]}, args.json):
        print(table)
    return 0
