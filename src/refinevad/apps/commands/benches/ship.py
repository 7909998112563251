"""refinevad bench ship: a model that ships, and its card."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.apps.commands.workforce import PROCESSES, add_workforce, workforce

if TYPE_CHECKING:
    from refinevad.datasets.dataset import FeatureIndex
    from refinevad.training.recipe import Recipe

HELP = "train a model that ships by its recipe, judge it on cameras it never saw, and write its card"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the recipe, and where runs and the model go."""
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="recipe (.toml), with NAME.card.toml beside it")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the runs; finished ones stay"
    )
    parser.add_argument("--into", type=Path, metavar="DIR", help="folder for the model's own (default: DIR/model)")
    add_workforce(parser)


def run(args: argparse.Namespace) -> int:
    """Train, judge, and write the model with its card into a folder of the recipe's name."""
    import shutil

    import torch

    from refinevad.apps.terminal import note
    from refinevad.errors import InputError
    from refinevad.shipped.card import Card
    from refinevad.study import shipping
    from refinevad.training.recipe import read_recipe

    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise InputError("the same bytes need one thread: set OMP_NUM_THREADS=1 before the command")
    torch.set_num_threads(1)
    recipe, facts = read_recipe(args.recipe), shipping.read_facts(args.recipe.with_suffix(".card.toml"))
    if not recipe.splits_are_folds:
        raise InputError(f'recipe {args.recipe}: a model that ships needs splits = "folds" in [data]')
    index = _features(recipe, args)
    shipped = shipping.train_shipped(recipe, index, args.out / "run")
    note("trained; now each split by a model of the others")
    figures = shipping.held_out(recipe, index, shipped, args.out)
    others = []
    for what in facts.elsewhere:
        note(f"now {what.root}")
        others.append(shipping.elsewhere(shipped, _features(shipping.features_of_set(what, recipe), args), what))
    target = (args.into or args.out / "model") / args.recipe.stem
    target.mkdir(parents=True, exist_ok=True)
    for name in shipping.SHIPPED_FILES:
        shutil.copyfile(args.out / "run" / name, target / name)
    command = f"OMP_NUM_THREADS=1 refinevad bench ship {args.recipe} --out {args.out}"
    shipping.write_card(target, shipped, facts, index, figures, others, command)
    print("\n".join(Card.read(target).lines()))
    return 0


def _features(recipe: "Recipe", args: argparse.Namespace) -> "FeatureIndex":
    from refinevad.apps.terminal import notes, stepping
    from refinevad.errors import InputError
    from refinevad.training.experiment import extract_features

    done = extract_features(recipe, args.out / "features", workforce(args, PROCESSES), stepping("extract", "video"))
    if done.failed:
        raise InputError(f"all videos must be read: {next(iter(done.failed.values()))}")
    notes(done.notes)
    return done.index
