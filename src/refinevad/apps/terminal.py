"""What a person sees while a command works: progress and notes on stderr, results on stdout."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from refinevad.checkpoint import finite, write_json
from refinevad.files.shown import shown


def progress_bar(total: int | None, what: str, unit: str = "it") -> "tqdm[Any]":
    """A bar on stderr that appears after a moment and stays quiet in pipes longer than in terminals."""
    interval = 0.2 if sys.stderr.isatty() else 5.0
    return tqdm(total=total, desc=shown(what), unit=unit, file=sys.stderr, mininterval=interval, dynamic_ncols=True)


class _VideoBar(tqdm):
    """Counts seconds of video; says hours of video done an hour, and what is left."""

    @property
    def format_dict(self) -> dict[str, Any]:
        facts: dict[str, Any] = super().format_dict
        if facts["total"]:  # files may hold more than they state
            facts["n"] = min(facts["n"], facts["total"])
        facts["rate"] = rate = facts["n"] / facts["elapsed"] if facts["elapsed"] else 0.0  # since work began
        minutes = {"done": facts["n"] / 60, "whole": (facts["total"] or 0) / 60}
        facts.update(hours_an_hour=f"{rate:.0f}", **{name: f"{value:.1f}" for name, value in minutes.items()})
        return facts


def video_bar(total_s: float, what: str, began: float) -> "tqdm[Any]":
    """A bar of so many seconds of video, worked on since `began` (time.time()); as `progress_bar` else."""
    text = "{l_bar}{bar}| {done}/{whole} min of video, {hours_an_hour} video-hours an hour, {remaining} left"
    interval = 0.2 if sys.stderr.isatty() else 5.0
    bar = _VideoBar(
        total=total_s or None,
        desc=shown(what),
        file=sys.stderr,
        mininterval=interval,
        dynamic_ncols=True,
        bar_format=text,
    )
    bar.start_t = began
    return bar


_open_bars: "list[tqdm[Any]]" = []


def close_bars() -> None:
    """Leave unfinished bars as they stand, so that what is printed next has a line of its own."""
    while _open_bars:
        _open_bars.pop().close()


def stepping(what: str, unit: str = "it") -> Callable[[int], Callable[[], None]]:
    """A callback maker: given the total, a function to be called after each item."""

    def start(total: int) -> Callable[[], None]:
        bar = progress_bar(total, what, unit)
        _open_bars.append(bar)

        def step() -> None:
            bar.update()
            if bar.n >= total:
                bar.close()

        return step

    return start


def note(sentence: str) -> None:
    """One line on stderr."""
    tqdm.write(f"refinevad: {shown(sentence)}", file=sys.stderr)


def notes(sentences: Sequence[str], most: int = 20) -> None:
    """A line each on stderr, and how many more there are than `most`."""
    for sentence in sentences[:most]:
        note(sentence)
    if len(sentences) > most:
        note(f"and {len(sentences) - most} more; --json lists them all")


def give_json(content: Mapping[str, Any], target: str | None) -> bool:
    """Write JSON to a file, or to stdout for `-`; whether stdout is taken."""
    if target == "-":
        print(json.dumps(finite(content), indent=1))
        return True
    if target:
        write_json(Path(target), content)
    return False


def table(rows: list[tuple[str, ...]]) -> str:
    """Columns aligned: the first to the left, the others to the right."""
    rows = [tuple(map(shown, row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *rest = row
        lines.append(
            "  ".join([first.ljust(widths[0]), *(t.rjust(w) for t, w in zip(rest, widths[1:], strict=True))]).rstrip()
        )
    return "\n".join(lines)
