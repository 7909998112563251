"""Reviewed events -> training labels: a data set of clips with videos.csv, as `refinevad train` reads it."""

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

from refinevad.apps.live.records import ReviewedEvent
from refinevad.apps.live.store import Store
from refinevad.files import atomic_write

NORMAL = "normal"  # videos.csv's word for nothing happened


@dataclass(frozen=True)
class ExportReport:
    """How many clips became labels, and how many reviewed events had no clip (any more)."""

    exported: int
    without_clip: int


def label_of(reviewed: ReviewedEvent) -> str | None:
    """Video-level label by the latest review: dismissed is normal; None where nobody has looked."""
    if reviewed.review is None:
        return None
    if reviewed.review.verdict == "dismissed":
        return NORMAL
    return reviewed.review.category or reviewed.event.category


def export_reviewed(store: Store, folder: Path, split: str = "train") -> ExportReport:
    """Copy the clips of reviewed events into `folder`/clips and list them in `folder`/videos.csv, oldest first.

    Raises:
        InputError: the folder cannot be written.
        StorageError: the database is away.
    """
    rows, without = [], 0
    for reviewed in store.events.find(reviewed=True, limit=1_000_000)[::-1]:
        event, label = reviewed.event, label_of(reviewed)
        clip = store.media_path(event.clip) if event.clip else None
        if clip is None or label is None or not clip.is_file():
            without += 1
            continue
        name = f"clips/{event.id}{clip.suffix}"
        with atomic_write(folder / name) as partial:
            shutil.copyfile(clip, partial)
        rows.append((name, label, split))
    with atomic_write(folder / "videos.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("path", "labels", "split"))
        table.writerows(rows)
    return ExportReport(len(rows), without)
