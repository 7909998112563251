"""refinevad train: a recipe or a folder of labelled videos -> a RUN folder."""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refinevad.apps.commands.extract import add_encoder_options

if TYPE_CHECKING:
    from refinevad.checkpoint import Checkpoint
    from refinevad.training.dataset import FeatureIndex, Item
    from refinevad.training.distributed import Processes
    from refinevad.training.recipe import Recipe

HELP = "train a detector from video-level labels"
EXAMPLE = """\
example:
  refinevad train videos/ --out runs/mine
  refinevad train recipes/survfights.toml --seed 1 --out runs/survfights-1
  refinevad train videos/ --out runs/better --add-reviewed refinevad-data
  refinevad train videos/ --out runs/linear --head linear
  torchrun --nproc-per-node 2 -m refinevad train recipes/survfights.toml --out runs/survfights

Features are extracted first where they are missing. Stopped, it goes on after the last whole epoch. The epoch is
chosen on validation videos' labels; events.csv is never opened. Beside each run the ridge control is fitted, a logistic
regression of single segments; where it is better on validation videos, one sentence recommends --head linear.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "data", type=Path, metavar="RECIPE_OR_DATA", help="recipe (.toml), folder of videos, or of features"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    add_encoder_options(parser)
    parser.add_argument("--features", type=Path, metavar="DIR", help="folder of features (default: RUN/features)")
    parser.add_argument(
        "--fold", type=int, metavar="K", help="train one fold of a cross-validation (default: all of them)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed (default: the recipe's, or 0)")
    parser.add_argument("--epochs", type=int, metavar="N", help="at most so many epochs of each model that is trained")
    parser.add_argument(
        "--alerts-per-hour",
        type=float,
        metavar="R",
        help="alert rate the threshold is calibrated to (default 6)",
    )
    parser.add_argument("--device", metavar="D", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16", "float16"), help="of the model's pass in training (float32)"
    )
    parser.add_argument(
        "--add-reviewed",
        metavar="DB",
        help="also train on clips reviewed in the service: its --data folder, SQLite file or URL",
    )
    parser.add_argument(
        "--reviewed-media", type=Path, metavar="DIR", help="folder of these clips (media beside the SQLite file)"
    )
    parser.add_argument(
        "--inputs",
        nargs="+",
        metavar="PART",
        help="what the model sees; of lite: motion_mean, motion_deviation, motion_peak (default), change, appearance",
    )
    parser.add_argument(
        "--head",
        metavar="NAME",
        help="another head in RefineVAD's place: linear (the ridge control, fitted in seconds) or a published one",
    )
    parser.add_argument("--tensorboard", action="store_true", help="write live curves to RUN/tensorboard")
    parser.add_argument("--json", metavar="FILE", help="write the validation figures as JSON; - for stdout")


def recipe_from(data: Path, args: argparse.Namespace) -> "Recipe":
    """The recipe of a command line: a file or a folder, with the options given laid over it."""
    from dataclasses import replace

    from refinevad.errors import InputError
    from refinevad.timeline import SegmentRule
    from refinevad.training.recipe import as_recipe
    from refinevad.training.ucf_crime import is_annotation_folder

    recipe = as_recipe(data)
    if recipe.kind == "videos" and is_annotation_folder(recipe.data):
        recipe = replace(recipe, kind="ucf-captions", encoder="captions")
    if args.encoder:
        recipe = replace(recipe, encoder=args.encoder)
    if args.segment_s is not None or args.segment_frames is not None:
        recipe = replace(recipe, rule=SegmentRule(seconds=args.segment_s, frames=args.segment_frames))
    if args.workers < 1:
        raise InputError(f"--workers must be at least 1: got {args.workers}")
    given = {name: getattr(args, name, None) for name in ("seed", "epochs", "precision")}
    options = {name: value for name, value in given.items() if value is not None}
    if "epochs" in options:
        options["steps"] = 0  # which would count in their place
    recipe = replace(recipe, train=replace(recipe.train, **options))
    if getattr(args, "inputs", None):
        recipe = replace(recipe, model={**recipe.model, "inputs": args.inputs})
    if getattr(args, "head", None):
        recipe = recipe.with_head(args.head)
    if getattr(args, "features", None) is not None:
        recipe = recipe.with_features(args.features)
    if getattr(args, "alerts_per_hour", None) is not None:
        if not args.alerts_per_hour > 0:
            raise InputError(f"--alerts-per-hour must be above 0: got {args.alerts_per_hour}")
        recipe = replace(recipe, alerts_per_hour=args.alerts_per_hour)
    return recipe


def run(args: argparse.Namespace) -> int:
    """Extract what is missing, train, calibrate, and save the run; exit 1 when some videos were left out."""
    from refinevad.training.distributed import joined

    with joined() as processes:
        return _run(args, processes)


def _run(args: argparse.Namespace, processes: "Processes") -> int:
    from refinevad.apps.terminal import give_json, note, notes, stepping
    from refinevad.checkpoint import METRICS, read_json
    from refinevad.peers.choice import LINEAR
    from refinevad.training.compared import Compared
    from refinevad.training.curves import check_tensorboard
    from refinevad.training.experiment import make_features, split_items, train_run, warnings_for
    from refinevad.training.precision import check_precision

    recipe, device = recipe_from(args.data, args), processes.device(args.device)
    check_precision(recipe.train.precision, device)
    if args.tensorboard:
        check_tensorboard()
    done = processes.from_first(
        lambda: make_features(recipe, args.out / "features", args.workers, stepping("extract", "video"), test=False)
    )
    reviewed = processes.from_first(lambda: _reviewed(args, recipe, done.index)) if args.add_reviewed else []
    folds: list[int | None] = [args.fold] if args.fold is not None else [*range(recipe.folds)] or [None]
    figures = {}
    for fold in folds:
        folder = args.out if len(folds) == 1 else args.out / f"fold{fold}"
        items = [*split_items(recipe, done.index, fold), *reviewed]
        if not processes.first:
            train_run(recipe, done.index, items, folder, None, device, fold, processes)
            continue
        if fold == folds[0]:
            notes(done.notes)
        for sentence in warnings_for(recipe, items, done.failed if fold == folds[0] else {}):
            note(sentence)
        with ExitStack() as open_:
            fitted = recipe.head.get("name") == LINEAR  # in one go: there are no epochs to show
            report = None if fitted else _reporter(open_, fold, folder if args.tensorboard else None)
            checkpoint = train_run(recipe, done.index, items, folder, report, device, fold, processes)
        if why := checkpoint.training.get("inputs_why"):
            note(f"inputs: {why}; --inputs chooses others")
        _warn_uncertified(checkpoint, recipe)
        figures[folder.name] = row = read_json(folder / METRICS)["validation"]
        told = [] if row["compared"] is None else Compared.from_dict(row["compared"]).sentences()
        notes([f"{folder.name}: {sentence}" if len(folds) > 1 else sentence for sentence in told])
    if not processes.first:
        return 0
    if not give_json(figures if len(folds) > 1 else next(iter(figures.values())), args.json):
        for name, row in figures.items():
            print("\n".join(validation_lines(name, row)))
        print(f"run saved in {args.out}")
    return 1 if done.failed else 0


def _reviewed(args: argparse.Namespace, recipe: "Recipe", index: "FeatureIndex") -> "list[Item]":
    """Training items of the clips that people reviewed; copied beside the run, so that it can be trained again."""
    from refinevad.apps.live.labels import export_reviewed
    from refinevad.apps.live.stored import open_stored
    from refinevad.apps.terminal import note, stepping
    from refinevad.errors import InputError
    from refinevad.training.reviewed import add_reviewed

    store, clips = open_stored(args.add_reviewed, args.reviewed_media), args.out / "reviewed"
    try:
        report = export_reviewed(store, clips)
    finally:
        store.close()
    if not report.exported:
        raise InputError(f"no reviewed clip in {args.add_reviewed}: confirm or dismiss events in the service first")
    added = add_reviewed(recipe, index, clips, args.workers, stepping("reviewed", "clip"))
    for sentence in added.failed.values():
        note(f"left out: {sentence}")
    normal = sum(not item.anomalous for item in added.items)
    note(f"{len(added.items)} reviewed clips join the training videos, {normal} of them as normal")
    return added.items


def _reporter(open_: ExitStack, fold: int | None, curves_in: Path | None) -> Callable[[int, dict[str, float]], None]:
    """What is shown after each epoch: a bar, and curves where a folder is given; closed with `open_`."""
    from refinevad.apps.terminal import progress_bar
    from refinevad.training.curves import Curves

    bar = open_.enter_context(progress_bar(None, "train" if fold is None else f"train fold {fold}", "epoch"))
    curves = open_.enter_context(Curves(curves_in)) if curves_in else None

    def report(epoch: int, numbers: dict[str, float]) -> None:
        bar.n, bar.total = epoch, int(numbers["epochs"])
        # only of videos that were held out: that a model knows its training videos tells nobody anything
        judged = {"val_auc": f"{numbers['val_video_auc']:.3f}"} if "val_video_auc" in numbers else {}
        bar.set_postfix(loss=f"{numbers['loss']:.3f}", **judged)
        if curves and not numbers.get("held"):  # curves are of the run's own model, as its history is
            kept = {name: value for name, value in numbers.items() if name not in ("epoch", "epochs", "held")}
            curves.add(int(numbers["epoch"]), kept)

    return report


def _warn_uncertified(checkpoint: "Checkpoint", recipe: "Recipe") -> None:
    from refinevad.apps.terminal import note

    if not checkpoint.calibration.certified:
        note(
            f"{checkpoint.calibration.normal_hours * 60:.0f} min of normal validation video cannot vouch for "
            f"{recipe.alerts_per_hour:g} alerts an hour; the threshold is their highest score"
        )


def validation_lines(name: str, row: dict[str, Any]) -> list[str]:
    """The model's validation video AUC and, below it, each control's on the same videos."""
    compared = row["compared"]
    how = f"epoch {row['epoch']}" if row["epoch"] else "fitted in closed form"
    ours = row["video_auc"] if compared is None else compared["video_auc"]["model"]
    lines = [f"{name}: {how}, validation video AUC {_share(ours)}"]
    if compared is not None:
        lines += [
            f"  {control}: {_share(compared['video_auc'][control])}" for control in compared["model_minus_control"]
        ]
    return lines


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
