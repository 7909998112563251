"""refinevad explain: what a trained run does inside, as one page of figures."""

import argparse
from pathlib import Path

HELP = (
    "draw what a trained run does inside: shares of its paths, prototypes, video map, shift ratio, mixtures, confusion"
)
EXAMPLE = """\
example:
  refinevad explain runs/mine --data videos/ --out inside.html

DATA is the data set the run was trained on, or its recipe; its test videos and their temporal truth are drawn. The page
is one file that needs no network. t-SNE is drawn where scikit-learn is installed, principal components always.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a trained run")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DATA", help="data set or recipe with temporal truth"
    )
    parser.add_argument("--features", type=Path, metavar="DIR", help="folder of features (default: RUN/features)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="HTML page to write")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that extract missing features")
    parser.add_argument("--allow-download", action="store_true", help="fetch an encoder that a run names from a hub")
    parser.add_argument("--json", metavar="FILE", help="write the figures' numbers as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Look inside the run, write the page, and say each figure's finding."""
    from refinevad.apps.commands.evaluate import open_run
    from refinevad.apps.explain.explanation import figures_of, write_explanation
    from refinevad.apps.explain.inside import look_inside
    from refinevad.apps.terminal import give_json, notes
    from refinevad.errors import InputError
    from refinevad.judging.set_truth import read_truth
    from refinevad.shipped.names import find_run

    run_folder = find_run(args.run_folder)
    if not (run_folder / "config.json").exists() and (folds := sorted(run_folder.glob("fold*"))):
        raise InputError(f"{run_folder} holds {len(folds)} folds, each a model of its own; explain {folds[0]}")
    opened = open_run(run_folder, args.data, args.features, args.workers, args.allow_download)
    checkpoint, items = opened.parts[0]
    tested = [item for item in items if item.split == "test"]
    if not tested:
        raise InputError(f"the data set {opened.recipe.data} has no test videos; put some under test/<category>/")
    features = opened.index.load(tested)
    source, known = Path(opened.index.source), checkpoint.model.config.categories
    truth = read_truth(source, tested, features, known, opened.index.items)
    notes(truth.notes)
    explained = look_inside(checkpoint, tested, features, truth)
    figures = figures_of(explained)
    seed = checkpoint.training.get("options", {}).get("seed", "")
    provenance = {"run": str(args.run_folder), "data": str(opened.recipe.data), "seed": str(seed)}
    write_explanation(args.out, opened.recipe.data.name, explained, list(figures.values()), provenance)
    if not give_json({name: dict(figure.numbers) for name, figure in figures.items()}, args.json):
        print("\n".join(f"{figure.title}: {figure.told}" for figure in figures.values()))
    return 1 if opened.failed else 0
