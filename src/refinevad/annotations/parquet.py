"""Parquet through pandas, where that is installed: a row an event, and one without times for a normal video."""

import io
from collections.abc import Sequence
from typing import Any

from refinevad.annotations.annotated import AnnotatedVideo, Format, Mark, MarkedVideo, Written
from refinevad.annotations.content import Content
from refinevad.errors import InputError

TITLE = "Parquet"
_COLUMNS = ("path", "start_s", "end_s", "category")


def claims(content: Content) -> bool:
    """By the suffix."""
    return content.suffix == ".parquet"


def read(content: Content) -> Written:
    """Columns as in events.csv, and `score` and `split` where they are."""
    pandas = _pandas()
    try:
        table = pandas.read_parquet(content.path)
    except ImportError as error:
        raise InputError(f"{content.path}: Parquet needs pyarrow; pip install pyarrow") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{content.path} is no Parquet file ({str(error).splitlines()[0]})") from error
    absent = [name for name in _COLUMNS if name not in table.columns]
    if absent:
        raise InputError(f"{content.path}: no column {absent[0]!r}; it needs {','.join(_COLUMNS)}")
    videos: dict[str, MarkedVideo] = {}
    for number, row in enumerate(table.to_dict("records"), start=1):
        where = f"row {number}"
        row = {key: None if pandas.isna(value) else value for key, value in row.items()}
        name = content.words(row["path"], f"{where}, path")
        video = videos.setdefault(name, MarkedVideo(name))
        video.split = str(row.get("split") or video.split)
        if row["category"] is None and row["start_s"] is None:
            continue
        start_s, end_s = (content.number(row[key], f"{where}, {key}") for key in ("start_s", "end_s"))
        score = None if row.get("score") is None else content.number(row["score"], f"{where}, score")
        video.marks.append(Mark(start_s, end_s, content.words(row["category"], f"{where}, category"), score))
    return Written(list(videos.values()))


def table_of(videos: Sequence[AnnotatedVideo]) -> Any:
    """A pandas DataFrame of the videos.

    Raises:
        InputError: pandas is not installed.
    """
    rows: list[tuple[Any, ...]] = []
    for video in videos:
        rows += [(video.path, s.start_s, s.end_s, s.category, s.score, video.split) for s in video.spans]
        if not video.spans:
            rows.append((video.path, None, None, None, None, video.split))
    kinds = {"path": object, "start_s": float, "end_s": float, "category": object, "score": float, "split": object}
    return _pandas().DataFrame(rows, columns=list(kinds)).astype(kinds)


def render(videos: Sequence[AnnotatedVideo]) -> bytes:
    """The table as the bytes of a Parquet file."""
    file = io.BytesIO()
    try:
        table_of(videos).to_parquet(file, index=False)
    except ImportError as error:
        raise InputError("Parquet needs pyarrow; pip install pyarrow") from error
    return file.getvalue()


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise InputError("Parquet needs pandas and pyarrow; pip install pandas pyarrow") from error
    return pandas


FORMAT = Format("parquet", TITLE, ".parquet", claims, read, render, frozenset({"scores", "normal", "splits"}))
