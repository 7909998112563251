"""A segment's pictures with some cells left out: nothing moves there, and an image network sees nothing there.

Grey frames, by which motion is followed, keep in such a cell what the first of them shows: grey as under a mask would
cut edges into the picture, and did worse at finding what is known (benchmarks/where.py). Colour frames are grey there.
The grid lies over the upright picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.masks import GREY

# Cells along the picture's long side, and how many are left out together each way: by one alone a person is hardly ever
# gone. Fewer and coarser where a network has to look at each picture.
FINE, COARSE = (10, 3), (6, 2)


@dataclass(frozen=True)
class CellGrid:
    """`rows` by `columns` equal cells over a picture, of which `side` by `side` are left out together."""

    rows: int
    columns: int
    side: int

    @classmethod
    def of(cls, clip: Clip, needs: FrameNeeds) -> "CellGrid | None":
        """For a segment's pictures; None where it has none."""
        shape = clip.gray.shape[1:] if clip.gray.size else clip.rgb.shape[1:3]
        if not clip.gray.size and not clip.rgb.size:
            return None
        high, wide = shape
        long_side, together = COARSE if needs.rgb_frames else FINE
        rows, columns = (max(together, round(long_side * side / max(shape))) for side in (high, wide))
        return cls(rows, columns, together)

    def windows(self) -> Iterator[Bool[np.ndarray, "row column"]]:
        """All windows of cells to be left out together, row by row from the upper left; each is one cell on."""
        for row in range(self.rows - self.side + 1):
            for column in range(self.columns - self.side + 1):
                window = np.zeros((self.rows, self.columns), dtype=bool)
                window[row : row + self.side, column : column + self.side] = True
                yield window

    def changes(self, clip: Clip) -> Float[np.ndarray, "row column"]:
        """Mean step from frame to frame in each cell, in grey levels; 1 everywhere where no frame follows another."""
        pictures = clip.gray if len(clip.gray) > 1 else clip.rgb.mean(axis=-1)
        if len(pictures) < 2:
            return np.ones((self.rows, self.columns))
        steps = np.abs(np.diff(pictures.astype(np.float64), axis=0)).mean(axis=0)
        row_of, column_of = self._cells_of(steps.shape[0], steps.shape[1])
        place = row_of[:, None] * self.columns + column_of[None, :]
        count = self.rows * self.columns
        total = np.bincount(place.ravel(), steps.ravel(), minlength=count)
        pixels = np.bincount(place.ravel(), minlength=count)
        return np.asarray((total / np.maximum(pixels, 1)).reshape(self.rows, self.columns))

    def pixels(self, cells: Bool[np.ndarray, "row column"], size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
        """Which pixels of a picture of (height, width) lie in the cells."""
        row_of, column_of = self._cells_of(*size)
        return np.asarray(cells[row_of[:, None], column_of[None, :]])

    def _cells_of(self, high: int, wide: int) -> tuple[Int[np.ndarray, "height"], Int[np.ndarray, "width"]]:
        """The row of cells of each row of pixels, and the column of each column."""
        return np.arange(high) * self.rows // high, np.arange(wide) * self.columns // wide


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
