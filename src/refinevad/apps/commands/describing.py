"""Options of `detect` for finding what a person describes, and what finds it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.errors import InputError

if TYPE_CHECKING:
    from refinevad.detection.described import Describer


def add_describing(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    group = parser.add_argument_group("without training, in words")
    group.add_argument("--describe", action="append", metavar="TEXT", help="what to look for; may be given repeatedly")
    group.add_argument("--encoder", metavar="E", help="one that reads: clip:FOLDER, siglip:, captions, captioned:")
    group.add_argument("--normal", action="append", metavar="TEXT", help="what is normal here (default: daily life)")
    group.add_argument(
        "--quiet", action="append", type=Path, metavar="VIDEO", help="where nothing happens: sets the threshold"
    )
    group.add_argument("--alerts-per-hour", type=float, metavar="N", help="on quiet video (default 6)")


def describer(args: argparse.Namespace) -> "Describer | None":
    """What finds the descriptions of a command line; None where it describes nothing.

    Raises:
        InputError: a run as well, options of it without it, or an encoder that cannot read.
    """
    if not args.describe:
        if args.encoder or args.normal or args.quiet:
            raise InputError("--encoder, --normal and --quiet go with --describe TEXT: say what to look for")
        return None
    if args.model is not None or args.window is not None:
        raise InputError("--describe needs no training: leave --model and --window out")
    if not args.encoder:
        raise InputError(
            "--describe needs --encoder, one that reads: clip:FOLDER, siglip:FOLDER, captions, captioned:FOLDER"
        )
    from refinevad.apps.terminal import note
    from refinevad.budget import ALERTS_PER_HOUR, vouching
    from refinevad.detection.described import NORMAL, Describer
    from refinevad.encoders.choice import open_encoder, require_at_hand

    require_at_hand(args.encoder, args.allow_download, "--describe")
    found = Describer.of(open_encoder(args.encoder), args.describe, args.normal or NORMAL)
    if args.quiet:
        found = found.calibrated(args.quiet, args.alerts_per_hour or ALERTS_PER_HOUR)
        note(vouching(found.calibration.normal_hours))
    return found.at(args.threshold)
