"""A video's label as benchmarks write it -> its categories."""

from collections.abc import Sequence

from refinevad.errors import InputError
from refinevad.files.shown import short

NORMAL_NAMES = ("normal", "a")  # what a normal video's label may say, whatever the column is called


def labels_of(label: object, columns: Sequence[str], where: str) -> tuple[str, ...]:
    """Categories of a label: one name, or several joined by "-" with "0" for none (XD-Violence). Normal: none.

    Raises:
        InputError: not text, or a category that is not among the columns.
    """
    if not isinstance(label, str) or not label:
        raise InputError(f'{where}: "label" must be a category or the normal label, got {short(label)}')
    if label == columns[0] or label.lower() in NORMAL_NAMES:
        return ()
    names = (label,) if label in columns else tuple(name for name in label.split("-") if name != "0")
    unknown = [name for name in names if name not in columns[1:]]
    if unknown or not names:
        raise InputError(f"{where}: category {(unknown or [label])[0]!r} is not one of {', '.join(columns[1:])}")
    return names
