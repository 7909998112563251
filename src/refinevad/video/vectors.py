"""What the decoder knows of motion: the vectors by which a frame's blocks were predicted, as velocities on a grid.

A vector leads from a block to where the reference frame shows it. The decoder says whether that frame is shown before
or after, not which one it is. Rule: it is the nearest one on that side, of those that were decoded by then and that
others may refer to. So a vector to a frame further off reads too fast, in proportion.

Not known, and NaN: a block predicted from its own picture (all of a key frame), one that touches what is hidden, and
every block of an interlaced frame, of MPEG-4's B-frames (in direct mode FFmpeg gives 0), or of frames whose order
cannot be told: AVI and bare streams with B-frames, whose packets bear no time of presentation. FFmpeg gives vectors of
H.264, MPEG-1, -2 and -4, H.263 and its kin (FLV, WMV, MS-MPEG4), none of HEVC, VP8, VP9, AV1 and MJPEG.
"""

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped

from refinevad.video.upright import AS_STORED, Orientation, orientation

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
        self._stamps: list[int] = []  # of references, rising
        self._unordered = bool(_UNORDERED & set(stream.container.format.name.split(",")))

    def note(self, packet: "Packet[Any]") -> None:
        """Take a packet that is about to be decoded, in the decoder's order; the frame will bear what is found."""
        stamp, base = packet.pts, packet.time_base
        if not packet.size or (self._unordered and self._context.has_b_frames):
            return
        if stamp is None or base is None:
            packet.opaque = Apart(None if self._context.has_b_frames else self._nominal_s, None)
            return
        stamps = self._stamps
        place = bisect_left(stamps, stamp)
        if packet.is_keyframe and place < len(stamps):  # stamps begin anew
            stamps.clear()
            place = 0
        before = stamps[place - 1] if place else None
        after = next((one for one in stamps[place : place + 2] if one > stamp), None)
        tick_s = base.numerator / base.denominator
        if after is not None and self._context.name == "mpeg4":
            return
        packet.opaque = Apart(
            None if before is None else (stamp - before) * tick_s, None if after is None else (after - stamp) * tick_s
        )
        if is_reference(packet, self._context.extradata) if self._h264 else after is None:
            stamps.insert(place, stamp)
            if len(stamps) > _REMEMBERED:
                del stamps[0]


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
    units = np.stack([x, y, known], axis=-1, dtype=np.float32)
    return _on_grid(units if shown == AS_STORED else shown.apply(units), grid)


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
    backwards = vectors["source"] < 0
    per_s = np.where(backwards, -1 / _seconds(apart.before), 1 / _seconds(apart.after)) / vectors["motion_scale"]
    width, height = vectors["w"].astype(int), vectors["h"].astype(int)
    left, top = vectors["dst_x"] - width // 2, vectors["dst_y"] - height // 2
    column, row = left // _UNIT, top // _UNIT
    kept = np.isfinite(per_s) & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    if hidden is not None:
        kept &= ~_touches(hidden, size, left, top, width, height)
    kinds = (height > _UNIT) * 2 + (width > _UNIT)
    place = ((kinds * rows + row) * columns + column)[kept]
    weights = (None, (vectors["motion_x"] * per_s)[kept], (vectors["motion_y"] * per_s)[kept])
    count, *sums = (_spread(np.bincount(place, each, 4 * rows * columns).reshape(4, rows, columns)) for each in weights)
    return (*(each / np.maximum(count, 1) for each in sums), np.minimum(count, 1))


def _spread(corners: Shaped[np.ndarray, "4 row column"]) -> Float[np.ndarray, "row column"]:
    """Sums at the upper left units of blocks one unit large, two wide, two high and both -> in all of their units."""
    wide, high, both = corners[1:]
    total = corners.sum(axis=0, dtype=np.float64)
    total[:, 1:] += (wide + both)[:, :-1]
    total[1:] += (high + both)[:-1]
    total[1:, 1:] += both[:-1, :-1]
    return np.asarray(total)


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


def _on_grid(units: Float32[np.ndarray, "unit_row unit_column 3"], grid: Size) -> Moved:
    """Mean over what is known (the third channel) of each cell; NaN where nothing is."""
    import cv2

    coarse = cv2.resize(units, grid[::-1], interpolation=cv2.INTER_AREA)
    known = coarse[..., 2:]
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN
        return np.asarray(coarse[..., :2] / known)


def _as_stored(upright: Bool[np.ndarray, "_ _"], shown: Orientation) -> Bool[np.ndarray, "_ _"]:
    """The picture that `shown` brings upright."""
    if shown.mirrored_y:
        upright = upright[::-1]
    if shown.mirrored_x:
        upright = upright[:, ::-1]
    return np.ascontiguousarray(upright.swapaxes(0, 1) if shown.swapped else upright)
