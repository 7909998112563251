"""What happens in videos -> files of a tool; what its format cannot say is counted."""

from collections.abc import Sequence
from pathlib import Path

from refinevad.annotations.annotated import AnnotatedVideo, Annotations, Format
from refinevad.errors import InputError
from refinevad.files.whole import atomic_write


def write_annotations(out: Path, annotations: Annotations, format: Format) -> tuple[str, ...]:
    """Write a file, or, where a file speaks of one video and `out` is no such file, one for each into that folder.

    All are rendered before the first is written. Gives a sentence for each kind of thing that the format cannot say.

    Raises:
        InputError: a format that is only read, several videos for one file, two videos that would share a file, frames
            of an unknown rate, or a place that cannot be written.
    """
    if format.render is None:
        raise InputError(f"{format.title} can be read, not written")
    videos = annotations.videos
    said = format.holds
    if format.folder is not None and (out.is_dir() or not out.suffix):
        contents = {out / name: content for name, content in format.folder(videos).items()}
        said = frozenset({*said, "normal", "splits"})
    elif not format.per_video:
        contents = {out: format.render(videos)}
    elif out.suffix.lower() == format.suffix and not out.is_dir():
        if len(videos) > 1:
            raise InputError(f"a file of {format.title} is of one video, and here are {len(videos)}: name a folder")
        contents = {out: format.render(videos)}
    else:
        contents = {}
        for video in videos:
            file = out / f"{_inside(video.stem)}{format.suffix}"
            if file in contents:
                raise InputError(f"{file} would be of two videos: names must differ in more than the suffix")
            contents[file] = format.render([video])
    for file, content in contents.items():
        with atomic_write(file) as partial:
            partial.write_bytes(content)
    return tuple(_unsaid(videos, format.title, said))


def _inside(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "video"


def _unsaid(videos: Sequence[AnnotatedVideo], title: str, said: frozenset[str]) -> list[str]:
    scores = sum(span.score is not None for video in videos for span in video.spans)
    counts = {
        "scores": (scores, "scores"),
        "normal": (sum(not video.spans for video in videos), "videos in which nothing happens"),
        "splits": (sum(bool(video.split) for video in videos), "splits"),
    }
    return [
        f"{title} cannot say {count} {what}: left out"
        for key, (count, what) in counts.items()
        if count and key not in said
    ]
