"""The benchmarks' official annotation text, read as published. It is temporal truth: training never imports this."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from refinevad.errors import InputError
from refinevad.files.table import read_table

_T = TypeVar("_T")


def read_ucf_annotation(path: Path) -> dict[str, tuple[str, tuple[tuple[int, int], ...]]]:
    """UCF-Crime's Temporal_Anomaly_Annotation.txt: video -> (class, frame ranges as written); -1 marks no event.

    Raises:
        InputError: a line that does not hold name, class and four frame numbers; the text names it.
    """
    annotation: dict[str, tuple[str, tuple[tuple[int, int], ...]]] = {}
    for number, line in _lines(path):
        fields = line.split()
        if len(fields) != 6:
            raise InputError(f"{path}, line {number}: expected name, class and four frame numbers, got {line!r}")
        pairs = _frame_pairs(fields[2:], f"{path}, line {number}")
        _add(annotation, fields[0], (fields[1], pairs), f"{path}, line {number}")
    return annotation


def read_xd_annotation(path: Path) -> dict[str, tuple[tuple[int, int], ...]]:
    """XD-Violence's annotations.txt: anomalous video -> frame ranges as written (normal videos have no line).

    Raises:
        InputError: a line without pairs of frame numbers; the text names it.
    """
    annotation: dict[str, tuple[tuple[int, int], ...]] = {}
    for number, line in _lines(path):
        fields = line.split()
        if len(fields) < 3 or len(fields) % 2 == 0:
            raise InputError(f"{path}, line {number}: expected a name and pairs of frame numbers, got {line!r}")
        where = f"{path}, line {number}"
        _add(annotation, fields[0], _frame_pairs(fields[1:], where), where)
    return annotation


def _add(annotation: dict[str, _T], file: str, value: _T, where: str) -> None:
    name = file.removesuffix(".mp4")
    if name in annotation:
        raise InputError(f"{where}: {name!r} stands twice; keep one line")
    annotation[name] = value


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        lines = enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1)
        return [(number, line) for number, line in lines if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"annotation cannot be read: {path} ({error})") from error


def _frame_pairs(fields: Sequence[str], where: str) -> tuple[tuple[int, int], ...]:
    try:
        numbers = [int(field.replace("_", "?")) for field in fields]  # Python reads 1_0 as 10
    except ValueError:
        raise InputError(f"{where}: {' '.join(fields)!r} are not all whole frame numbers") from None
    pairs = [(start, end) for start, end in zip(numbers[::2], numbers[1::2], strict=True) if (start, end) != (-1, -1)]
    for start, end in pairs:
        if not 0 <= start <= end:
            raise InputError(f"{where}: {start} to {end} are no frames from a first to a last one")
    return tuple(pairs)


def read_msad_annotation(path: Path) -> dict[str, tuple[tuple[int, int], ...]]:
    """MSAD's anomaly_annotation.csv: anomalous video -> frame ranges, [start, end).

    The file counts frames from 1 and names the last one; a row without both numbers is a normal video.

    Raises:
        InputError: a missing column, or a number that is none; the text names line and column.
    """
    first, last = "starting frame of anomaly", "ending frame of anomaly"
    try:
        table = read_table(path)
    except OSError as error:
        raise InputError(f"annotation cannot be read: {path} ({error.strerror})") from error
    absent = [name for name in ("name", first, last) if name not in table.columns]
    if absent:
        raise InputError(f"{path}, line 1: no column {absent[0]!r}")
    annotation: dict[str, tuple[tuple[int, int], ...]] = {}
    for row in table.rows:
        where = f"{path}, line {row.line}, column {first} or {last}"
        fields = [field for field in (row[first], row[last]) if field]
        if len(fields) == 1:
            raise InputError(f"{where}: one of the two is empty; fill in both, or none for a normal video")
        for start, end in _frame_pairs(fields, where):
            name = row["name"].removesuffix(".mp4")
            annotation[name] = (*annotation.get(name, ()), (max(start - 1, 0), end))
    return annotation


def read_ped2_annotation(path: Path) -> dict[str, tuple[tuple[int, int], ...]]:
    """UCSDped2.m: `TestVideoFile{end+1}.gt_frame = [a:b, c:d];`, one a test video -> Test001.. -> ranges, [start, end).

    The file counts frames from 1 and both ends are anomalous.

    Raises:
        InputError: no such line, or one whose ranges are not whole numbers.
    """
    annotation: dict[str, tuple[tuple[int, int], ...]] = {}
    for number, line in _lines(path):
        name, _, value = line.partition("=")
        if "gt_frame" not in name:
            continue
        fields = value.strip().rstrip(";").strip("[] ").replace(",", " ").replace(":", " ").split()
        if len(fields) % 2:
            raise InputError(f"{path}, line {number}: expected pairs first:last, got {line.strip()!r}")
        pairs = _frame_pairs(fields, f"{path}, line {number}")
        annotation[f"Test{len(annotation) + 1:03d}"] = tuple((start - 1, end) for start, end in pairs)
    if not annotation:
        raise InputError(f"{path} has no line with gt_frame; it should be UCSDped2.m")
    return annotation
