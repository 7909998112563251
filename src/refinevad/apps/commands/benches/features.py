"""refinevad bench features: published features against one's own of the same videos."""

import argparse
from pathlib import Path

HELP = "compare two folders of features of the same videos, segment by segment, and say what differs"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the two folders."""
    parser.add_argument("ours", type=Path, metavar="OURS", help="folder of features (.npy, or by refinevad extract)")
    parser.add_argument("theirs", type=Path, metavar="THEIRS", help="folder of the same videos' features by others")
    parser.add_argument("--json", metavar="FILE", help="write every figure as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Print a line a video; exit 1 where any differs."""
    from refinevad.apps.terminal import give_json, note, table
    from refinevad.datasets.comparing import SAME, compare_folders

    compared, alone = compare_folders(args.ours, args.theirs)
    if alone:
        note(f"{len(alone)} videos are in one folder alone, such as {next(iter(alone))} ({next(iter(alone.values()))})")
    rows = [
        {
            "video": one.video,
            "segments": len(one.cosines),
            "median_cosine": one.median,
            "lowest_cosine": float(one.cosines.min(initial=1.0)),
            "differences": list(one.differences),
        }
        for one in compared
    ]
    differing = any(one.differences or not one.median >= SAME for one in compared)
    if give_json({"videos": rows, "alone": alone}, args.json):
        return int(differing)
    head = ("video", "segments", "median cosine", "lowest")
    lines = [
        (one.video, str(len(one.cosines)), f"{one.median:.4f}", f"{one.cosines.min(initial=1.0):.4f}")
        for one in compared
    ]
    print(table([head, *lines]))
    for one in compared:
        for sentence in one.differences:
            print(f"{one.video}: {sentence}")
    return int(differing)
