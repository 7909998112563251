"""refinevad train: a recipe or a folder of labelled videos -> a RUN folder."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refinevad.apps.commands.recipe_options import add_encoder_options, recipe_from
from refinevad.apps.commands.workforce import PROCESSES, workforce
from refinevad.files.remote import located

if TYPE_CHECKING:
    from refinevad.datasets.dataset import FeatureIndex, Item
    from refinevad.training.distributed import Processes
    from refinevad.training.recipe import Recipe
    from refinevad.training.runs import Progress

HELP = "train a detector from video-level labels"
EXAMPLE = """\
example:
  refinevad train videos/ --out runs/mine
  refinevad train recipes/survfights.toml --seed 1 --out runs/survfights-1
  refinevad train videos/ --out runs/better --add-reviewed refinevad-data      (or the service's cameras.toml)
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
        "data", type=located, metavar="RECIPE_OR_DATA", help="recipe (.toml), folder of videos, or of features"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    add_encoder_options(parser)
    parser.add_argument("--features", type=located, metavar="DIR", help="folder of features (default: RUN/features)")
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
        help="also train on clips reviewed in the service: its --data folder, cameras.toml, SQLite file or URL",
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


def run(args: argparse.Namespace) -> int:
    """Extract what is missing, train, calibrate, and save the run; exit 1 when some videos were left out."""
    from refinevad.training.distributed import joined

    with joined() as processes:
        return _run(args, processes)


def _run(args: argparse.Namespace, processes: "Processes") -> int:
    from refinevad.apps.terminal import give_json, notes
    from refinevad.training.curves import check_tensorboard
    from refinevad.training.runs import train_recipe

    recipe = recipe_from(args.data, args)
    if args.tensorboard:
        check_tensorboard()
    if args.add_reviewed:
        _require_reviewed(args)  # before anything is extracted
    reviewed = (lambda index: _reviewed(args, recipe, index)) if args.add_reviewed else None
    with _Shown(args.tensorboard) as shown:

        def tell(sentences: Sequence[str]) -> None:
            shown.close()  # the bar of what was trained: nothing is told while it moves
            notes(sentences)

        trained = train_recipe(
            recipe,
            args.out,
            workers=workforce(args, PROCESSES),
            fold=args.fold,
            device=args.device,
            progress=shown,
            tell=tell,
            more=reviewed,
            processes=processes,
        )
    if not processes.first:
        return 0
    if not give_json(trained.validation, args.json):
        for name, row in trained.by_name.items():
            print("\n".join(validation_lines(name, row)))
        print(f"run saved in {args.out}")
    return 1 if trained.failed else 0


class _Shown:
    """Progress as a person sees it: a bar for the videos, one for each model's epochs, and its curves."""

    def __init__(self, tensorboard: bool) -> None:
        self._tensorboard = tensorboard
        self._step: Callable[[], None] | None = None
        self._open = ExitStack()
        self._report: Callable[[int, dict[str, float]], None] | None = None

    def __enter__(self) -> "_Shown":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the bar of a model's epochs, and its curves."""
        self._open.close()

    def __call__(self, progress: "Progress") -> None:
        from refinevad.apps.terminal import stepping

        if progress.stage == "extract":
            if not progress.done:
                self._step = stepping("extract", "video")(progress.total or 0)
            elif self._step is not None:
                self._step()
        elif not progress.done:
            self.close()
            folder = progress.folder if self._tensorboard else None
            self._report = _reporter(self._open, progress.fold, folder)
        elif self._report is not None:
            self._report(progress.done, dict(progress.figures))


def _require_reviewed(args: argparse.Namespace) -> None:
    """Raises InputError where no clip was reviewed that is still there."""
    from refinevad.apps.live.storage.labels import labelled_clips
    from refinevad.apps.live.storage.stored import open_stored
    from refinevad.errors import InputError

    store = open_stored(args.add_reviewed, args.reviewed_media)
    try:
        clips, _ = labelled_clips(store)
    finally:
        store.close()
    if not clips:
        raise InputError(f"no reviewed clip in {args.add_reviewed}: confirm or dismiss events in the service first")


def _reviewed(args: argparse.Namespace, recipe: "Recipe", index: "FeatureIndex") -> "list[Item]":
    """Training items of the clips that people reviewed; copied beside the run, so that it can be trained again."""
    from refinevad.apps.live.storage.labels import export_reviewed
    from refinevad.apps.live.storage.stored import open_stored
    from refinevad.apps.terminal import note, stepping
    from refinevad.errors import InputError
    from refinevad.training.reviewed import add_reviewed

    store, clips = open_stored(args.add_reviewed, args.reviewed_media), args.out / "reviewed"
    try:
        report = export_reviewed(store, clips)
    finally:
        store.close()
    if report.without_clip:
        note(f"left out: {report.without_clip} reviewed events, whose clips are not there any more")
    if not report.exported:  # retention was quicker
        raise InputError(f"no reviewed clip in {args.add_reviewed}: confirm or dismiss events in the service first")
    added = add_reviewed(recipe, index, clips, args.workers or PROCESSES, stepping("reviewed", "clip"))
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


def validation_lines(name: str, row: Mapping[str, Any]) -> list[str]:
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
