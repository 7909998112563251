"""Every format of annotations, and which one a file is of."""

from collections.abc import Sequence

from refinevad.annotations import (
    activitynet,
    coco_vid,
    cvat,
    detections,
    elan,
    fiftyone,
    frigate,
    label_studio,
    parquet,
    subtitles,
    via,
)
from refinevad.annotations.annotated import Format
from refinevad.annotations.content import Content
from refinevad.errors import InputError
from refinevad.files.names import hint

FORMATS: tuple[Format, ...] = (
    label_studio.FORMAT,
    cvat.FORMAT,
    via.FORMAT,
    elan.FORMAT,
    subtitles.SRT,
    subtitles.VTT,
    detections.FORMAT,
    fiftyone.FORMAT,
    activitynet.FORMAT,
    coco_vid.FORMAT,
    frigate.FORMAT,
    parquet.FORMAT,
)
SUFFIXES = frozenset(format.suffix for format in FORMATS)


def format_named(name: str, formats: Sequence[Format] = FORMATS) -> Format:
    """The format of a name. Raises InputError where there is none."""
    for one in formats:
        if one.name == name:
            return one
    names = [one.name for one in formats]
    raise InputError(f"no format {name!r}{hint(name, names)}: there are {', '.join(names)}")


def format_of(content: Content, formats: Sequence[Format] = FORMATS) -> Format | None:
    """The format that a file is of; None: of none that is known."""
    return next((one for one in formats if one.claims(content)), None)
