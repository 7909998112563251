"""refinevad pull: a run that others shared."""

import argparse
from pathlib import Path

HELP = "fetch a RUN that was shared: from a model hub (hf:owner/name[@revision]), a folder, or a storage"
EXAMPLE = """\
example:
  refinevad pull hf:owner/name@main --out runs/theirs
  refinevad detect camera.mp4 --model runs/theirs --out found/

Weights are safetensors; pickles and files that are no part of a run are refused before anything is fetched, and what
was fetched is checked before it is left. RUN/origin.json pins the revision. Needs refinevad[hub].
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("address", metavar="FROM", help="hf:owner/name[@revision], a folder, or a storage of fsspec")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the RUN folder, new or empty")
    parser.add_argument("--json", metavar="FILE", help="write address and revision as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Pull, and say the revision."""
    from refinevad.apps.terminal import give_json
    from refinevad.sharing.shared import pull_run

    revision = pull_run(args.address, args.out)
    if not give_json({"address": args.address, "revision": revision, "run": str(args.out)}, args.json):
        print(f"{args.address} at {revision} -> {args.out}")
    return 0
