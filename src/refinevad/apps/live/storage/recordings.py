"""The continuous recordings on disk: which stretches of which camera there are, and which are deleted for room or age.

`media/recordings/CAMERA/`, a file a minute (capture/stream_recorder.py names them); there is no other index. What was
deleted is noted beside them, so that a hole that retention made is told from one in which nothing came.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from refinevad.apps.live.clock import DAY_S
from refinevad.errors import InputError
from refinevad.files.finite import is_finite
from refinevad.files.strict_json import parse_json
from refinevad.files.whole import atomic_write

RECORDINGS = "recordings"
JOINED_S = 1.0  # what lies closer together is one stretch
_PIECE = re.compile(r"(\d{1,15})-(\d{1,9})\.mp4")
_NOTE = "removed.json"
Why = Literal["days", "gigabytes"]


@dataclass(frozen=True)
class Piece:
    """A file of a recording, from Unix second `start` to `end`."""

    path: Path
    start: float
    end: float
    bytes: int


@dataclass(frozen=True)
class Removed:
    """What retention deleted of a camera: all that lies before Unix second `until`, for its age or for want of room."""

    until: float
    why: Why


class Recordings:
    """All cameras' recordings under a media folder. Safe to share between threads."""

    def __init__(self, media: Path) -> None:
        self._folder = media / RECORDINGS

    def folder(self, camera: str) -> Path:
        return self._folder / camera

    def between(self, camera: str, start: float, end: float) -> list[Piece]:
        """Pieces that touch [start, end), in their order."""
        found = [piece for piece in self._pieces(self.folder(camera)) if piece.start < end and piece.end > start]
        return sorted(found, key=lambda piece: piece.start)

    def piece(self, camera: str, start_ms: int) -> Piece | None:
        """The piece that begins at a millisecond."""
        return next((one for one in self._pieces(self.folder(camera)) if round(one.start * 1000) == start_ms), None)

    def removed(self, camera: str) -> Removed | None:
        """What retention deleted of a camera; None: nothing yet."""
        try:
            note = parse_json((self.folder(camera) / _NOTE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(note, dict) or not is_finite(note.get("until")):
            return None
        return Removed(float(note["until"]), "days" if note.get("why") == "days" else "gigabytes")

    def expire(self, now: float, days: float, gigabytes: float) -> int:
        """Delete what is older than `days`, and the oldest of more than `gigabytes` of all cameras; how many."""
        pieces = sorted(self._all(), key=lambda one: one[1].start)
        excess, deleted = sum(piece.bytes for _, piece in pieces) - gigabytes * 1e9, 0
        gone: dict[str, Removed] = {}
        for camera, piece in pieces:
            old = piece.end < now - days * DAY_S
            if not old and excess <= 0:
                continue
            with suppress(OSError):
                piece.path.unlink()
                excess -= piece.bytes
                deleted += 1
                gone[camera] = Removed(piece.end, "days" if old else "gigabytes")
        for camera, removed in gone.items():
            with suppress(InputError, OSError), atomic_write(self.folder(camera) / _NOTE) as partial:
                partial.write_text(json.dumps(vars(removed)), encoding="utf-8")
        return deleted

    def _all(self) -> Iterator[tuple[str, Piece]]:
        folders = self._folder.iterdir() if self._folder.is_dir() else ()
        for folder in folders:
            if folder.is_dir() and not folder.is_symlink():
                yield from ((folder.name, piece) for piece in self._pieces(folder))

    def _pieces(self, folder: Path) -> Iterator[Piece]:
        for path in folder.iterdir() if folder.is_dir() else ():
            if match := _PIECE.fullmatch(path.name):
                start = int(match[1]) / 1000
                with suppress(OSError):
                    yield Piece(path, start, start + int(match[2]) / 1000, path.stat().st_size)


def stretches(pieces: Sequence[Piece]) -> list[tuple[float, float]]:
    """Pieces in their order -> the stretches that they make together."""
    joined: list[tuple[float, float]] = []
    for piece in pieces:
        if joined and piece.start - joined[-1][1] <= JOINED_S:
            joined[-1] = (joined[-1][0], max(joined[-1][1], piece.end))
        else:
            joined.append((piece.start, piece.end))
    return joined
