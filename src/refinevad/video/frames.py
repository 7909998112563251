"""Pixels that travel with their time stamps: what an encoder asks of a segment, and what it gets."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from refinevad.errors import InputError
from refinevad.video.zones import Zones

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


@dataclass(frozen=True)
class FrameNeeds:
    """Which frames of a segment an encoder wants, so that nothing else is converted or scaled.

    Attributes:
        rgb_frames: colour frames a segment, evenly spaced in time.
        rgb_size: (width, height) they are scaled to while decoding; None keeps the source's size.
        gray_long_side: grey (luma) frames with this long side, aspect kept; None: no grey frames.
        gray_hz: about this many grey frames a second: every n-th, n nearest to the rate over gray_hz.
        vector_cells: motion vectors with each grey frame, on a grid with so many cells along its long side
            (vectors.py); None: none.
        zones: which parts of the picture count; what does not is grey in every frame (masks.py).
    """

    rgb_frames: int = 1
    rgb_size: tuple[int, int] | None = None
    gray_long_side: int | None = None
    gray_hz: float = 25.0
    vector_cells: int | None = None
    zones: Zones = field(default_factory=Zones)


@dataclass(frozen=True)
class Clip:
    """One segment's pixels with their presentation times.

    When `lead` is true, the first grey frame is the last one of the segment before, so that motion across the
    border is seen. `hidden`: which pixels of the grey frames do not count; None: all do. `moved`: by the decoder's
    motion vectors, velocity in grey pixels a second at each grey frame, NaN where it is not known (vectors.py); None:
    not asked for.
    """

    rgb: UInt8[np.ndarray, "rgb_frame height width 3"]
    rgb_times: Float[np.ndarray, "rgb_frame"]
    gray: UInt8[np.ndarray, "gray_frame gray_height gray_width"]
    gray_times: Float[np.ndarray, "gray_frame"]
    start_s: float
    end_s: float
    lead: bool
    hidden: Bool[np.ndarray, "gray_height gray_width"] | None = None
    moved: Float[np.ndarray, "gray_frame row column 2"] | None = None


def as_video_frame(image: Any) -> "VideoFrame":
    """A picture as the chain takes it, from PyAV's own or from RGB (UInt8[np.ndarray, "height width 3"]).

    Raises:
        InputError: it is neither.
    """
    from av.video.frame import VideoFrame

    if isinstance(image, VideoFrame):
        return image
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        found = f"shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"a frame is an RGB array of shape (height, width, 3): got {found}")
    if image.dtype != np.uint8:
        raise InputError(f"a frame's pixels are of uint8, 0 to 255: got {image.dtype}")
    return VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
