"""refinevad evaluate: a RUN on held-out videos with temporal truth."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refinevad.evaluating import RunOnData
    from refinevad.judging.evaluation import Result
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
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a trained run, or a model that ships")
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
    from refinevad.evaluating import judge_opened
    from refinevad.judging.figures import Figures
    from refinevad.machine.devices import open_device
    from refinevad.shipped.names import find_run

    open_device(args.device)  # a wrong one fails before videos are read
    run_folder = find_run(args.run_folder)
    opened = open_run(run_folder, args.data, args.features, args.workers, args.allow_download)
    result = judge_opened(opened, args.protocol, args.lenient, args.device)
    if args.report is not None:
        from refinevad.apps.report.evaluation_report import write_evaluation_report

        write_evaluation_report(args.report, report_of(result, opened.recipe, run_folder))
    notes(result.notes)
    if not give_json(Figures.of(result, opened.failed, opened.notes).content, args.json):
        print(figures_table(result.metrics, result.controls, opened.head))
        notes(adjusted_words(result.metrics))
    return 1 if opened.failed else 0


def open_run(
    run_folder: Path, data: Path, features: Path | None, workers: int, allow_download: bool = False
) -> "RunOnData":
    """`open_on_data`, with progress and notes on the terminal."""
    from refinevad.apps.terminal import notes, stepping
    from refinevad.evaluating import open_on_data

    return open_on_data(run_folder, data, features, workers, allow_download, stepping("extract", "video"), notes)


def report_of(result: "Result", recipe: "Recipe", run_folder: Path) -> Any:
    """What the HTML report shows of a result."""
    from refinevad.apps.report.evaluation_section import Evaluation, VideoCurve
    from refinevad.judging.compared import control_sentence
    from refinevad.run_folder import CALIBRATION, read_calibration

    told = control_sentence(result.metrics, result.controls)
    threshold = read_calibration(run_folder).threshold if (run_folder / CALIBRATION).exists() else None
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
                paths=video.paths,
            )
            for video in result.videos
        ],
        provenance={"run": str(run_folder), "encoder": recipe.encoder, "seed": str(recipe.train.seed)},
        notes=() if told is None else (f"{told[0].upper()}{told[1:]}.",),
    )
