"""refinevad push: a trained run to where others find it."""

import argparse
from pathlib import Path

HELP = "share a RUN: to a model hub (hf:owner/name), a folder, or a storage such as s3://bucket/path"
EXAMPLE = """\
example:
  refinevad push runs/mine hf:owner/name --licence apache-2.0
  refinevad push runs/mine s3://bucket/models/mine

What goes: weights, ridge control, configuration, calibration, figures, and a card (README.md) with the figures that
hubs read. Features and the state of training stay here. A hub's repository that is made is private unless --public. Log
in with `hf auth login`; $HF_ENDPOINT names another hub. Needs refinevad[hub].
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a trained run, or a model that ships")
    parser.add_argument("address", metavar="TO", help="hf:owner/name, a folder, or a storage of fsspec")
    parser.add_argument("--licence", metavar="ID", help="of the weights, for the card: apache-2.0, cc-by-4.0, other")
    parser.add_argument("--public", action="store_true", help="anyone may see a repository that is made")
    parser.add_argument("--json", metavar="FILE", help="write what was pushed as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Push, and say the revision."""
    from dataclasses import asdict

    from refinevad.apps.terminal import give_json, note
    from refinevad.sharing.shared import push_run
    from refinevad.shipped.names import find_run

    pushed = push_run(find_run(args.run_folder), args.address, licence=args.licence, public=args.public)
    if pushed.stayed:
        note(f"{len(pushed.stayed)} left here: {', '.join(pushed.stayed)}")
    if args.licence is None:
        note("the card says no licence; --licence says one")
    if not give_json(asdict(pushed), args.json):
        print(f"{len(pushed.files)} files to {pushed.address} at {pushed.revision}")
    return 0
