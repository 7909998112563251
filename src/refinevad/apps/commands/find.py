"""refinevad find: events of a whole archive, by category, score and date."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from refinevad.files.remote import located

HELP = "search the events of all videos that detect has analysed into a folder"
EXAMPLE = """\
example:
  refinevad find found/ --category fighting --min-score 0.9 --after 2026-11-01

Reads DIR/events.parquet, which detect writes where refinevad[archive] is installed. --after and --before are of the
video file's last change, in UTC where no offset is given. Any program that reads Parquet can ask more:
  duckdb -c "select video, start_s, peak from 'found/events.parquet' order by peak desc limit 10"

exit codes: 0 something was found, 1 nothing was, 2 the input or an option is at fault
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("found", type=located, metavar="DIR", help="folder that detect wrote into")
    parser.add_argument("--category", action="append", metavar="C", help="of this category; may stand several times")
    parser.add_argument("--min-score", type=float, metavar="S", help="with a peak of at least S")
    parser.add_argument("--after", metavar="WHEN", help="in videos changed at or after, such as 2026-11-01T18:00")
    parser.add_argument("--before", metavar="WHEN", help="in videos changed before")
    parser.add_argument("--video", metavar="TEXT", help="in videos whose path has this text")
    parser.add_argument("--most", type=int, default=50, metavar="N", help="show so many, the highest scores first (50)")
    parser.add_argument("--json", metavar="FILE", help="write all that was found as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Print what was found; exit 1 where nothing was."""
    from refinevad.apps.archive.events_table import COLUMNS, NAME, read_events
    from refinevad.apps.terminal import give_json, table
    from refinevad.errors import InputError

    if args.most < 1:
        raise InputError(f"--most must be at least 1: got {args.most}")
    if args.min_score is not None and not 0 <= args.min_score <= 1:
        raise InputError(f"--min-score must lie in [0, 1]: got {args.min_score}")
    path = args.found if args.found.suffix == ".parquet" else args.found / NAME
    when = [moment(text, option) for text, option in ((args.after, "--after"), (args.before, "--before"))]
    read_events(path, ["video"])  # it is looked at before anything of it is filtered
    found = read_events(path, list(COLUMNS), _condition(args, *when))
    found = found.sort_by([("peak", "descending"), ("video", "ascending"), ("start_s", "ascending")])
    rows = found.to_pylist() if args.json else found.slice(0, args.most).to_pylist()
    events = [{**row, "changed": row["changed"].isoformat()} for row in rows]
    if not give_json({"events": events}, args.json):
        shown = [
            (
                Path(row["video"]).name,
                f"{row['start_s']:.1f}",
                f"{row['end_s']:.1f}",
                row["category"],
                f"{row['peak']:.2f}",
            )
            for row in rows[: args.most]
        ]
        if shown:
            print(table([("video", "from s", "to s", "category", "score"), *shown]))
        more = f", of which {args.most} are shown" if len(found) > args.most else ""
        print(f"{len(found):,} events{more}")
    return 0 if len(found) else 1


def moment(text: str | None, option: str) -> datetime | None:
    """A date, with a time and an offset or without. Raises InputError for what is none."""
    from refinevad.errors import InputError

    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{option} needs a date such as 2026-11-01 or 2026-11-01T18:00: got {text!r}") from error
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _condition(args: argparse.Namespace, after: datetime | None, before: datetime | None) -> object:
    """What an event must be, as pyarrow puts it; None: any."""
    from pyarrow import compute

    field, asked = compute.field, []
    if args.category:
        asked.append(compute.utf8_lower(field("category")).isin([name.lower() for name in args.category]))
    if args.min_score is not None:
        asked.append(field("peak") >= args.min_score)
    if after is not None:
        asked.append(field("changed") >= after)
    if before is not None:
        asked.append(field("changed") < before)
    if args.video:
        asked.append(compute.match_substring(field("video"), args.video))
    whole = None
    for each in asked:
        whole = each if whole is None else whole & each
    return whole
