"""refinevad bench delay: AUC against the delay a score may take, trained as usual and under the window rule."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.apps.commands.benches.seeds import declare_seeds
from refinevad.apps.commands.workforce import PROCESSES, workforce

if TYPE_CHECKING:
    from refinevad.scoring.windows import WindowRule
    from refinevad.study.delays import Held
    from refinevad.training.recipe import Recipe

NAME = "delay"
HELP = "AUC against delay in streams, trained as usual and under the window rule"
FIGURES = ("auc", "ano_auc", "ap")
WHOLE_VIDEO = "whole video"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the table's options."""
    declare_seeds(parser)
    parser.add_argument("--window", type=float, default=60.0, metavar="S", help="window in seconds (default 60)")
    parser.add_argument(
        "--delays",
        type=float,
        nargs="+",
        default=[0.0, 1.3, 2.6, 5.2, 10.0],
        metavar="S",
        help="delays in seconds (default 0 1.3 2.6 5.2 10)",
    )
    parser.add_argument(
        "--train-delays",
        type=float,
        nargs="*",
        default=[0.0],
        metavar="S",
        help="also train under the window with each of these delays (default 0; none: as usual alone)",
    )


def run(args: argparse.Namespace) -> int:
    """Train what is missing, score every run under every delay, and print the table."""
    from dataclasses import replace

    from refinevad.apps.terminal import give_json, stepping
    from refinevad.errors import InputError
    from refinevad.files.whole import atomic_write
    from refinevad.scoring.windows import WHOLE, WindowRule
    from refinevad.study.delays import Held, delay_table
    from refinevad.training.experiment import extract_features, split_items
    from refinevad.training.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    if recipe.folds:
        raise InputError(f"{args.recipe} has folds; a table of delays needs a recipe with one test split")
    rules = {WHOLE_VIDEO: WHOLE} | {f"{delay:g} s": WindowRule(args.window, delay) for delay in args.delays}
    recipes = {"as usual": recipe}
    for delay in args.train_delays:
        train = replace(recipe.train, window_s=args.window, delay_s=delay)
        recipes[f"window {args.window:g} s, delay {delay:g} s"] = replace(recipe, train=train)
    index = extract_features(
        recipe, args.out / "features", workforce(args, PROCESSES), stepping("extract", "video")
    ).index
    held = Held.read(index, split_items(recipe, index, None))
    rows = {}
    for name, trained in recipes.items():
        folder = "usual" if trained is recipe else f"window{args.window:g}_delay{trained.train.delay_s:g}"
        runs = [(trained.with_seed(seed), args.out / folder / f"seed{seed}") for seed in args.seeds]
        by_seed = [_figures(one, held, out, rules) for one, out in runs]
        rows[name] = {label: [figures[label] for figures in by_seed] for label in rules}
    table = delay_table(rows, FIGURES)
    with atomic_write(args.out / "table.md") as partial:
        partial.write_text(table + "\n", encoding="utf-8")
    if not give_json(rows, args.json):
        print(table)
    return 0


def _figures(
    recipe: "Recipe", held: "Held", out: Path, rules: "Mapping[str, WindowRule]"
) -> dict[str, dict[str, float | None]]:
    """A seed's figures under each rule; runs, and figures of rules, that are already there are read back."""
    from refinevad.apps.terminal import note
    from refinevad.checkpoint import Checkpoint, write_json
    from refinevad.judging.intervals import auc_words
    from refinevad.study.delays import figures_under, read_delays
    from refinevad.training.experiment import split_items, train_run

    if not (out / "metrics.json").exists():
        train_run(recipe, held.index, split_items(recipe, held.index, None), out)
    checkpoint = Checkpoint.load(out)
    stored = out / "delays.json"
    known = read_delays(stored, FIGURES) if stored.exists() else {}
    found = {}
    for label, rule in rules.items():
        key = f"{rule.window_s:g} {rule.delay_s:g}"
        if key not in known:
            figures = figures_under(checkpoint, held, rule)
            known[key] = {name: figures[name] for name in FIGURES}
            write_json(stored, known)
            note(f"{out}: {label}: AUC {auc_words(known[key])}")
        found[label] = known[key]
    return found
