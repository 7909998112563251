"""refinevad detect: raw videos -> events, with a report to look at."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.apps.commands.describing import add_describing, describer
from refinevad.apps.commands.workforce import add_ray, workforce
from refinevad.files.remote import located
from refinevad.files.shown import shown

if TYPE_CHECKING:
    from refinevad.apps.archive.events_table import EventsTable
    from refinevad.apps.batch import Batch
    from refinevad.detection.described import Describer
    from refinevad.detection.found import Detection
    from refinevad.detector import Detector

HELP = "find events in videos"
EXAMPLE = """\
example:
  refinevad detect camera.mp4 --out found/
  refinevad detect camera1.mp4 camera2.mkv --model runs/mine --out found/ --annotate

Writes for each video <stem>.json, <stem>.csv and <stem>.html into DIR, and index.html over several; with
refinevad[archive] the events of all go into DIR/events.parquet, too (refinevad find). A video that cannot be read
is reported and the others finish (exit 1).

Without training, with an encoder that reads (clip:, siglip:, captions, captioned:, audio: of CLAP):
  refinevad detect camera.mp4 --describe "a person lying on the floor" --describe smoke --encoder clip:FOLDER \\
      --quiet an-hour-of-nothing.mp4 --out found/
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("videos", type=located, nargs="+", metavar="VIDEO", help="video files")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="RUN",
        help="folder of a trained run, or a model that ships (fighting), or --describe",
    )
    parser.add_argument("--out", type=located, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--no-report", action="store_true", help="JSON and CSV alone, no pages: for archives")
    parser.add_argument(
        "--no-where", action="store_true", help="do not look for the place in the picture that an event came from"
    )
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
        help="processes that share videos of a minute or more together (default: one a core; 1: none)",
    )
    add_ray(parser)
    add_describing(parser)
    parser.add_argument("--allow-download", action="store_true", help="fetch an encoder that a run names from a hub")
    parser.add_argument(
        "--zones",
        type=Path,
        metavar="FILE",
        help="masks, whose motion never counts, and zones, outside of which none does (docs/live.md)",
    )
    parser.add_argument("--json", metavar="FILE", help="write a summary of all videos as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Detect in each video; exit 2 when none could be read, 1 when some could not."""
    from refinevad.apps.batch import Batch
    from refinevad.machine.cores import usable_cores
    from refinevad.shipped.names import find_run

    _check_options(args)
    # what a run says of its encoder is enough to begin by, but where zones or words change what it looks at
    foreseen = None if args.describe or args.zones else find_run(args.model)
    with Batch(foreseen, args.videos, workforce(args, usable_cores())) as batch:
        return _detect(args, batch)


def _check_options(args: argparse.Namespace) -> None:
    from refinevad.errors import InputError

    if args.delay is not None and args.window is None:
        raise InputError("--delay needs --window: give the window's length in seconds too")
    if args.threshold is not None and not 0 <= args.threshold <= 1:
        raise InputError(f"--threshold must lie in [0, 1]: got {args.threshold}")


def _detect(args: argparse.Namespace, batch: "Batch") -> int:
    from refinevad.apps.speaking import who_speaks
    from refinevad.apps.terminal import give_json, note
    from refinevad.detector import Detector
    from refinevad.errors import InputError
    from refinevad.scoring.event_record import SCHEMA_VERSION
    from refinevad.shipped.names import find_run

    described = describer(args)
    detector = described or Detector.open(
        args.model,
        args.window,
        args.delay,
        threshold=args.threshold,
        device=args.device,
        allow_download=args.allow_download,
        zones=args.zones,
        where=not args.no_where,
    )
    cautions = who_speaks([] if described else [find_run(args.model)])
    for sentence in cautions:
        (note if args.json == "-" else print)(sentence)
    results = _Results(args, batch, cautions)
    results.take_all(detector)
    failed = {str(args.videos[place]): sentence for place, sentence in sorted(results.failed.items())}
    if not results.rows:
        raise InputError(
            f"none of the {len(args.videos)} videos could be read; the first: {next(iter(failed.values()))}"
        )
    if len(args.videos) > 1 and not args.no_report:
        results.write_overview()
    rows = [row for _, row in sorted(results.rows.items())]
    give_json({"schema_version": SCHEMA_VERSION, "videos": rows, "failed": failed}, args.json)
    return 1 if failed else 0


class _Results:
    """What becomes of each video, by its place among the arguments; told in their order, whatever order they come in.

    Attributes:
        rows: of the summary.
        failed: sentences.
    """

    def __init__(self, args: argparse.Namespace, batch: "Batch", cautions: Sequence[str]) -> None:
        from refinevad.apps.report.overview import BatchEntry
        from refinevad.apps.report.writer import report_stems

        self._args, self._batch, self._stems = args, batch, report_stems(args.videos)
        self._cautions = cautions
        self.rows: dict[int, dict[str, object]] = {}
        self.failed: dict[int, str] = {}
        self._lines: dict[int, str] = {}
        self._entries: dict[int, BatchEntry] = {}
        self._told = 0

    def take_all(self, detector: "Detector | Describer") -> None:
        """Every video's files, as its detection comes; and all events in one table, where pyarrow can write it."""
        from contextlib import nullcontext

        from refinevad.apps.archive.events_table import EventsTable, can_write

        args = self._args
        with EventsTable(args.out) if can_write() else nullcontext() as table:
            self._take(detector, table)

    def _take(self, detector: "Detector | Describer", table: "EventsTable | None") -> None:
        from refinevad.apps.report.overview import BatchEntry
        from refinevad.apps.terminal import video_bar
        from refinevad.errors import InputError

        args = self._args
        name = args.videos[0].name if len(args.videos) == 1 else f"detect {len(args.videos)} videos"
        with video_bar(self._batch.lasts_s(), name, self._batch.began) as bar:
            for place, found in self._batch.detections(detector, bar.update):
                try:
                    if isinstance(found, InputError):
                        raise found
                    self._write(place, found)
                    if table is not None:
                        table.add(args.videos[place], found, f"{self._stems[place]}.json")
                except InputError as error:
                    if len(args.videos) == 1 or str(error).startswith("cannot write"):
                        raise
                    self.failed[place] = str(error)
                    self._entries[place] = BatchEntry(args.videos[place].name, failure=str(error))
                self._tell()

    def _write(self, place: int, detection: "Detection") -> None:
        from refinevad.apps.report.overview import BatchEntry
        from refinevad.apps.report.writer import write_detection
        from refinevad.detection.record import paths_record, told_event
        from refinevad.detection.wording import verdict

        args, video, stem = self._args, self._args.videos[place], self._stems[place]
        pictures = None if args.no_report else self._batch.pictures(video, detection)
        written = write_detection(
            detection, args.out, video, pictures, stem=stem, report=not args.no_report, cautions=self._cautions
        )
        if args.annotate:
            from refinevad.apps.report.annotate import write_annotated

            write_annotated(detection, video, args.out / f"{stem}.annotated.mp4")
        report = written.json if args.no_report else written.html
        self._entries[place] = BatchEntry(video.name, None if args.no_report else detection, report.name)
        self.rows[place] = {
            "video": str(video),
            "report": str(report),
            "events": [told_event(detection, place) for place in range(len(detection.events))],
            "notes": list(detection.notes),
            **paths_record(detection),
        }
        self._lines[place] = shown(f"{video.name}: {verdict(detection)} -> {report}")

    def _tell(self) -> None:
        """What is known of the first videos, as far as none is missing before it."""
        from refinevad.apps.terminal import note

        while self._told in self._lines or self._told in self.failed:
            if self._told in self.failed:
                note(self.failed[self._told])
            elif self._args.json != "-":
                print(self._lines.pop(self._told), flush=True)
            self._told += 1

    def write_overview(self) -> None:
        """The page over all of them."""
        from refinevad.apps.report.writer import write_overview

        write_overview(self._args.out, [entry for _, entry in sorted(self._entries.items())], self._cautions)
