"""refinevad models: the models that ship, and how far to trust them."""

import argparse

HELP = "list the models that ship, or print a model's card"
EXAMPLE = """\
example:
  refinevad models                    which there are
  refinevad models fighting           the whole card: data, licence, figures with intervals, where it fails
  refinevad detect camera.mp4 --model fighting --out found/

A model's name may stand wherever a RUN folder does; a folder of that name goes before it. Every figure of a card was
written by the command that it names.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", nargs="?", metavar="NAME", help="the model whose card is to be printed")
    parser.add_argument("--json", metavar="FILE", help="write the card, or all of them, as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Print the table or the card; exit 1 where weights are not those of their card."""
    from refinevad.apps.terminal import give_json, note, table
    from refinevad.errors import InputError
    from refinevad.shipped.card import Card, table_rows
    from refinevad.shipped.names import shipped_folder, shipped_names

    names = shipped_names()
    if args.name is not None and args.name not in names:
        raise InputError(f"no model that ships is called {args.name!r}; there are {', '.join(names)}")
    cards = [Card.read(shipped_folder(name)) for name in ([args.name] if args.name else names)]
    content = cards[0].content if args.name else {"models": [card.content for card in cards]}
    if not give_json(content, args.json):
        print("\n".join(cards[0].lines()) if args.name else table(table_rows(cards)))
    changed = [card.name for card in cards if not card.intact]
    for name in changed:
        note(f"the weights of {name} are not those of its card; install refinevad again")
    return 1 if changed else 0
