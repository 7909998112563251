"""What the decoder knows of motion: the vectors by which a frame's blocks were predicted, as velocities on a grid.

A vector leads from a block to where the reference frame shows it. The decoder says whether that frame is shown before
or after, not which one it is. Rule: it is the nearest one on that side, of those that were decoded by then and that
others may refer to. So a vector to a frame further off reads too fast, in proportion.

Not known, and NaN: a block predicted from its own picture (all of a key frame), one that touches what is hidden, and
every block of an interlaced frame, of MPEG-4's B-frames (in direct mode FFmpeg gives 0), or of frames whose order
cannot be told: AVI and bare streams with B-frames, whose packets bear no time of presentation. FFmpeg gives vectors of
H.264, MPEG-1, -2 and -4, H.263 and its kin (FLV, WMV, MS-MPEG4), none of HEVC, VP8, VP9, AV1 and MJPEG.
"""

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from refinevad.video.upright import Orientation, orientation

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_UNIT = 8  # pixels of a side of the blocks that all others are made of
_REMEMBERED = 32  # references: no codec keeps more
_LEAST_S = 1e-3
_UNORDERED = frozenset({"avi", "h264", "m4v", "mpegvideo"})  # formats whose packets are stamped in the decoder's order
_SLICES = range(1, 6)  # H.264's NAL units that hold a picture

Moved = Float[np.ndarray, "row column 2"]
Size = tuple[int, int]


class Apart(NamedTuple):
    """Seconds from a frame to its nearest references; None: there is none."""

    before: float | None
    after: float | None


class References:
    """Has a stream's decoder give vectors, and tells each frame how far its references are; before the first packet."""

    def __init__(self, stream: "VideoStream", rate_hz: float) -> None:
        from av.codec.context import Flags, Flags2

        context = stream.codec_context
        context.flags2 |= Flags2.export_mvs
        context.flags |= Flags.copy_opaque
        self._context, self._nominal_s = context, 1.0 / rate_hz
        self._h264 = context.name == "h264"
        self._stamps: deque[int] = deque(maxlen=_REMEMBERED)
        self._unordered = bool(_UNORDERED & set(stream.container.format.name.split(",")))

    def note(self, packet: "Packet[Any]") -> None:
        """Take a packet that is about to be decoded, in the decoder's order; the frame will bear what is found."""
        stamp, base = packet.pts, packet.time_base
        if not packet.size or (self._unordered and self._context.has_b_frames):
            return
        if stamp is None or base is None:
            packet.opaque = Apart(None if self._context.has_b_frames else self._nominal_s, None)
            return
        if packet.is_keyframe and any(one > stamp for one in self._stamps):
            self._stamps.clear()  # stamps begin anew
        before = max((one for one in self._stamps if one < stamp), default=None)
        after = min((one for one in self._stamps if one > stamp), default=None)
        tick_s = base.numerator / base.denominator
        if after is not None and self._context.name == "mpeg4":
            return
        packet.opaque = Apart(
            None if before is None else (stamp - before) * tick_s, None if after is None else (after - stamp) * tick_s
        )
        if is_reference(packet, self._context.extradata) if self._h264 else after is None:
            self._stamps.append(stamp)


def is_reference(packet: "Packet[Any]", extradata: bytes | None) -> bool:
    """Whether others may refer to an H.264 packet's picture: nal_ref_idc of its first slice."""
    data = memoryview(packet)
    if extradata and extradata[0] == 1:  # as MP4 has it: each unit behind its length
        bytes_of_length, at = (extradata[4] & 3) + 1, 0
        while at + bytes_of_length < len(data):
            head = data[at + bytes_of_length]
            if head & 31 in _SLICES:
                return head & 96 != 0
            at += bytes_of_length + int.from_bytes(data[at : at + bytes_of_length], "big")
        return True
    content, at = bytes(data), -1
    while 0 <= (at := content.find(b"\0\0\1", at + 1)) < len(content) - 3:
        if content[at + 3] & 31 in _SLICES:
            return content[at + 3] & 96 != 0
    return True


def cells(size: Size, long_side: int) -> tuple[int, int]:
    """Rows and columns of a grid with about so many along the long side of a picture of (height, width); 4 at least."""
    height, width = size
    scale = long_side / max(height, width)
    return max(4, round(height * scale)), max(4, round(width * scale))


