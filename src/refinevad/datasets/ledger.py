"""ledger.json: what the headers of a large folder of features say, in one file, so that going on opens none of them.

It is believed of a video as long as the video and its features have the bytes and times of change that they had; else,
and where the file is missing or damaged, headers are asked. Small folders, and those in stores far away, have none.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from refinevad.errors import InputError
from refinevad.files.json_files import read_json
from refinevad.files.remote import RemotePath
from refinevad.files.whole import atomic_write

NAME = "ledger.json"
WORTH = 1000  # videos; of fewer the headers are read in a moment


class Line(NamedTuple):
    """Of one video: bytes and time of change of its features and of itself, the digest of its bytes, and the notes."""

    features: tuple[int, int]
    video: tuple[int, int]
    sampled_sha256: str
    notes: tuple[str, ...]


class Ledger:
    """The lines of a folder, by the videos' paths in their set.

    Args:
        signature: of the features that are wanted; lines of others are not believed.
    """

    def __init__(self, folder: Path, signature: Mapping[str, Any]) -> None:
        self._path = folder / NAME
        self._signature = hashlib.sha256(json.dumps(signature, sort_keys=True).encode()).hexdigest()
        self._rows: dict[str, Any] = {}  # as they were written: each is looked at when it is asked for
        if isinstance(folder, RemotePath) or not self._path.exists():
            return
        try:
            content = read_json(self._path)
            if content["signature"] == self._signature:
                self._rows = dict(content["lines"])
        except (InputError, KeyError, TypeError, ValueError):
            self._rows = {}

    def line(self, path: str, features: str, video: str) -> Line | None:
        """What is known of a video; None where it or its features are not as they were."""
        try:
            ours, theirs, sha, told = self._rows[path]
            line = Line(tuple(ours), tuple(theirs), str(sha), tuple(told))
        except (KeyError, TypeError, ValueError):
            return None
        return line if line.features == _facts(features) and line.video == _facts(video) else None

    def save(self, lines: Iterable[tuple[str, Line]], most: int) -> None:
        """Keep lines for the next time, of a folder of so many videos. Raises InputError where it cannot be written."""
        if most < WORTH or isinstance(self._path, RemotePath):
            return
        content = {"signature": self._signature, "lines": dict(lines)}
        with atomic_write(self._path) as partial:
            partial.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def line_of(source: Mapping[str, Any], features: str) -> Line | None:
    """A line by the header's `source`; None where that does not say enough."""
    facts = _facts(features) or (0, 0)  # in a store far away: known now, and not later
    if not {"bytes", "mtime_ns", "sampled_sha256"} <= set(source):
        return None
    video = int(source["bytes"]), int(source["mtime_ns"])
    return Line(facts, video, str(source["sampled_sha256"]), tuple(source.get("notes", ())))


def _facts(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a hundred thousand Paths take longer than to ask
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns
