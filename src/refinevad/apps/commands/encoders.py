"""refinevad encoders: every encoder, whether it is here, and how fast it is on this machine."""

import argparse
from typing import Any

HELP = "list every encoder: here or not and why, licence, size, and its speed with --time"
EXAMPLE = """\
example:
  refinevad encoders --time

Names beside the option are looked at in the list's place: `refinevad encoders clip:/models/clip --time`. Nothing is
fetched. Licences and sizes are those that a model's authors state; of a folder, what it says and holds.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("encoders", nargs="*", metavar="E", help="encoders to look at (default: all, and cached ones)")
    parser.add_argument("--time", action="store_true", help="encode for a second with each that is here")
    parser.add_argument("--json", metavar="FILE", help="write the list as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Print the list; exit 2 where an encoder that was named cannot be opened."""
    from refinevad.apps.terminal import give_json, note, table
    from refinevad.encoders.known import KNOWN, cached_words

    if args.encoders:
        rows = [_named(word, args.time) for word in args.encoders]
    else:
        cached = [word for word in cached_words() if word not in {known.word for known in KNOWN}]
        rows = [_known(known, args.time) for known in KNOWN] + [_cached(word, args.time) for word in cached]
    if give_json({"encoders": rows}, args.json):
        return 0
    head = ("encoder", "here", "licence", "MB", *(("segments/s", "x real time") if args.time else ()))
    print(table([head, *(_columns(row, args.time) for row in rows)]))
    for row in rows:
        if not row["here"]:
            note(f"{row['encoder']}: {row['why']}")
    return 0


def _known(known: Any, timed: bool) -> dict[str, Any]:
    why = known.why_not()
    row = {"encoder": known.word, "what": known.what, "here": not why, "why": why, "licence": known.licence}
    return {**row, "megabytes": known.megabytes, **(_speed(known.word) if timed and not why else {})}


def _named(word: str, timed: bool) -> dict[str, Any]:
    """An encoder that somebody named, or that lies in the hub's cache; opened, so that what it says is so."""
    from refinevad.encoders.choice import models_of, open_encoder
    from refinevad.encoders.known import KNOWN, licence_of, size_of

    opened = open_encoder(word)
    known = next((one for one in KNOWN if one.word == word), None)
    models = models_of(word)
    licence = known.licence if known else ", ".join(filter(None, map(licence_of, models)))
    sizes = [size for size in map(size_of, models) if size is not None]
    row = {"encoder": word, "what": known.what if known else "", "here": True, "why": "", "licence": licence}
    row |= {"megabytes": known.megabytes if known else sum(sizes) if sizes else None, "channels": opened.dim}
    return {**row, **(_speed(word) if timed else {})}


def _cached(word: str, timed: bool) -> dict[str, Any]:
    """One of the hub's cache, which may be there in part."""
    from refinevad.errors import InputError

    try:
        return _named(word, timed)
    except InputError as error:
        nothing: dict[str, Any] = {"what": "", "licence": "", "megabytes": None}
        return {"encoder": word, **nothing, "here": False, "why": str(error)}


def _speed(word: str) -> dict[str, Any]:
    from refinevad.encoders.choice import open_encoder
    from refinevad.encoders.timing import measure

    speed = measure(open_encoder(word))
    return {"segments_hz": round(speed.segments_hz, 3), "real_time": round(speed.real_time, 3)}


def _columns(row: dict[str, Any], timed: bool) -> tuple[str, ...]:
    size = "-" if row["megabytes"] is None else str(row["megabytes"])
    plain = (row["encoder"], "yes" if row["here"] else "no", row["licence"] or "-", size)
    if not timed:
        return plain
    return (*plain, *(f"{row[name]:.1f}" if name in row else "-" for name in ("segments_hz", "real_time")))
