"""refinevad bench peers: what people pick instead, on the same videos, judged and timed."""

import argparse

from refinevad.apps.commands.benches.seeds import declare_seeds
from refinevad.apps.commands.workforce import PROCESSES, workforce

HELP = "what people pick instead: background subtraction, frame difference, ridge, published heads; judged and timed"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the table's options."""
    declare_seeds(parser)
    parser.set_defaults(seeds=[0])
    parser.add_argument("--heads", nargs="*", metavar="NAME", help="published heads (default: all that are here)")


def run(args: argparse.Namespace) -> int:
    """Score and time everything on the test videos, and write peers.csv and table.md; finished seeds are read back."""
    from refinevad.apps.results_tables import cells_as_they_are
    from refinevad.apps.terminal import give_json, note, stepping
    from refinevad.files.cells import write_cells
    from refinevad.files.whole import atomic_write
    from refinevad.study.held_features import HeldFeatures
    from refinevad.study.over_videos import OverVideos
    from refinevad.study.peers import HEADS, features_an_hour_s, peer_rows, pixel_peers, tested, trained_peers
    from refinevad.training.experiment import extract_features
    from refinevad.training.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    found = extract_features(
        recipe, args.out / "features", workforce(args, PROCESSES), stepping("extract", "video")
    ).index
    index = HeldFeatures.of(found)
    items = tested(recipe, index)
    peers = pixel_peers(index, items, note)
    spent = features_an_hour_s(index, items, recipe)
    note(f"features ({recipe.encoder}): {spent:.0f} s of CPU a video-hour")
    heads = HEADS if args.heads is None else args.heads
    for count in range(len(heads) + 1):  # the table is renewed after each head
        trained = trained_peers(recipe, index, heads[:count], args.seeds, args.out, spent)
        rows = peer_rows([*peers, *reversed(trained)], OverVideos.of(recipe, index))
        write_cells(args.out / "peers.csv", rows)
    table = cells_as_they_are({}, {}, rows)
    with atomic_write(args.out / "table.md") as partial:
        partial.write_text(table, encoding="utf-8")
    if not give_json({"columns": list(rows[0]), "rows": [list(row) for row in rows[1:]]}, args.json):
        print(table, end="")
    return 0
