"""An annotation tool's export where `videos.csv` can stand: which videos it labels, and in which split they are."""

from pathlib import Path

from refinevad.annotations.labels import SUFFIXES, LabelledVideo, labelled_videos, videos_below
from refinevad.datasets.folders import SPLITS, split_named
from refinevad.errors import InputError
from refinevad.files.names import some

_STEMS = ("annotations", "events")  # names that an export beside videos is found by


def is_annotations(path: Path) -> bool:
    """Whether a path is a file that may be an annotation tool's export."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def root_of(data: Path) -> Path:
    """The folder of a data set's videos: an export stands for the one that it lies in."""
    return data.parent if data.is_file() else data


def annotations_in(folder: Path) -> Path | None:
    """The export in a folder: the folder `annotations`, or the file `annotations` or `events` with a format's suffix.

    Raises:
        InputError: there are several.
    """
    if not folder.is_dir():
        return None
    found = [path for path in sorted(folder.iterdir()) if path.stem in _STEMS and is_annotations(path)]
    inner = folder / _STEMS[0]
    if inner.is_dir() and any(is_annotations(path) for path in inner.rglob("*")):
        found.append(inner)
    if len(found) > 1:
        raise InputError(
            f"{folder} holds {some([path.name for path in found])}: keep one, or name it in the folder's place"
        )
    return found[0] if found else None


def annotated_videos(file: Path) -> tuple[list[LabelledVideo], tuple[str, ...]]:
    """The videos below an export's folder that it speaks of, with `train`, `val`, `test` or no split, and notes.

    Without a split of its own a video has the one that its first folder is called after.

    Raises:
        InputError: an export that cannot be read, or one that gives some videos a split and others none.
    """
    folder = file.parent
    paths = videos_below(folder)
    found, notes = labelled_videos(file, paths)
    videos = [LabelledVideo(one.path, one.labels, _split(one, file)) for one in found]
    without = [one.path for one in videos if not one.split]
    if without and len(without) < len(videos):
        raise InputError(
            f"{file}: {len(without)} videos are in no split, others are: {some(without)}; put them below "
            f"{', '.join(SPLITS)}, or say it in the tool"
        )
    listed = {one.path for one in videos}
    others = [path for path in paths if path not in listed]
    told = list(notes)
    if without:
        told.append(f"{file} says no split: all of its {len(videos)} videos train, or are judged")
    if others:
        told.append(f"{len(others)} videos are not in {file} and are left out: {some(others)}")
    return videos, tuple(told)


def _split(video: LabelledVideo, file: Path) -> str:
    said = video.split or ""
    named = split_named(said) if said else split_named(Path(video.path).parts[0])
    if said and named is None:
        raise InputError(f"{file}: split '{said[:30]}' of {video.path} is none of {', '.join(SPLITS)}")
    return named or ""
