"""A stored picture as players show it: turned and mirrored as the file's display matrix says."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class Orientation(NamedTuple):
    """What brings stored pixels upright: swap the axes, then mirror along x (columns), along y (rows)."""

    swapped: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    def apply(self, pixels: Shaped[np.ndarray, "_ _ *rest"]) -> Shaped[np.ndarray, "_ _ *rest"]:
        """Pixels, or what else lies so (height, width, ...), upright, in memory of their own order."""
        if self.swapped:
            pixels = pixels.swapaxes(0, 1)
        if self.mirrored_x:
            pixels = pixels[:, ::-1]
        if self.mirrored_y:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)


AS_STORED = Orientation()


def orientation(frame: "VideoFrame") -> Orientation:
    """Of a decoded frame; a matrix that turns by anything but quarters is taken for the nearest of them.

    The matrix maps a stored point to a shown one: x' = a x + c y, y' = b x + d y, both axes from the top left corner.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return AS_STORED
    a, b, _, c, d = np.frombuffer(bytes(data), "=i4")[:5].tolist()
    if max(abs(a), abs(d)) >= max(abs(b), abs(c)):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)
