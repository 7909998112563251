"""refinevad init: folders, a recipe or cameras.toml, and the next command."""

import argparse
from pathlib import Path

HELP = "lay out folders and files for what you have, and say the next command"
EXAMPLE = """\
example:
  refinevad init mine/                                             asks what you have
  refinevad init mine/ --kind videos --categories fall fight
  refinevad init house/ --kind cameras --sources rtsp://10.0.0.5/stream
  refinevad init mine/ --kind features

Nothing that is there is changed; a file that would be is an error.
"""
KINDS = ("videos", "cameras", "features")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to lay out")
    parser.add_argument("--kind", choices=KINDS, help="what you have, in place of the question")
    parser.add_argument(
        "--categories", nargs="+", default=[], metavar="NAME", help="with videos: what may happen in them (incident)"
    )
    parser.add_argument("--sources", nargs="+", default=[], metavar="URL", help="with cameras: their addresses")
    parser.add_argument("--json", metavar="FILE", help="write what was made and what comes next as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Ask where nothing was said, lay out, and say the next commands."""
    import sys

    from refinevad.apps.starting.layout import ask, layout, write
    from refinevad.apps.terminal import give_json

    kind = args.kind or ask(_answer, lambda sentence: print(sentence, file=sys.stderr))
    found = layout(kind, args.folder, args.categories, args.sources)
    write(found, args.folder)
    made = [*found.folders, *found.files]
    content = {"folder": str(args.folder), "kind": kind, "made": made, "next": list(found.next)}
    if not give_json(content, args.json):
        print("\n".join([f"made in {args.folder}:", *(f"  {name}" for name in made), "next:"]))
        print("\n".join(f"  {command}" for command in found.next))
    return 0


def _answer(question: str) -> str:
    """One line of stdin; the question goes to stderr, so that stdout holds results alone."""
    import sys

    print(question, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line
