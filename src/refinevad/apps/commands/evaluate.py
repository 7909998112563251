"""refinevad evaluate: a RUN on held-out videos with temporal truth."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refinevad.checkpoint import Checkpoint
    from refinevad.training.dataset import FeatureIndex, Item
    from refinevad.training.evaluation import Result
    from refinevad.training.protocol import Protocol
    from refinevad.training.recipe import Recipe

HELP = "evaluate a run on held-out videos with temporal truth"
EXAMPLE = """\
example:
  refinevad evaluate runs/mine --data videos/ --json figures.json --report report.html

DATA is the data set the run was trained on, its recipe, or another set with the same categories; its test videos are
judged by events.csv, whose rows must all fit videos of the set. Chance, a trivial control and the run's ridge control
are evaluated beside the model, on the same resamples of the test videos: "yes" behind a difference says that its 95 %
interval excludes 0. Videos that a column `source` of videos.csv puts together are drawn together.
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
    parser.add_argument("--protocol", choices=("strict", "legacy"), default="strict", help="how mAP@IoU is counted")
    parser.add_argument(
        "--lenient", action="store_true", help="leave aside rows of the truth that match no video, in place of an error"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that extract missing features")
    parser.add_argument(
        "--device", metavar="D", help="where the model runs: cpu or cuda (default: cuda where there is one)"
    )
    parser.add_argument("--allow-download", action="store_true", help="fetch an encoder that a run names from a hub")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - for stdout")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write an HTML report")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print; the figures are also stored in RUN/metrics.json. Exit 1 when some test video was left out."""
    from refinevad.apps.commands.metrics import adjusted_words
    from refinevad.apps.figures_table import figures_table
    from refinevad.apps.terminal import give_json, notes
    from refinevad.checkpoint import METRICS, read_json, write_json
    from refinevad.devices import open_device

    device = open_device(args.device)
    opened = open_run(args.run_folder, args.data, args.features, args.workers, args.allow_download)
    for checkpoint, _ in opened.parts:
        checkpoint.model.to(device)
    result = evaluate_opened(opened, args.protocol, args.lenient)
    stored = args.run_folder / METRICS
    content = {
        **(read_json(stored) if stored.exists() else {}),
        "test": result.metrics,
        "controls": result.controls,
    }
    write_json(stored, content)
    if args.report is not None:
        from refinevad.apps.report.evaluation_report import write_evaluation_report

        write_evaluation_report(args.report, report_of(result, opened.recipe, args.run_folder))
    notes(result.notes)
    told = {
        "controls": result.controls,
        "by_category": result.by_category,
        "failed": opened.failed,
        "notes": [*opened.notes, *result.notes],
    }
    if not give_json({**result.metrics, **told}, args.json):
        print(figures_table(result.metrics, result.controls, opened.head))
        notes(adjusted_words(result.metrics))
    return 1 if opened.failed else 0


def evaluate_opened(opened: "OpenedRun", protocol: str, lenient: bool = False) -> "Result":
    """Evaluate an opened run, or the folds inside it, on the test videos that could be read."""
    from refinevad.training.evaluation import evaluate_folds

    counted: Protocol = "legacy" if protocol == "legacy" else "strict"
    return evaluate_folds(opened.parts, opened.index, Path(opened.index.source), counted, lenient)


@dataclass(frozen=True)
class OpenedRun:
    """A run, or the folds inside it, each with the items and splits it was trained on, and their features.

    `failed`: test videos that could not be read, with one sentence each. `notes`: what was left out of the set, and how
    its splits were read.
    """

    recipe: "Recipe"
    index: "FeatureIndex"
    parts: list[tuple["Checkpoint", list["Item"]]]
    failed: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """What the model is called in tables."""
        return str(getattr(self.parts[0][0].model.config, "head", "RefineVAD"))


def open_run(
    run_folder: Path, data: Path, features: Path | None, workers: int, allow_download: bool = False
) -> OpenedRun:
    """Open a run folder with the data set or recipe it is to be looked at with; missing features are extracted.

    `allow_download`: an encoder that the run names may be fetched from a model hub.

    Raises:
        InputError: no finished run, no such data, or videos that cannot be read.
    """
    from dataclasses import replace

    from refinevad.apps.terminal import note, notes, stepping
    from refinevad.checkpoint import Checkpoint
    from refinevad.encoders.choice import require_at_hand
    from refinevad.errors import InputError
    from refinevad.training.experiment import judged_items, make_features
    from refinevad.training.recipe import as_recipe

    recipe = as_recipe(data) if features is None else as_recipe(data).with_features(features)
    folders = sorted(run_folder.glob("fold*")) if not (run_folder / "config.json").exists() else []
    folders = [folder for folder in folders if folder.name.removeprefix("fold").isdecimal()]
    checkpoints = [Checkpoint.load(folder).with_ridge(folder) for folder in folders or [run_folder]]
    for folder, checkpoint in zip(folders or [run_folder], checkpoints, strict=True):
        require_at_hand(checkpoint.encoder, allow_download, f"run {folder}")
        _require_seed(checkpoint, folder)
    first = checkpoints[0]
    recipe = replace(
        recipe,
        kind="ucf-captions" if first.encoder.startswith("captions") and recipe.kind != "videos" else recipe.kind,
        encoder=first.encoder,
        rule=first.segment_rule,
    )
    done = make_features(recipe, run_folder / "features", workers, stepping("extract", "video"))
    for sentence in done.failed.values():
        note(f"left out: {sentence}")
    parts = []
    told_of_splits: dict[str, None] = {}
    for place, checkpoint in enumerate(checkpoints):
        fold = int(folders[place].name.removeprefix("fold")) if folders else checkpoint.training.get("fold")
        seeded = recipe.with_seed(int(checkpoint.training["options"]["seed"]))
        items, told = judged_items(seeded, done.index, fold)
        if told and len(folders) > 1:
            raise InputError(
                f"{run_folder} holds {len(folders)} folds, each a model of its own, and {data} is not in folds; "
                f"name one, such as {folders[0]}"
            )
        told_of_splits |= dict.fromkeys(told)
        parts.append((checkpoint, items))
    told_of_set = (*done.notes, *told_of_splits)
    notes(told_of_set)
    return OpenedRun(recipe, done.index, parts, _untested(recipe, done.failed), told_of_set)


def _require_seed(checkpoint: "Checkpoint", folder: Path) -> None:
    """Raises InputError where a run does not tell the seed its data were split by."""
    from refinevad.errors import InputError

    if "seed" not in checkpoint.training.get("options", {}):
        raise InputError(f"run {folder} does not tell the seed of its splits; train it again to evaluate it")


def _untested(recipe: "Recipe", failed: dict[str, str]) -> dict[str, str]:
    """The failed videos that would have been judged: those of the test split, and of any fold."""
    from refinevad.training.dataset import read_dataset

    if not failed:
        return {}
    if recipe.published is not None:
        return {path: sentence for path, sentence in failed.items() if path.startswith("test/")}
    judged = {item.path for item in read_dataset(recipe.data) if item.split == "test" or item.fold is not None}
    return {path: sentence for path, sentence in failed.items() if path in judged}


def report_of(result: "Result", recipe: "Recipe", run_folder: Path) -> Any:
    """What the HTML report shows of a result."""
    from refinevad.apps.report.evaluation_section import Evaluation, VideoCurve
    from refinevad.checkpoint import CALIBRATION, read_json
    from refinevad.training.compared import control_sentence

    told = control_sentence(result.metrics, result.controls)
    calibration = run_folder / CALIBRATION
    threshold = read_json(calibration)["threshold"] if calibration.exists() else None
    return Evaluation(
        title=recipe.data.name,
        metrics=result.metrics,
        controls=result.controls,
        by_category=result.by_category,
        threshold=threshold,
        videos=[
            VideoCurve(
                name=video.item.path,
                label=" + ".join(video.item.labels) or "normal",
                timeline=video.timeline,
                scores=video.scores.segments,
                events=video.events,
                truth=video.truth,
            )
            for video in result.videos
        ],
        provenance={"run": str(run_folder), "encoder": recipe.encoder, "seed": str(recipe.train.seed)},
        notes=() if told is None else (f"{told[0].upper()}{told[1:]}.",),
    )
