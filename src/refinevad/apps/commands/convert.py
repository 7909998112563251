"""refinevad convert: annotations and detections from one tool's format to another's."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from refinevad.annotations.annotated import AnnotatedVideo, Format

HELP = "annotations and detections from one tool's format to another's"
EXAMPLE = """\
example:
  refinevad convert export.json videos/ --videos videos/       Label Studio, CVAT, ... to events.csv and videos.csv
  refinevad convert videos/ task.json --to label-studio --videos videos/
  refinevad convert found/ subtitles/ --to srt                 what detect wrote, as subtitles

Formats: label-studio, cvat, via, elan, srt, webvtt, fiftyone, activitynet, coco-vid, frigate, parquet, events
(events.csv; a folder OUT gets videos.csv, too), and detection, which is only read. IN's is found by its content.
Formats that count frames need a frame rate: --rate, else the videos' own (--videos), else the file's.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", type=Path, metavar="IN", help="a file of annotations, or a folder of them")
    parser.add_argument("out", type=Path, metavar="OUT", help="a file, or a folder where a file is of one video")
    parser.add_argument("--to", metavar="FORMAT", help="OUT's format (default: by its suffix; a folder: events)")
    parser.add_argument("--from", dest="source_format", metavar="FORMAT", help="IN's format (default: by its content)")
    parser.add_argument("--videos", type=Path, metavar="DIR", help="folder of the videos: their names, rates and sizes")
    parser.add_argument("--rate", metavar="HZ", help="frames a second, over all else; 30000/1001 for 29.97")
    parser.add_argument("--json", metavar="FILE", help="write what was done as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Read, write, and say what did not fit."""
    from refinevad.annotations.choice import FORMATS, format_named
    from refinevad.annotations.known import NoVideos, VideoFolder
    from refinevad.annotations.reading import read_annotations
    from refinevad.annotations.writing import write_annotations
    from refinevad.apps.terminal import give_json, notes
    from refinevad.judging.events_format import EVENTS

    formats = (*FORMATS, EVENTS)
    target = _target(args.out, args.to, formats)
    sources = formats if args.source_format is None else (format_named(args.source_format, formats),)
    videos = NoVideos() if args.videos is None else VideoFolder(args.videos)
    read = read_annotations(args.source, videos, sources, _rate(args.rate))
    told = [*read.notes, *write_annotations(args.out, read, target), *_without_split(read.videos, args.out, target)]
    events = sum(len(video.spans) for video in read.videos)
    summary = {"out": str(args.out), "format": target.name, "videos": len(read.videos), "events": events, "notes": told}
    if not give_json(summary, args.json):
        notes(told)
        print(f"{len(read.videos)} videos, {events} events -> {args.out} ({target.title})")
    return 0


def _target(out: Path, named: str | None, formats: "Sequence[Format]") -> "Format":
    """The format to write.

    Raises:
        InputError: none of that name, or a suffix that several formats share, or none has.
    """
    from refinevad.annotations.choice import format_named

    if named is not None:
        return format_named(named, formats)
    if out.is_dir() or not out.suffix:
        return format_named("events", formats)
    found = [one for one in formats if one.suffix == out.suffix.lower() and one.render is not None]
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.name for one in found or formats)
    raise InputError(f"{out}: name the format with --to, one of {names}")


def _rate(text: str | None) -> "Fraction | None":
    """A rate as written: a number, or a fraction of two."""
    from fractions import Fraction

    from refinevad.timeline import exact_rate

    if text is None:
        return None
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"--rate is a number or a fraction such as 30000/1001: got {text!r}") from error
    return value if "/" in text and value > 0 else exact_rate(float(value))


def _without_split(videos: "Sequence[AnnotatedVideo]", out: Path, target: "Format") -> list[str]:
    """What to say of videos that no split is said of, where videos.csv was written."""
    from refinevad.judging.events_format import split_of

    if target.folder is None or not out.is_dir():
        return []
    count = sum(split_of(video) is None for video in videos)
    return [f"{count} videos are in no split: {out / 'videos.csv'} has them in train"] if count else []
