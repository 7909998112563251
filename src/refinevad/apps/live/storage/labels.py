"""Reviewed events -> training labels: a data set of clips with videos.csv, as `refinevad train` reads it."""

import csv
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from refinevad.apps.live.storage.records import ReviewedEvent
from refinevad.apps.live.storage.store import Store
from refinevad.files.whole import atomic_write

_PAGE = 1000  # events held at a time
NORMAL = "normal"  # videos.csv's word for nothing happened


@dataclass(frozen=True)
class ExportReport:
    """How many clips became labels, and how many reviewed events had no clip (any more)."""

    exported: int
    without_clip: int


@dataclass(frozen=True)
class LabelledClip:
    """A clip where it lies, its name in a data set, and its video-level label."""

    path: Path
    name: str
    label: str


def label_of(reviewed: ReviewedEvent) -> str | None:
    """Video-level label by the latest review: dismissed is normal; None where nobody has looked, or could tell."""
    if reviewed.review is None or reviewed.review.verdict == "unsure":
        return None
    if reviewed.review.verdict == "dismissed":
        return NORMAL
    return reviewed.review.category or reviewed.event.category


def labelled_clips(store: Store) -> tuple[list[LabelledClip], int]:
    """Clips of reviewed events, oldest first, and how many such events have none (any more). Read a page at a time.

    Raises:
        StorageError: the database is away.
    """
    clips: dict[str, LabelledClip] = {}
    without, skip = set[str](), 0
    while page := store.events.find(reviewed=True, limit=_PAGE, skip=skip):
        skip += len(page)
        for reviewed in page:
            event, label = reviewed.event, label_of(reviewed)
            clip = store.media_path(event.clip) if event.clip else None
            if label is None:  # nobody could tell
                continue
            if clip is None or not clip.is_file():
                without.add(event.id)
            else:  # again, where one that came meanwhile moved it to this page
                clips[event.id] = LabelledClip(clip, f"clips/{event.id}{clip.suffix}", label)
    return list(clips.values())[::-1], len(without)


def table_of(clips: Iterable[LabelledClip], split: str = "train") -> str:
    """The text of videos.csv."""
    text = StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("path", "labels", "split"))
    table.writerows((clip.name, clip.label, split) for clip in clips)
    return text.getvalue()


def export_reviewed(store: Store, folder: Path, split: str = "train") -> ExportReport:
    """Copy the clips of reviewed events into `folder`/clips and list them in `folder`/videos.csv, oldest first.

    Raises:
        InputError: the folder cannot be written.
        StorageError: the database is away.
    """
    clips, without = labelled_clips(store)
    for clip in clips:
        with atomic_write(folder / clip.name) as partial:
            shutil.copyfile(clip.path, partial)
    with atomic_write(folder / "videos.csv") as partial:
        partial.write_text(table_of(clips, split), encoding="utf-8", newline="")
    return ExportReport(len(clips), without)
