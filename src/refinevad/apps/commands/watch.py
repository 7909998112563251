"""refinevad watch: cameras and files as they come -> events as they come."""

import argparse
from pathlib import Path

HELP = "watch cameras and report events as they happen"
EXAMPLE = """\
example:
  refinevad watch rtsp://10.0.0.5/stream
  refinevad watch rtsp://10.0.0.5/stream /dev/video0 --model runs/mine
  refinevad watch rtsp://10.0.0.5/stream --model runs/mine --sink folder:found/ --sink mqtt://10.0.0.2
  refinevad watch --config cameras.toml
  refinevad watch recording.mp4 --model runs/mine --fast

SOURCE: a file, rtsp(s)://, http(s):// or /dev/videoN. Streams are opened again when they break off; files are read at
their own pace, with --fast as fast as they can be scored. Ends when every file has ended, or with Ctrl-C.

Each change of an event (new, update, end) is a JSON line on stdout, and goes to every --sink too:
  folder:DIR              a folder for each event: event.json, snapshot.jpg, clip.mp4 with what came before it
  http(s)://host/path     webhook, POST; signed where REFINEVAD_WEBHOOK_SECRET is set
  mqtt(s)://[user:password@]host[:port]   with Home Assistant's discovery
  sqlite:///FILE, postgresql+psycopg://...   database of events and scores

exit codes: 0 done, 1 a source could not be read, 2 the input or an option is at fault
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="what to watch; none with --config")
    parser.add_argument(
        "--model", type=Path, metavar="RUN", help="folder of a trained run, or a model that ships (fighting)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="cameras, sinks and storage from a TOML file")
    parser.add_argument("--sink", action="append", default=[], metavar="WHERE", help="where events go too; repeatable")
    parser.add_argument("--threshold", type=float, metavar="S", help="in place of the calibrated one")
    parser.add_argument("--window", type=float, metavar="SECONDS", help="stretch of time a score rests on")
    parser.add_argument("--delay", type=float, metavar="SECONDS", help="how long a score may wait for what follows")
    parser.add_argument(
        "--no-where", action="store_true", help="do not look for the place in the picture that an event came from"
    )
    parser.add_argument(
        "--no-learning", action="store_true", help="cameras keep the run's threshold, and learn none of their own hours"
    )
    parser.add_argument("--fast", action="store_true", help="read files as fast as they can be scored")
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="where clips and undelivered events are kept (refinevad-live)"
    )
    parser.add_argument("--allow-download", action="store_true", help="fetch an encoder that a run names from a hub")
    parser.add_argument("--no-json", action="store_true", help="no JSON lines on stdout")
    parser.add_argument(
        "--statistics", type=float, default=60.0, metavar="SECONDS", help="a line on stderr so often; 0: none (60)"
    )


def run(args: argparse.Namespace) -> int:
    """Watch until every source has ended or someone says stop; 1 where a source failed."""
    from contextlib import ExitStack

    from refinevad.apps.live.engine.engine import EngineOptions
    from refinevad.apps.live.watching import configured, run_watch
    from refinevad.apps.speaking import who_speaks
    from refinevad.apps.terminal import note

    options = EngineOptions(
        window_s=args.window,
        delay_s=args.delay,
        fast=args.fast,
        allow_download=args.allow_download,
        where=not args.no_where,
    )
    with ExitStack() as files:
        watch = configured(
            args.sources,
            config=args.config,
            model=args.model,
            threshold=args.threshold,
            sinks=args.sink,
            state=args.state,
            lines=not args.no_json,
            files=files,
        )
        for sentence in who_speaks(camera.model for camera in watch.config.cameras):
            note(sentence)
        return run_watch(watch, options, statistics_s=args.statistics, learn=not args.no_learning)
