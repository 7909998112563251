"""refinevad detect: raw videos -> events, with a report to look at."""

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.files.shown import shown

if TYPE_CHECKING:
    from refinevad.features.workers import Workers

HELP = "find events in videos"
EXAMPLE = """\
example:
  refinevad detect camera.mp4 --out found/
  refinevad detect camera1.mp4 camera2.mkv --model runs/mine --out found/ --annotate

Writes for each video <stem>.json, <stem>.csv and <stem>.html into DIR, and index.html over several. A video that cannot
be read is reported and the others finish (exit 1).
"""

LONG_S = 300.0  # of video: below, processes take longer to start than they save


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO", help="video files")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="RUN",
        help="folder of a trained run, or a model that ships (fighting)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--annotate", action="store_true", help="also write an mp4 with the curve drawn in")
    parser.add_argument(
        "--threshold", type=float, metavar="S", help="use this threshold in place of the calibrated one"
    )
    parser.add_argument(
        "--window", type=float, metavar="S", help="score as a live stream is: the model sees S seconds at a time"
    )
    parser.add_argument(
        "--delay", type=float, metavar="S", help="with --window: a score waits at most S seconds (default: the window)"
    )
    parser.add_argument(
        "--device", metavar="D", help="where the model runs: cpu or cuda (default: cuda where there is one)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that share a video of 5 minutes or more (default: one a core; 1: none)",
    )
    parser.add_argument("--allow-download", action="store_true", help="fetch an encoder that a run names from a hub")
    parser.add_argument("--json", metavar="FILE", help="write a summary of all videos as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Detect in each video; exit 2 when none could be read, 1 when some could not."""
    with _workers(args.workers, args.videos) as workers:
        return _detect(args, workers)


def _workers(count: int | None, videos: Sequence[Path]) -> "AbstractContextManager[Workers | None]":
    """Processes for long videos, which start while this one imports what it needs; none where no video is long."""
    from refinevad.errors import InputError
    from refinevad.machine.cores import usable_cores
    from refinevad.video.reading import probe

    def is_long(video: Path) -> bool:
        try:
            return probe(video).duration_s >= LONG_S
        except InputError:  # told when its turn comes
            return False

    if count is not None and count < 1:
        raise InputError(f"--workers must be at least 1: got {count}")
    count = count or usable_cores()
    if count == 1 or not any(is_long(video) for video in videos):
        return nullcontext()
    from refinevad.features.workers import Workers

    return Workers(count)


def _check_options(args: argparse.Namespace) -> None:
    from refinevad.errors import InputError

    if args.delay is not None and args.window is None:
        raise InputError("--delay needs --window: give the window's length in seconds too")
    if args.threshold is not None and not 0 <= args.threshold <= 1:
        raise InputError(f"--threshold must lie in [0, 1]: got {args.threshold}")


def _detect(args: argparse.Namespace, workers: "Workers | None") -> int:
    from refinevad.apps.report.overview import BatchEntry
    from refinevad.apps.report.writer import report_stems, write_detection, write_overview
    from refinevad.apps.speaking import who_speaks
    from refinevad.apps.terminal import give_json, note, progress_bar
    from refinevad.detection.record import event_paths, paths_record
    from refinevad.detection.wording import verdict
    from refinevad.detector import Detector
    from refinevad.errors import InputError
    from refinevad.scoring.event_record import SCHEMA_VERSION, event_facts
    from refinevad.shipped.names import find_run
    from refinevad.video.reading import probe

    _check_options(args)
    detector = Detector.open(
        args.model,
        args.window,
        args.delay,
        threshold=args.threshold,
        device=args.device,
        allow_download=args.allow_download,
    )
    for sentence in who_speaks([find_run(args.model)]):
        (note if args.json == "-" else print)(sentence)
    failed: dict[str, str] = {}
    entries, summary = [], []
    for video, stem in zip(args.videos, report_stems(args.videos), strict=True):
        try:
            info = probe(video)
            with progress_bar(info.expected_frames, video.name, "frame") as bar:
                detection = detector.detect(video, bar.update, workers)
            written = write_detection(detection, args.out, video, stem=stem)
            if args.annotate:
                from refinevad.apps.report.annotate import write_annotated

                write_annotated(detection, video, args.out / f"{stem}.annotated.mp4")
        except InputError as error:
            if len(args.videos) == 1 or str(error).startswith("cannot write"):
                raise
            failed[str(video)] = str(error)
            entries.append(BatchEntry(video.name, failure=str(error)))
            note(str(error))
            continue
        entries.append(BatchEntry(video.name, detection, written.html.name))
        summary.append(
            {
                "video": str(video),
                "report": str(written.html),
                "events": [{**event_facts(event), **event_paths(detection, event)} for event in detection.events],
                "notes": list(detection.notes),
                **paths_record(detection),
            }
        )
        if args.json != "-":
            print(shown(f"{video.name}: {verdict(detection)} -> {written.html}"))
    if not summary:
        raise InputError(
            f"none of the {len(args.videos)} videos could be read; the first: {next(iter(failed.values()))}"
        )
    if len(args.videos) > 1:
        write_overview(args.out, entries)
    give_json({"schema_version": SCHEMA_VERSION, "videos": summary, "failed": failed}, args.json)
    return 1 if failed else 0
