"""Motion by the vectors that the decoder has anyway, in place of optical flow: the motion parts of `lite`, no network.

Of each pair of grey frames the later one's vectors count (video/vectors.py). An encoder takes whichever vector costs
it the fewest bits, and in a flat or noisy place that is any. So a cell moves only as far as its grey levels changed:
not at all below 5 of them, wholly from 15 on; and a median over 3 x 3 cells takes off what stands alone. Rules for what
is not known:

- A cell without a vector takes the mean of what is known within two cells of it, else the median of the picture.
- A pair whose later frame has none (a key frame) is left out of the statistics; for the next pair's acceleration it
  moves as the pair before did. It is so where less than a tenth of the picture is known.
- A segment in which no pair has any goes by optical flow, as `lite` does: codecs that have no vectors (HEVC, VP9, AV1,
  MJPEG), pictures handed over by a program.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Bool, Float

from refinevad.encoders import motion
from refinevad.encoders.base import Clip, Encoder, EncoderIdentity, FrameNeeds
from refinevad.encoders.lite import GRAY_HZ, GRAY_LONG_SIDE
from refinevad.encoders.motion_descriptors import DESCRIPTORS, GRID_LONG_SIDE, UNIT_LONG_SIDE, UNIT_S, FlowFields

_LEAST_KNOWN = 0.1  # of the cells that count
_REACH = 5  # cells along a side of the window that fills a gap
_STILL, _CHANGED = 5.0, 15.0  # mean step of a cell's grey levels
_FASTEST = UNIT_LONG_SIDE  # in speed units: a picture's length in a unit of time is no motion
_VERSION = 1  # raise it when a segment's vector changes


class VectorEncoder(Encoder):
    """Motion of one segment, by its frames' motion vectors."""

    name = "vectors"
    portable = True

    def __init__(self) -> None:
        ends = (0, DESCRIPTORS, 2 * DESCRIPTORS, motion.DIM, motion.DIM + 1)
        names = ("motion_mean", "motion_deviation", "motion_peak", "frame_difference")
        self.parts = dict(zip(names, pairwise(ends), strict=True))
        self.dim = ends[-1]
        self.needs = FrameNeeds(
            rgb_frames=0, gray_long_side=GRAY_LONG_SIDE, gray_hz=GRAY_HZ, vector_cells=GRID_LONG_SIDE
        )

    @cached_property
    def identity(self) -> EncoderIdentity:
        preprocessing = {
            "version": _VERSION,
            "gray_long_side": GRAY_LONG_SIDE,
            "gray_hz": GRAY_HZ,
            "vector_cells": GRID_LONG_SIDE,
            "parts": {name: list(span) for name, span in self.parts.items()},
        }
        return EncoderIdentity(self.name, "0" * 64, preprocessing)  # it has no weights

    def encode(self, clips: Sequence[Clip]) -> Float[np.ndarray, "segment channel"]:
        """One float32 vector a clip; parts lie where `parts` says."""
        segments = [as_segment(clip) for clip in clips]
        differences = [motion.frame_difference(one.gray, one.times, one.cuts) for one in segments]
        moving = motion.motion_of(segments)
        return np.concatenate([moving, np.array(differences, np.float32).reshape(-1, 1)], axis=1)


def as_segment(clip: Clip) -> motion.GraySegment:
    """A clip as its motion is told of: by vectors where a usable pair has some, else by flow."""
    plain = motion.GraySegment(clip.gray, clip.gray_times, motion.find_cuts(clip.gray), clip.hidden)
    if clip.moved is None or len(clip.gray) < 2:
        return plain
    with_vectors = VectorSegment(clip.gray, clip.gray_times, plain.cuts, clip.hidden, moved=clip.moved[1:])
    return with_vectors if with_vectors.usable.any() else plain


