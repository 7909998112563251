"""refinevad bench transfer: categories never trained on, or another set."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refinevad.apps.commands.benches.seeds import declare_seeds
from refinevad.apps.commands.workforce import PROCESSES, workforce

if TYPE_CHECKING:
    from refinevad.datasets.dataset import FeatureIndex
    from refinevad.training.recipe import Recipe

HELP = "what carries over: to categories left out of training, or to another set with the same features"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the table's options."""
    declare_seeds(parser)
    parser.add_argument("--heads", type=Path, nargs="*", default=[], metavar="FILE", help="heads beside the recipe")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--leave-out", nargs="+", metavar="CATEGORY", help="train without these, test on them")
    where.add_argument("--to", type=Path, metavar="FEATURES", help="test on this feature folder")


def run(args: argparse.Namespace) -> int:
    """Train and test every seed of every head, and print the table."""
    from refinevad.apps.terminal import give_json, note, stepping
    from refinevad.datasets.dataset import FeatureIndex
    from refinevad.files.whole import atomic_write
    from refinevad.judging.intervals import auc_words
    from refinevad.study.ablation import read_variant
    from refinevad.study.held_features import HeldFeatures
    from refinevad.study.over_seeds import spread
    from refinevad.study.standings import OURS
    from refinevad.study.transfer import transfer_table
    from refinevad.training.experiment import extract_features
    from refinevad.training.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    index = extract_features(
        recipe, args.out / "features", workforce(args, PROCESSES), stepping("extract", "video")
    ).index
    index = HeldFeatures.of(index)
    other = None if args.to is None else HeldFeatures.of(FeatureIndex.open(args.to))
    heads = {OURS: recipe, **{path.stem: read_variant(path).of(recipe) for path in args.heads}}
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for name, settings in heads.items():
        for seed in args.seeds:
            found = _seed(settings.with_seed(seed), index, other, args.leave_out, args.out / name / f"seed{seed}")
            for how, figures in found.items():
                rows.setdefault(f"{name}{how}", []).append(figures)
                note(f"{name}{how} seed {seed}: AUC {auc_words(figures)}")
    table = transfer_table(rows, spread)
    with atomic_write(args.out / "table.md") as partial:
        partial.write_text(table + "\n", encoding="utf-8")
    if not give_json(rows, args.json):
        print(table)
    return 0


def _seed(
    recipe: "Recipe",
    index: "FeatureIndex",
    other: "FeatureIndex | None",
    categories: Sequence[str] | None,
    folder: Path,
) -> dict[str, Mapping[str, Any]]:
    from refinevad.study.transfer import carry_over, leave_out

    if other is not None:
        return {"": carry_over(recipe, index, other, folder)}
    blind, seeing = leave_out(recipe, index, categories or (), folder)
    return {", never seen": blind, ", seen": seeing}
