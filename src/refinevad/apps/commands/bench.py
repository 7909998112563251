"""refinevad bench: the tables of docs/results, each by one command."""

import argparse
from importlib import import_module

HELP = "make the tables: a recipe over several seeds, ablations, speed; list the benchmarks"
EXAMPLE = """\
example:
  refinevad bench recipe recipes/survfights.toml --seeds 0 1 2 --out out/bench/survfights
  refinevad bench ablation recipes/survfights.toml --seeds 0 1 2 3 4 --out out/bench/ablation/survfights
  refinevad bench accuracy recipes/survfights.toml --seeds 0 1 2 3 4 --out out/bench/accuracy/survfights

A finished seed is not run again. The table goes to stdout and to DIR/table.md, its numbers to DIR/figures.csv (recipe,
ablation, accuracy); --json writes every seed's figures.
"""
TABLES = (
    "list",
    "recipe",
    "ablation",
    "choose",
    "search",
    "accuracy",
    "transfer",
    "delay",
    "peers",
    "speed",
    "features",
    "render",
    "ship",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the tables and their options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="WHAT")
    for name in TABLES:
        module = import_module(f"refinevad.apps.commands.benches.{name}")
        table = kinds.add_parser(name, help=module.HELP)
        table.description = module.HELP
        module.configure(table)
        table.set_defaults(run_table=module.run)


def run(args: argparse.Namespace) -> int:
    """Make one table."""
    return int(args.run_table(args))
