"""Annotations -> which videos there are and which categories occur in each: all that training is given of them."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from refinevad.annotations.choice import SUFFIXES as SUFFIXES
from refinevad.annotations.known import TimedVideos, VideoFolder
from refinevad.annotations.reading import read_annotations


@dataclass(frozen=True)
class LabelledVideo:
    """A video by its path, its categories (none: normal), and its split in the file's own word; empty: it has none."""

    path: str
    labels: tuple[str, ...]
    split: str


def labelled_videos(file: Path, paths: Collection[str]) -> tuple[list[LabelledVideo], tuple[str, ...]]:
    """The videos that annotations speak of, by the `paths` there are, and a sentence for what was left aside.

    Raises:
        InputError: as `read_annotations`.
    """
    read, known = read_annotations(file, TimedVideos(paths, {})), set(paths)
    videos = [
        LabelledVideo(video.path, tuple(sorted({span.category for span in video.spans})), video.split)
        for video in read.videos
        if video.path in known
    ]
    return videos, read.notes


def videos_below(folder: Path) -> Collection[str]:
    """Paths of the videos in a folder, at any depth."""
    return VideoFolder(folder).paths
