"""refinevad bench search: the settings of each head, by validation, the same budget for each."""

import argparse
from pathlib import Path

from refinevad.apps.commands.workforce import PROCESSES, add_workforce, workforce

HELP = "search each head's settings by validation videos' labels, with the same budget for each"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the search's options."""
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="recipe (.toml)")
    parser.add_argument(
        "--variants",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="heads to search (default: all of recipes/peers/*.toml)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for runs and what was tried")
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="write each head's chosen settings there (default: in DIR)"
    )
    add_workforce(parser)


def run(args: argparse.Namespace) -> int:
    """Search head after head; write one variant file each, and print what was chosen."""
    from refinevad.apps.terminal import note, stepping
    from refinevad.study.ablation import read_variant
    from refinevad.study.held_features import HeldFeatures
    from refinevad.study.search import FOLDS, TRAININGS, readings, search, write_variant
    from refinevad.training.experiment import extract_features
    from refinevad.training.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    index = extract_features(
        recipe, args.out / "features", workforce(args, PROCESSES), stepping("extract", "video")
    ).index
    index = HeldFeatures.of(index)
    ways = len(list(readings(recipe)))
    for path in args.variants or sorted((args.recipe.parent / "peers").glob("*.toml")):
        variant = read_variant(path)
        best = search(recipe, variant, index, args.out / variant.name, note)[0]
        folds = f", mean of {FOLDS} folds" if recipe.folds else ""
        header = (
            f"command   refinevad bench search {args.recipe} --variants {path} --out {args.out}",
            f"searched  {len(TRAININGS)} trainings x {ways} readings, seed {recipe.train.seed}{folds}: learning rate,",
            "          weight decay; video weight, smoothing or what empty stretches score",
            f"chosen    by validation video AUC {best.validation.video_auc:.4f}, then loss {best.validation.loss:.4f}",
        )
        chosen = (args.write or args.out) / f"{variant.name}.toml"
        write_variant(chosen, best.of(variant), header)
        print(f"{variant.name}: {dict(best.train)} {dict(best.model)}, validation AUC {best.validation.video_auc:.4f}")
    return 0
