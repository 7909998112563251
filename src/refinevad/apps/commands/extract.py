"""refinevad extract: videos -> features, one file a video."""

import argparse

from refinevad.apps.commands.recipe_options import add_encoder_options, recipe_from
from refinevad.apps.commands.workforce import PROCESSES, workforce
from refinevad.files.remote import located

HELP = "turn a data set's videos into features, one file a video"
EXAMPLE = """\
example:
  refinevad extract videos/ --encoder lite --out features/
  refinevad extract videos/ --out features/ --ray auto

DATA is <split>/<category>/*.mp4, or a folder with videos.csv (path,labels,split), or UCF-Crime's annotation folder with
captions.json (encoder captions). Stopped, it goes on where it was; files that are up to date are skipped.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("data", type=located, metavar="DATA", help="folder of labelled videos")
    add_encoder_options(parser)
    parser.add_argument("--out", type=located, required=True, metavar="DIR", help="folder the features go to")
    parser.add_argument("--json", metavar="FILE", help="write what was done as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Extract features of every video; exit 1 when some videos could not be read."""
    from dataclasses import replace

    from refinevad.apps.terminal import give_json, note, notes, stepping
    from refinevad.training.experiment import extract_features

    recipe = replace(recipe_from(args.data, args), features=args.out)
    done = extract_features(recipe, args.out, workforce(args, PROCESSES), stepping("extract", "video"))
    for sentence in done.failed.values():
        note(f"left out: {sentence}")
    notes(done.notes)
    summary = {
        "features": str(done.index.root),
        "encoder": recipe.encoder,
        "extracted": done.made,
        "up_to_date": done.skipped,
        "failed": done.failed,
        "notes": list(done.notes),
    }
    if not give_json(summary, args.json):
        print(
            f"{done.made} videos extracted, {done.skipped} up to date, {len(done.failed)} left out -> {done.index.root}"
        )
    return 1 if done.failed else 0
