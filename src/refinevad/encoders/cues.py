"""SubRip and WebVTT text -> cues. A line is part of a cue, something that the format does not speak, or an error."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from itertools import pairwise
from pathlib import Path

from refinevad.errors import InputError
from refinevad.files.shown import short

_CLOCK = re.compile(r"(?:(?<!\d)(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})(?!\d)")
_TIMES = re.compile(rf"^\s*({_CLOCK.pattern})\s*-->\s*({_CLOCK.pattern})")
_ARROW = re.compile(r"-->|->|[\u2013\u2014\u2212-]\s?>|\u2192")
_CLOCK_LIKE = re.compile(r"[^A-Za-z]*\d\s*:\s*\d")
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}")  # <i>, <v Name>, {\an8}
_UNSAID = ("NOTE", "STYLE", "REGION")
_Line = tuple[int, str]


@dataclass(frozen=True)
class Cue:
    """What is said from one second to another; `where` is the file and the line of its times."""

    where: str
    start_s: float
    end_s: float
    text: str


def read_cues(path: Path, text: str) -> list[Cue]:
    """The cues of `.srt` or `.vtt` text that say something, in the file's order.

    A cue is a line with two times and the text under it, up to a blank line or the next cue; blank lines between cues
    may be missing, and so may their numbers. SubRip's text may hold blank lines.

    Raises:
        InputError: times that are none, text without times, or WebVTT without its first line; says the line.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    webvtt = path.suffix.lower() == ".vtt"
    if webvtt and not lines[0].startswith("WEBVTT"):
        raise InputError(f"{path}, line 1: a WebVTT file begins with WEBVTT")
    cues: list[tuple[str, float, float, list[str]]] = []
    for block in _blocks(lines):
        places = [place for place, (number, line) in enumerate(block) if _is_times(line, f"{path}, line {number}")]
        before = block[: places[0]] if places else block
        numbered = not places and len(before) > 1 and before[0][1].strip().isdigit()
        for number, line in _unplaced(before, webvtt, bool(places)):
            if webvtt or numbered or not cues:
                raise InputError(f"{path}, line {number}: {short(line.strip())} has no times above it")
            cues[-1][3].append(line)
        for place, end in pairwise([*places, len(block)] if places else []):
            number, line = block[place]
            where = f"{path}, line {number}"
            said = [said for _, said in block[place + 1 : end]]
            if end < len(block) and said and said[-1].strip().isdigit():
                said.pop()  # the next cue's number
            start_s, end_s = _seconds(line, where)
            cues.append((where, start_s, end_s, said))
    plain = unescape if webvtt else str
    joined = (Cue(where, a, b, plain(_MARKUP.sub("", " ".join(said))).strip()) for where, a, b, said in cues)
    return [cue for cue in joined if cue.text]  # an empty cue clears the screen and says nothing


def _blocks(lines: Sequence[str]) -> Iterator[list[_Line]]:
    """Numbered lines between blank ones."""
    block: list[_Line] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []


def _unplaced(before: Sequence[_Line], webvtt: bool, timed: bool) -> Sequence[_Line]:
    """Of the lines of a block before its first times, those that are neither a number, a name nor a comment."""
    if not before:
        return ()
    if webvtt:
        first = before[0][1].split()[0]
        return () if before[0][0] == 1 or first in _UNSAID or (timed and len(before) == 1) else before[:1]
    if before[-1][1].strip().isdigit():
        return before[:-1]
    return before


def _is_times(line: str, where: str) -> bool:
    """Whether a line is a cue's times. Raises InputError for one that means to be."""
    if _TIMES.match(line):
        return True
    if any(_CLOCK_LIKE.match(side) for side in _ARROW.split(line)[:2]) and _ARROW.search(line):
        raise InputError(f"{where}: expected HH:MM:SS,mmm --> HH:MM:SS,mmm, not {short(line.strip())}")
    return False


def _seconds(line: str, where: str) -> tuple[float, float]:
    """The two times of a line."""
    found = _TIMES.match(line)
    assert found is not None
    times = []
    for group in (1, 6):  # each a whole clock time with four parts behind it
        hours, minutes, seconds, fraction = (found.group(group + part) or "0" for part in (1, 2, 3, 4))
        if int(minutes) > 59 or int(seconds) > 59:
            raise InputError(f"{where}: {found.group(group)!r} is no time: minutes and seconds end at 59")
        times.append(int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}"))
    return times[0], times[1]