@dataclass(frozen=True)
class VectorSegment(motion.GraySegment):
    """One segment's grey frames with the velocity at the later one of each pair.

    Attributes:
        moved: grey pixels a second; NaN where it is not known.
    """

    moved: Float[np.ndarray, "pair row column 2"] = field(kw_only=True)

    @cached_property
    def known(self) -> Bool[np.ndarray, "pair row column"]:
        return np.asarray(np.isfinite(self.moved).all(axis=-1) & self._counting)

    @cached_property
    def _counting(self) -> Bool[np.ndarray, "row column"]:
        if self.hidden is None:
            return np.ones(self.moved.shape[1:3], dtype=bool)
        return motion.mostly_seen(motion.share_seen(self.hidden))

    @cached_property
    def told(self) -> Bool[np.ndarray, "pair"]:
        """Pairs of which enough is known."""
        return np.asarray(self.known.sum(axis=(1, 2)) >= _LEAST_KNOWN * self._counting.sum())

    @property
    def usable(self) -> Bool[np.ndarray, "pair"]:
        """As of any segment, without those of which too little is known."""
        return np.asarray(super().usable & self.told)

    def flow(self) -> FlowFields:
        """Velocities in place of the flow, less the median of what is known; pairs that are not told hold the last."""
        unit = UNIT_LONG_SIDE / max(self.gray.shape[1:]) * UNIT_S
        fields = np.clip(self.moved * np.float32(unit), -_FASTEST, _FASTEST)
        fields -= _medians(fields, self.known)
        for pair in np.flatnonzero(self.told & ~self.known.all(axis=(1, 2))):
            fields[pair] = _filled(fields[pair], self.known[pair])
        told = np.flatnonzero(self.told)
        for pair in np.flatnonzero(~self.told):
            before = told[told < pair]
            fields[pair] = fields[before[-1] if len(before) else told[0]]
        fields *= self._changed()[..., None]
        if self.hidden is not None:
            fields *= motion.share_seen(self.hidden)[..., None]
        # two channels at once, each by itself
        smooth = np.stack([cv2.medianBlur(field, 3) for field in fields])
        return FlowFields.of(*np.ascontiguousarray(smooth.transpose(3, 0, 1, 2)))

    def _changed(self) -> Float[np.ndarray, "pair row column"]:
        """How far each cell's pixels changed from one grey frame to the next: 0 not at all, 1 enough to have moved."""
        size = self.moved.shape[2:0:-1]
        steps = (cv2.absdiff(before, now).astype(np.float32) for before, now in pairwise(self.gray))
        coarse = np.stack([cv2.resize(step, size, interpolation=cv2.INTER_AREA) for step in steps])
        return np.asarray(np.clip((coarse - _STILL) / (_CHANGED - _STILL), 0, 1), dtype=np.float32)


def _medians(
    fields: Float[np.ndarray, "pair row column 2"], known: Bool[np.ndarray, "pair row column"]
) -> Float[np.ndarray, "pair 1 1 2"]:
    """Median of what is known of each field, of both components; of an even number the mean of the middle two."""
    cells = np.where(known[..., None], fields, np.float32(np.inf)).reshape(len(fields), -1, 2)
    ordered, count = np.sort(cells, axis=1), np.maximum(known.sum(axis=(1, 2)), 1)
    pairs = np.arange(len(fields))
    middle = (ordered[pairs, (count - 1) // 2] + ordered[pairs, count // 2]) / np.float32(2)
    return np.asarray(np.where(np.isfinite(middle), middle, np.float32(0))[:, None, None])


def _filled(
    values: Float[np.ndarray, "row column 2"], known: Bool[np.ndarray, "row column"]
) -> Float[np.ndarray, "row column 2"]:
    """Gaps take the mean of what is known in the window around them; 0 where nothing is."""
    if known.all():
        return values
    weight = known.astype(np.float32)
    kept = np.where(known[..., None], values, np.float32(0))
    sums, weights = (cv2.blur(each, (_REACH, _REACH), borderType=cv2.BORDER_CONSTANT) for each in (kept, weight))
    around = sums / np.maximum(weights, 1e-6)[..., None] * (weights > 1e-6)[..., None]
    return np.where(known[..., None], values, around).astype(np.float32)
