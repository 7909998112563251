"""Options that `extract` and `train` share, and the recipe that they ask for."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.apps.commands.workforce import PROCESSES, add_ray, workforce

if TYPE_CHECKING:
    from refinevad.training.recipe import Recipe


def add_encoder_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how features are made."""
    parser.add_argument(
        "--encoder",
        default=None,
        metavar="E",
        help="lite (default), lite2, lite:int8, lite:openvino, vectors, clip:<hub id or folder> (so siglip:, dino:, "
        "video:), captions[:folder], captioned:MODEL, audio:MODEL, A+captions; a model's options behind it: "
        "@frames=4,pool=max",
    )
    parser.add_argument("--allow-download", action="store_true", help="fetch an encoder's model from a hub")
    segment = parser.add_mutually_exclusive_group()
    segment.add_argument("--segment-s", type=float, metavar="S", help="length of a segment in seconds (default 0.64)")
    segment.add_argument(
        "--segment-frames", type=int, metavar="N", help="frames a segment, at any rate (the field: 16)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes that decode and encode (default 2)")
    add_ray(parser)


def recipe_from(data: Path, args: argparse.Namespace) -> "Recipe":
    """The recipe of a command line: a file or a folder, with the options given laid over it."""
    from refinevad.encoders.choice import require_at_hand
    from refinevad.training.asked import recipe_asked

    workforce(args, PROCESSES)  # what it refuses is told before anything is read
    names = ("seed", "epochs", "precision", "inputs", "head", "features", "alerts_per_hour")
    given = {name: getattr(args, name, None) for name in names}
    lengths = {"segment_s": args.segment_s, "segment_frames": args.segment_frames}
    recipe = recipe_asked(data, encoder=args.encoder, **lengths, **given)
    require_at_hand(recipe.encoder, args.allow_download, "this command")
    return recipe
