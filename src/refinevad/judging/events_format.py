"""events.csv with the data set it lies in as a format of annotations: what `refinevad convert` reads and writes."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from refinevad.annotations.annotated import AnnotatedVideo, Format, Mark, MarkedVideo, Written
from refinevad.annotations.content import Content
from refinevad.datasets.dataset import EVENTS_FILE, NORMAL, has_videos, read_dataset
from refinevad.datasets.folders import split_named
from refinevad.judging.truth_files import read_events_csv

_VIDEOS_FILE = "videos.csv"


def _claims(content: Content) -> bool:
    columns = {name.strip().casefold() for name in content.text.partition("\n")[0].split(",")}
    return content.suffix == ".csv" and {"path", "start_s", "end_s", "category"} <= columns


def _read(content: Content) -> Written:
    """The rows; normal videos and splits of the set that they lie in, where there is one."""
    written, videos = Written(), dict[str, MarkedVideo]()
    for event in read_events_csv(content.path):
        video = videos.setdefault(event.path, MarkedVideo(event.path))
        video.marks.append(Mark(event.start_s, event.end_s, event.category))
    folder = content.path.parent
    for item in read_dataset(folder) if has_videos(folder) else []:
        if item.anomalous and item.path not in videos:
            written.left["videos with a label and no times"] += 1
            continue
        videos.setdefault(item.path, MarkedVideo(item.path)).split = item.split
    written.videos = list(videos.values())
    return written


def _render(videos: Sequence[AnnotatedVideo]) -> bytes:
    rows = [
        (video.path, f"{span.start_s:.6f}", f"{span.end_s:.6f}", span.category)
        for video in videos
        for span in video.spans
    ]
    return _table([("path", "start_s", "end_s", "category"), *rows])


def _folder(videos: Sequence[AnnotatedVideo]) -> dict[str, bytes]:
    """events.csv and videos.csv; a video in no split is one to train on."""
    rows = [
        (video.path, ";".join(sorted({span.category for span in video.spans})) or NORMAL, split_of(video) or "train")
        for video in videos
    ]
    return {EVENTS_FILE: _render(videos), _VIDEOS_FILE: _table([("path", "labels", "split"), *rows])}


def split_of(video: AnnotatedVideo) -> str | None:
    """A video's split by the tool's word or by its first folder; None: by neither."""
    return split_named(video.split) or split_named(Path(video.path).parts[0])


def _table(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


EVENTS = Format("events", EVENTS_FILE, ".csv", _claims, _read, _render, resolution_s=1e-6, folder=_folder)
