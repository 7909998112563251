"""Feature files with crops on an axis -> which axis: segments x crops x channels (RTFM's), or crops x segments."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from refinevad.datasets.npy import open_npy
from refinevad.errors import InputError

_USUAL = (1, 5, 10)  # crops a video, as the field makes them: the middle, with corners, and all of these mirrored


def crop_axis(shapes: Sequence[tuple[int, ...]]) -> int:
    """0 or 1: where the crops lie in arrays of three axes. Videos differ in length; crops are as many in each.

    Where both axes are the same throughout (features resampled to one length), the one with as many places as the
    field has crops; 1 where that says nothing.
    """
    sides = [[shape[axis] for shape in shapes] for axis in (0, 1)]
    same = [len(set(side)) == 1 for side in sides]
    if same[0] != same[1]:
        return 0 if same[0] else 1
    usual = [sum(count in _USUAL for count in side) for side in sides]
    return 0 if usual[0] > usual[1] else 1


def crop_axis_of(files: Iterable[Path]) -> int:
    """`crop_axis` of files by their headers; those of two axes, or that cannot be read, say nothing."""
    shapes = []
    for file in files:
        try:
            shape = open_npy(file).shape
        except InputError:  # told when the video is looked at
            continue
        if len(shape) == 3:
            shapes.append(shape)
    return crop_axis(shapes)
