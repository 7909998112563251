"""Videos -> files of captions that the encoder `captions` reads: resumable, whole or absent, never over a person's own.

Beside `<stem>.jsonl` lies `<stem>.made.json`, which says what made it; while it is being made what is done lies in
`<stem>.part.jsonl`, and a run that was stopped goes on behind it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from refinevad.encoders.caption_windows import FrameWindow, WindowPlan, windows_of
from refinevad.encoders.captioner import Captioner
from refinevad.errors import InputError
from refinevad.files.json_files import read_json
from refinevad.files.strict_json import parse_json
from refinevad.files.whole import atomic_write, sampled_sha256

MADE, PART = ".made.json", ".part.jsonl"


@dataclass(frozen=True)
class Captioned:
    """What became of one video.

    Attributes:
        windows: how many were described.
        silent: answers that were empty, and are not in the file.
        made: whether anything had to be made.
    """

    windows: int
    silent: int
    made: bool


@dataclass(frozen=True)
class CaptionMaker:
    """Describes videos window by window; `batch` windows at a time."""

    captioner: Captioner
    plan: WindowPlan
    batch: int = 4

    def caption(self, video: Path, target: Path, progress: Callable[[float], None] | None = None) -> Captioned:
        """Write the captions of a video to `target` (`.jsonl`), unless they are there and up to date.

        `progress`: takes the second up to which the video is described.

        Raises:
            InputError: it cannot be read, the file cannot be written, or it is there and was not made here.
        """
        made = target.with_suffix(MADE)
        told = self._told(video)
        if target.exists():
            if not made.exists():
                raise InputError(f"{target} is there and was not made here; move it, or choose another --out")
            before = read_json(made)
            if {**before, **told} == before:
                return Captioned(int(before.get("windows", 0)), int(before.get("silent", 0)), made=False)
        rows = self._rows(video, target.with_suffix(PART), told, progress)
        spoken = [
            {"start_s": row["start_s"], "end_s": row["end_s"], "text": text}
            for row in rows
            for text in row["texts"]
            if text
        ]
        silent = sum(not text for row in rows for text in row["texts"])
        counts = {"windows": len(rows), "silent": silent}
        with atomic_write(target) as partial:
            partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in spoken), encoding="utf-8")
        with atomic_write(made) as partial:
            partial.write_text(json.dumps({**told, **counts}, indent=1, ensure_ascii=False), encoding="utf-8")
        target.with_suffix(PART).unlink(missing_ok=True)
        return Captioned(len(rows), silent, made=True)

    def _told(self, video: Path) -> dict[str, Any]:
        """What captions depend on."""
        return {
            "captioner": json.loads(json.dumps(self.captioner.identity.as_dict())),
            "windows_of": self.plan.as_dict(),
            "video": {"name": video.name, "bytes": video.stat().st_size, "sampled_sha256": sampled_sha256(video)},
        }

    def _rows(
        self, video: Path, part: Path, told: dict[str, Any], progress: Callable[[float], None] | None
    ) -> list[dict[str, Any]]:
        """One row a window: those that an earlier run left, and then new ones, each kept as soon as it is there."""
        rows = _left(part, told)
        head = [told, *rows]
        with atomic_write(part) as partial:  # without a row that was cut off, and nothing of other settings
            partial.write_text("".join(json.dumps(row) + "\n" for row in head), encoding="utf-8")
        try:
            with part.open("a", encoding="utf-8") as file:
                for windows in _batches(islice(windows_of(video, self.plan), len(rows), None), self.batch):
                    answers = self.captioner.describe(windows)
                    for window, texts in zip(windows, answers, strict=True):
                        rows.append(_row(window, texts))
                        file.write(json.dumps(rows[-1]) + "\n")
                    file.flush()
                    if progress is not None:
                        progress(windows[-1].end_s)
        except OSError as error:
            raise InputError(
                f"cannot write {part}: {error.strerror}; free the disk or choose another folder"
            ) from error
        return rows


def caption_targets(videos: Sequence[tuple[Path, Path]], out: Path | None) -> list[tuple[Path, Path]]:
    """(video, file of its captions) for videos with their places below `out`; None: beside each video.

    Raises:
        InputError: two videos would have one file.
    """
    taken: dict[Path, Path] = {}
    for video, place in videos:
        target = (video if out is None else out / place).with_suffix(".jsonl")
        if target in taken:
            raise InputError(f"{taken[target]} and {video} would both have the captions {target}; rename one")
        taken[target] = video
    return [(video, target) for target, video in taken.items()]


def _row(window: FrameWindow, texts: Sequence[str]) -> dict[str, Any]:
    return {"start_s": round(window.start_s, 6), "end_s": round(window.end_s, 6), "texts": list(texts)}


def _batches(windows: Iterator[FrameWindow], size: int) -> Iterator[list[FrameWindow]]:
    while batch := list(islice(windows, size)):
        yield batch


def _left(part: Path, told: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows that an earlier run of the same settings left; a last one that was cut off is none."""
    try:
        head, *lines = part.read_text(encoding="utf-8").split("\n")
        if parse_json(head) != told:
            return []
    except (OSError, ValueError):
        return []
    rows: list[dict[str, Any]] = []
    for line in lines[:-1]:  # what follows the last end of line is nothing, or cut off
        try:
            row = parse_json(line)
        except ValueError:
            break
        if not isinstance(row, dict) or set(row) != {"start_s", "end_s", "texts"}:
            break
        rows.append(row)
    return rows