def moved(frame: "VideoFrame", size: Size, grid: Size, hidden: Bool[np.ndarray, "height width"] | None) -> Moved:
    """Velocity in each cell of a frame's upright picture, x to the right and y down; NaN where it is not known.

    Args:
        size: (height, width) of the upright picture in whose pixels a second velocities are told.
        grid: rows and columns.
        hidden: pixels of that picture that do not count.
    """
    data: Any = frame.side_data.get("MOTION_VECTORS")
    apart = frame.opaque
    if data is None or not isinstance(apart, Apart) or frame.interlaced_frame:
        return np.full((*grid, 2), np.nan, np.float32)
    shown = orientation(frame)
    coded = (frame.height, frame.width)
    stored = None if hidden is None else _as_stored(hidden, shown)
    x, y, known = in_units(data.to_ndarray(), apart, coded, stored)
    height, width = size[::-1] if shown.swapped else size
    x, y = x * (width / coded[1]), y * (height / coded[0])
    if shown.swapped:
        x, y = y, x
    if shown.mirrored_x:
        x = -x
    if shown.mirrored_y:
        y = -y
    return _on_grid(np.stack([shown.apply(each) for each in (x, y, known)], axis=-1), grid)


def in_units(
    vectors: Shaped[np.ndarray, "vector"],
    apart: Apart,
    size: Size,
    hidden: Bool[np.ndarray, "hidden_height hidden_width"] | None = None,
) -> tuple[Float[np.ndarray, "row column"], ...]:
    """Sum of velocities (x, y: pixels a second) and share known (0 or 1) of every 8 x 8 pixels; 0 where not known.

    Args:
        vectors: as FFmpeg gives them; several of one block (forwards and backwards) are averaged.
        size: (height, width) of the frame.
    """
    rows, columns = (-(-side // _UNIT) for side in size)
    forward = vectors["source"] < 0
    per_s = np.where(forward, -1 / _seconds(apart.before), 1 / _seconds(apart.after)) / vectors["motion_scale"]
    width, height = vectors["w"].astype(int), vectors["h"].astype(int)
    left, top = vectors["dst_x"] - width // 2, vectors["dst_y"] - height // 2
    kept = np.isfinite(per_s)
    if hidden is not None:
        kept &= ~_touches(hidden, size, left, top, width, height)
    x, y = vectors["motion_x"] * per_s, vectors["motion_y"] * per_s
    places, which = [], []
    for down in range(0, int(height.max(initial=0)), _UNIT):
        for right in range(0, int(width.max(initial=0)), _UNIT):
            row, column = (top + down) // _UNIT, (left + right) // _UNIT
            inside = kept & (down < height) & (right < width)
            inside &= (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
            found = np.flatnonzero(inside)
            places.append(row[found] * columns + column[found])
            which.append(found)
    if not places:
        return tuple(np.zeros((3, rows, columns)))
    place, vector = np.concatenate(places), np.concatenate(which)
    count = np.bincount(place, minlength=rows * columns).reshape(rows, columns)
    sums = (np.bincount(place, each[vector], rows * columns).reshape(rows, columns) for each in (x, y))
    return (*(each / np.maximum(count, 1) for each in sums), np.minimum(count, 1).astype(float))


def _seconds(apart_s: float | None) -> float:
    return np.nan if apart_s is None else max(apart_s, _LEAST_S)


def _touches(
    hidden: Bool[np.ndarray, "height width"],
    size: Size,
    left: Shaped[np.ndarray, "vector"],
    top: Shaped[np.ndarray, "vector"],
    width: Shaped[np.ndarray, "vector"],
    height: Shaped[np.ndarray, "vector"],
) -> Bool[np.ndarray, "vector"]:
    """Whether each block reaches into what is hidden: sums over rectangles of an integral picture."""
    import cv2

    sums = cv2.integral(hidden.astype(np.uint8))
    down, right = hidden.shape[0] / size[0], hidden.shape[1] / size[1]
    first_row, first_column = (
        np.clip(np.floor(each * scale).astype(int), 0, most)
        for each, scale, most in ((top, down, hidden.shape[0]), (left, right, hidden.shape[1]))
    )
    last_row, last_column = (
        np.clip(np.ceil(each * scale).astype(int), 0, most)
        for each, scale, most in ((top + height, down, hidden.shape[0]), (left + width, right, hidden.shape[1]))
    )
    within = sums[last_row, last_column] - sums[first_row, last_column]
    return np.asarray(within - sums[last_row, first_column] + sums[first_row, first_column] > 0)


def _on_grid(units: Float[np.ndarray, "unit_row unit_column 3"], grid: Size) -> Moved:
    """Mean over what is known of each cell; NaN where nothing is."""
    import cv2

    weighted = units.astype(np.float32)
    weighted[..., :2] *= weighted[..., 2:]
    coarse = cv2.resize(weighted, grid[::-1], interpolation=cv2.INTER_AREA)
    known = coarse[..., 2:]
    return np.asarray(np.where(known > 0, coarse[..., :2] / np.where(known > 0, known, 1), np.float32(np.nan)))


def _as_stored(upright: Bool[np.ndarray, "_ _"], shown: Orientation) -> Bool[np.ndarray, "_ _"]:
    """The picture that `shown` brings upright."""
    if shown.mirrored_y:
        upright = upright[::-1]
    if shown.mirrored_x:
        upright = upright[:, ::-1]
    return np.ascontiguousarray(upright.swapaxes(0, 1) if shown.swapped else upright)
