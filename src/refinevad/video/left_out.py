"""A segment's pictures with some cells left out: nothing moves there, and an image network sees nothing there.

Grey frames, by which motion is followed, keep in such a cell what the first of them shows: grey as under a mask would
cut edges into the picture, and did worse at finding what is known (benchmarks/where.py). Colour frames are grey there.
The grid lies over the upright picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, UInt8

from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.masks import GREY

FINE, COARSE = 10, 6  # cells along the picture's long side; coarse where a network has to look at each picture
_LEAST = 3


@dataclass(frozen=True)
class CellGrid:
    """`rows` by `columns` equal cells over a picture."""

    rows: int
    columns: int

    @classmethod
    def of(cls, clip: Clip, needs: FrameNeeds) -> "CellGrid | None":
        """For a segment's pictures; None where it has none."""
        shape = clip.gray.shape[1:] if clip.gray.size else clip.rgb.shape[1:3]
        if not clip.gray.size and not clip.rgb.size:
            return None
        high, wide = shape
        long_side = COARSE if needs.rgb_frames else FINE
        rows, columns = (max(_LEAST, round(long_side * side / max(shape))) for side in (high, wide))
        return cls(rows, columns)

    def each(self) -> Iterator[Bool[np.ndarray, "row column"]]:
        """Every cell by itself, row by row from the upper left."""
        for place in range(self.rows * self.columns):
            one = np.zeros(self.rows * self.columns, dtype=bool)
            one[place] = True
            yield one.reshape(self.rows, self.columns)

    def pixels(self, cells: Bool[np.ndarray, "row column"], size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
        """Which pixels of a picture of (height, width) lie in the cells."""
        high, wide = size
        row_of = np.minimum(np.arange(high) * self.rows // high, self.rows - 1)
        column_of = np.minimum(np.arange(wide) * self.columns // wide, self.columns - 1)
        return cells[row_of[:, None], column_of[None, :]]


def leave_out(clip: Clip, grid: CellGrid, cells: Bool[np.ndarray, "row column"]) -> Clip:
    """The clip without these cells; what was hidden before stays so."""
    changed = clip
    if clip.rgb.size:
        rgb = clip.rgb.copy()
        rgb[:, grid.pixels(cells, _size(rgb))] = GREY
        changed = replace(changed, rgb=rgb)
    if clip.gray.size:
        gray, where = clip.gray.copy(), grid.pixels(cells, _size(clip.gray))
        gray[:, where] = gray[0, where]
        changed = replace(changed, gray=gray, hidden=where if clip.hidden is None else where | clip.hidden)
    return changed


def _size(pictures: UInt8[np.ndarray, "..."]) -> tuple[int, int]:
    return pictures.shape[1], pictures.shape[2]
