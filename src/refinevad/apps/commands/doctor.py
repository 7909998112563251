"""refinevad doctor: what this machine has of what is needed."""

import argparse
from pathlib import Path

HELP = "say what this machine has: versions, codecs, encoders, cores, GPU, disk, memory, clock, cameras"
EXAMPLE = """\
example:
  refinevad doctor
  refinevad doctor --rtsp rtsp://user:password@10.0.0.5/stream --json report.json

exit codes: 0 all that is judged is fine, 1 something is missing or cannot be reached
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--rtsp", action="append", default=[], metavar="URL", help="open this camera or stream, too; repeatable"
    )
    parser.add_argument("--folder", type=Path, default=Path(), metavar="DIR", help="whose disk is looked at (here)")
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Look and tell; exit 1 where something is not fine."""
    from dataclasses import asdict

    from refinevad.apps.starting.machine_report import examine
    from refinevad.apps.terminal import give_json
    from refinevad.files.shown import shown

    checks = examine(args.folder, args.rtsp)
    bad = [check.name for check in checks if check.fine is False]
    if not give_json({"fine": not bad, "checks": [asdict(check) for check in checks]}, args.json):
        width = max(len(check.name) for check in checks if len(check.name) < 20)
        for check in checks:
            mark = {True: "ok  ", False: "BAD ", None: "    "}[check.fine]
            print(shown(f"{mark}{check.name.ljust(width)}  {check.told}"))
    return 1 if bad else 0
