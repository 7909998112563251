"""refinevad check: what will go wrong with a data set, before anything is trained on it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refinevad.apps.checking.facts import SetFacts

HELP = "say what will go wrong with a data set before training on it"
EXAMPLE = """\
example:
  refinevad check videos/
  refinevad check videos/ --no-places --no-cost        headers and digests alone: seconds, no image network

Counts videos and minutes by category and split, and tells: videos that cannot be read, the same bytes in two splits or
under two labels, categories seen once or learnt apart, lengths, frame rates and sizes, places that splits share, and
what training will cost in minutes on this machine. events.csv is never opened.

exit codes: 0 nothing is wrong, 1 something will go wrong, 2 it is no data set
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of labelled videos, or of features")
    parser.add_argument("--no-places", action="store_true", help="do not look at pictures for places that splits share")
    parser.add_argument("--no-cost", action="store_true", help="do not measure what training will cost")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that train is to use (2)")
    parser.add_argument("--json", metavar="FILE", help="write all of it as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Look, tell, and exit 1 where something will go wrong."""
    from refinevad.apps.checking.facts import read_facts
    from refinevad.apps.checking.findings import counts, find
    from refinevad.apps.terminal import give_json, note, stepping, table
    from refinevad.errors import InputError

    if args.workers < 1:
        raise InputError(f"--workers must be at least 1: got {args.workers}")
    facts = read_facts(args.data, stepping("look", "video"))
    found = find(facts)
    mind = [*found.mind]
    for wanted, look in ((not args.no_places, _places), (not args.no_cost and bool(facts.videos), _cost)):
        try:
            mind += look(facts, args) if wanted else []
        except InputError as error:
            note(f"not looked at: {error}")
    content = {
        "data": str(args.data),
        "videos": len(facts.videos),
        "hours": sum(video.duration_s for video in facts.videos) / 3600,
        "counts": [dict(zip(counts(facts.videos)[0], row, strict=True)) for row in counts(facts.videos)[1:]],
        "wrong": list(found.wrong),
        "mind": mind,
    }
    if not give_json(content, args.json):
        print(table(counts(facts.videos)))
        print(f"{content['videos']} videos, {content['hours']:.2f} h")
        for title, sentences in (("keep in mind:", mind), ("will go wrong:", found.wrong)):
            if sentences:
                print("\n".join([title, *(f"  - {sentence}" for sentence in sentences)]))
        if not found.wrong:
            print(f"nothing is wrong; next: refinevad train {args.data} --out runs/mine")
    return 1 if found.wrong else 0


def _places(facts: "SetFacts", args: argparse.Namespace) -> list[str]:
    from refinevad.apps.checking.places import looks_of_features, looks_of_videos, told_of_places
    from refinevad.apps.terminal import stepping
    from refinevad.errors import InputError

    items = [video.item for video in facts.videos]
    if facts.index is not None:
        return [*told_of_places(looks_of_features(facts.index, items))]
    try:
        return [*told_of_places(looks_of_videos(facts.root, items, stepping("places", "video")))]
    except ModuleNotFoundError as error:
        raise InputError(f"places need {error.name}; pip install 'refinevad[video]'") from error


def _cost(facts: "SetFacts", args: argparse.Namespace) -> list[str]:
    from refinevad.apps.checking.cost import measure

    return [measure(facts, args.workers).sentence]
