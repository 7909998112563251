"""What a data set's tables say of its videos beside their labels: where each comes from, and how it was filmed.

`videos.csv` may have a column `source`: videos of one source are drawn together (`resampling`). Where it has none,
`shots.csv` (path, source, one row a shot) says of which recordings a video was joined; videos that share a recording
belong together, directly or through others. Neither file says when anything happens.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from refinevad.errors import InputError

VIDEOS_FILE, SHOTS_FILE, SOURCE = "videos.csv", "shots.csv", "source"
FEWEST_GROUPS = 10  # below it, an interval over groups says little

Row = Mapping[str, str | None]


@dataclass(frozen=True)
class Groups:
    """Videos that must be drawn together.

    Attributes:
        of: group by video; None where videos are drawn one by one.
        note: a sentence for the reader, or nothing.
    """

    of: Mapping[str, str] | None = None
    note: str = ""

    @property
    def unit(self) -> str:
        """What is drawn: `video` or `source`."""
        return "video" if self.of is None else SOURCE


def read_groups(folder: Path, videos: Sequence[str]) -> Groups:
    """The groups of a data set's videos, named by their paths in it, with or without suffix.

    Raises:
        InputError: a table that cannot be read.
    """
    rows = read_rows(folder / VIDEOS_FILE)
    if rows and {"path", SOURCE} <= rows[0].keys():
        return _told(_own({_key(row): {_text(row, SOURCE)} for row in rows if _text(row, SOURCE)}, videos))
    shots = read_rows(folder / SHOTS_FILE)
    if not shots or not {"path", SOURCE} <= shots[0].keys():
        return Groups()
    parts: dict[str, set[str]] = {}
    for row in shots:
        if _text(row, SOURCE):
            parts.setdefault(_key(row), set()).add(_text(row, SOURCE))
    own = _own(parts, videos)
    mixed = any(len(sources) > 1 for sources in own.values())
    groups = _told(own)
    units = len(set((groups.of or {}).values())) + len(set(videos) - own.keys())
    if mixed and units < FEWEST_GROUPS:
        return Groups(
            note=f"videos share recordings ({SHOTS_FILE}) so that only {units} groups are apart: intervals are over "
            "single videos, and too narrow"
        )
    return groups


def _own(sources: Mapping[str, set[str]], videos: Sequence[str]) -> dict[str, set[str]]:
    found = {video: sources.get(_bare(video)) for video in videos}
    return {video: own for video, own in found.items() if own}


def _told(sources: Mapping[str, set[str]]) -> Groups:
    """Each video with the first recording of its group; none where no video has one."""
    if not sources:
        return Groups()
    above: dict[str, str] = {}

    def first(source: str) -> str:
        while above.setdefault(source, source) != source:
            source = above[source]
        return source

    for own in sources.values():
        head, *others = sorted(own)
        for other in others:
            one, two = sorted((first(head), first(other)))
            above[two] = one
    of = {video: first(min(own)) for video, own in sources.items()}
    few = len(set(of.values()))
    note = f"intervals rest on {few} sources: too few to be exact" if few < FEWEST_GROUPS else ""
    return Groups(of, note)


def read_rows(path: Path) -> list[Row]:
    """The rows of a table; none where there is no such file. Raises InputError where it cannot be read."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file, strict=True))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path} is not a table of comma-separated values ({error})") from error


def _text(row: Row, column: str) -> str:
    return (row.get(column) or "").strip()


def _key(row: Row) -> str:
    return _bare(_text(row, "path"))


def _bare(name: str) -> str:
    path = Path(name)
    return str(path.with_suffix("")) if path.name else ""
