"""dataset.json of a folder of features, held against what `FeatureIndex.save` writes before anything is made of it.

A folder of features is passed from hand to hand: a path in it may not lead out of the folder, and a number may not
claim what no video has.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from refinevad.errors import InputError
from refinevad.files.finite import is_finite
from refinevad.files.json_files import read_json
from refinevad.files.shown import short
from refinevad.timeline import FIELD_SEGMENT_FRAMES, MOST_FRAMES

_MOST_CHANNELS = 1 << 20
_MOST_CROPS = 1000
Check = Callable[[object], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def is_inside(value: object) -> bool:
    """Whether a text names a file below the folder it is looked for in, in letters that names of files can have."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    parts = [part for part in value.split("/") if part not in ("", ".")]  # as Path has them, in a tenth of its time
    return bool(parts) and ".." not in parts and not value.startswith("/")


def _are_files(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(key.isdecimal() and len(key) < 4 and is_inside(file) for key, file in value.items())
    )


_ITEM: dict[str, Check] = {
    "path": is_inside,
    "labels": lambda value: isinstance(value, list) and all(isinstance(label, str) for label in value),
    "split": _is_text,
    "fold": _or_none(_is_whole(0, 10**9)),
}
_SET: dict[str, Check] = {
    "folder": _is_text,
    "audio_folder": _is_text,
    "rate_hz": lambda value: is_finite(value) and 0 < value < 1e6,
    "channels": _is_whole(1, _MOST_CHANNELS),
    "audio_channels": _is_whole(0, _MOST_CHANNELS),
    "train_crop": _or_none(_is_whole(0, _MOST_CROPS)),
    "test_crop": _or_none(_is_whole(0, _MOST_CROPS)),
    "videos": lambda value: isinstance(value, dict),
}
_VIDEO: dict[str, Check] = {
    "files": _are_files,
    "crops": _is_whole(0, _MOST_CROPS),
    "segments": _is_whole(1, MOST_FRAMES // FIELD_SEGMENT_FRAMES),
    "audio": _or_none(is_inside),
    "axis": _is_whole(0, 1),
}
_MAY_LACK = ("fold", "audio", "axis")  # came after the first folders of features were made


def read_index(path: Path) -> dict[str, Any]:
    """The content of a dataset.json, each value of which is of its kind and range.

    Raises:
        InputError: no JSON object, or the first value that is none of those; names it.
    """
    try:
        content = read_json(path)
    except InputError as error:
        raise InputError(f"the index is damaged: {error}; run refinevad extract again") from error
    wrong = next(_wrong(content), None)
    if wrong is not None:
        raise InputError(f"{path} is damaged ({wrong}); run refinevad extract again")
    return content


def _wrong(content: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an index, in words, one at a time."""
    for name in ("encoder", "source"):
        if not isinstance(content.get(name), str):
            yield f"{name} is {short(content.get(name))}"
    items = content.get("items")
    if not isinstance(items, list) or not items:
        yield f"items is {short(items)}, no list of videos"
        return
    for number, item in enumerate(items, start=1):
        yield from _misfits(item, _ITEM, f"item {number}")
    if "published" not in content:
        return
    published = content["published"]
    yield from _misfits(published, _SET, "published")
    for item in items:
        where = f"published video {short(item['path'])}"
        video = published["videos"].get(item["path"])
        yield from _misfits(video, _VIDEO, where)
        if video["crops"] and "0" not in video["files"]:
            yield f"{where}: files is {short(video['files'])}, of which crops lie in number 0"


def _misfits(values: object, checks: Mapping[str, Check], where: str) -> Iterator[str]:
    """Values that are not what they must be, that are missing, or that nobody knows."""
    if not isinstance(values, dict):
        yield f"{where} is {short(values)}"
        return
    for name in values:
        if name not in checks:
            yield f"{where}: {short(name)} is unknown"
    for name, check in checks.items():
        if name not in values:
            yield from () if name in _MAY_LACK else (f"{where}: {name} is missing",)
        elif not check(values[name]):
            yield f"{where}: {name} is {short(values[name])}"
