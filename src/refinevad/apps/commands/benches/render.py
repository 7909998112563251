"""refinevad bench render: the tables of docs/results anew, from the figures beside them."""

import argparse
from pathlib import Path

HELP = "write the tables in a folder of pages (docs/results) anew from its data/*.csv"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the pages, and whether they are only looked at."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of pages, such as docs/results")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where a page differs")


def run(args: argparse.Namespace) -> int:
    """Render every page; name those that changed."""
    from refinevad.apps.results_tables import rendered_pages
    from refinevad.apps.terminal import note
    from refinevad.files.whole import atomic_write

    changed = {page: text for page, text in rendered_pages(args.folder).items() if page.read_text("utf-8") != text}
    for page, text in changed.items():
        if not args.check:
            with atomic_write(page) as partial:
                partial.write_text(text, encoding="utf-8")
        note(f"{page}: {'differs from' if args.check else 'written from'} {args.folder / 'data'}")
    return 1 if args.check and changed else 0
