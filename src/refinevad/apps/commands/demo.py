"""refinevad demo: the main job end to end on videos it renders itself."""

import argparse
from pathlib import Path
from typing import Any

# settings of its own: on the rendered set a direct path trained with the rest does better (docs/log.md)
DEMO_MODEL: dict[str, Any] = {
    "inputs": ["motion_mean", "motion_deviation", "motion_peak", "change", "appearance"],
    "width": 32,
    "direct": True,
    "head_weight": 0.5,
    "centre_head": True,
    "input_clip": 4.0,
    "smoothing": 2,
}
DEMO_TRAINING: dict[str, Any] = {
    "epochs": 30,
    "keep": "last",
    "learning_rate": 1e-3,
    "direct_rate": 20.0,
    "weight_decay": 1.0,
    "batch": 200,
    "lambda_posterior": 0.0,
}

HELP = "render a small labelled data set, train, evaluate, detect, and leave a report"
EXAMPLE = """\
example:
  refinevad demo --out out/demo

Leaves DIR/report.html. A second run reuses what is there; --seed makes another world.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="folder (default out/demo)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the scenes and of training (default 0)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Render, extract, train, evaluate, detect, report."""
    from dataclasses import replace

    from refinevad.apps.commands.evaluate import open_run, report_of
    from refinevad.apps.demo.demo_set import render_demo_set
    from refinevad.apps.figures_table import figures_table
    from refinevad.apps.report.annotate import write_annotated
    from refinevad.apps.report.evaluation_report import write_demo_report
    from refinevad.apps.report.writer import write_detection
    from refinevad.apps.terminal import give_json, note, progress_bar, stepping
    from refinevad.detection.wording import verdict
    from refinevad.detector import Detector
    from refinevad.evaluating import judge_opened
    from refinevad.training.experiment import extract_features, split_items, train_run
    from refinevad.training.recipe import as_recipe
    from refinevad.training.train_options import TrainOptions
    from refinevad.video.reading import probe

    run_folder = args.out / "run"
    rendered = render_demo_set(args.out / "videos", args.seed)
    data = rendered.data
    # appearance is in: the cameras are mostly the same in training and test, and fire is what it looks like
    recipe = replace(
        as_recipe(data),
        features=args.out / "features",
        alerts_per_hour=60.0,  # three minutes of validation, most of it nearly incidents, vouch for no less
        model=DEMO_MODEL,
    ).with_seed(args.seed)
    recipe = replace(recipe, train=TrainOptions.from_dict({**DEMO_TRAINING, "seed": args.seed}))
    done = extract_features(recipe, args.out / "features", 2, stepping("extract", "video"))
    items = split_items(recipe, done.index, None)
    with progress_bar(None, "train", "epoch") as bar:

        def advance(epoch: int, figures: dict[str, float]) -> None:
            bar.n, bar.total = epoch, int(figures["epochs"])
            bar.refresh()

        train_run(recipe, done.index, items, run_folder, advance)
    result = judge_opened(open_run(run_folder, data, args.out / "features", 2), "strict", device="cpu")
    unseen = rendered.unseen
    note(f"detecting in {unseen}, which no step before has seen")
    info = probe(unseen)
    with progress_bar(info.expected_frames, "detect", "frame") as bar:
        detection = Detector.open(run_folder).detect(unseen, bar.update)
    write_detection(detection, args.out / "unseen", unseen)
    with progress_bar(detection.frames, "annotate", "frame") as bar:
        annotated = args.out / "unseen" / f"{unseen.stem}.annotated.mp4"
        write_annotated(detection, unseen, annotated, lambda _: bar.update() and None)
    report = args.out / "report.html"
    truth = [(*rendered.unseen_event, rendered.unseen_category)]
    write_demo_report(report, report_of(result, recipe, run_folder), detection, unseen, truth=truth)
    if not give_json({**result.metrics, "controls": result.controls, "report": str(report)}, args.json):
        print(figures_table(result.metrics, result.controls))
        print(f"{unseen.name}: {verdict(detection)}")
        print(f"report: {report}")
    return 0
