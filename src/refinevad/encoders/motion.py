"""Motion of one segment from its grey frames: how things move, whatever the camera shows.

Every pair of neighbouring frames gives one number a descriptor (`motion_descriptors.py`); a segment keeps each one's
mean, its standard deviation over the pairs, and the mean of its largest fifth.

Source of the flow: dense inverse search, Kroeger et al., ECCV 2016.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from refinevad.encoders.motion_descriptors import (
    DESCRIPTORS,
    UNIT_LONG_SIDE,
    UNIT_S,
    FlowFields,
    Pairs,
    describe,
    grid,
    medians,
    on_grid,
)

STATISTICS = ("mean", "deviation", "largest fifth")
DIM = DESCRIPTORS * len(STATISTICS)

cv2.setNumThreads(1)  # segments go to threads; to share out one small picture's rows takes longer than it saves

_MIN_SIDE = 16  # the flow's patches do not fit a smaller picture
_CUT_FLOOR, _CUT_RATIO, _CUT_RUNNER_UP = 4.0, 3.0, 2.0

Series = Float[np.ndarray, "pair"]


@dataclass(frozen=True)
class GraySegment:
    """One segment's grey frames.

    Attributes:
        gray: luma, 0 to 255.
        times: presentation second of each frame, rising.
        cuts: what `find_cuts` says of them.
        hidden: pixels that do not count: nothing moves there. None: all count.
    """

    gray: UInt8[np.ndarray, "frame height width"]
    times: Float[np.ndarray, "frame"]
    cuts: Bool[np.ndarray, "pair"]
    hidden: Bool[np.ndarray, "height width"] | None = None

    @property
    def usable(self) -> Bool[np.ndarray, "pair"]:
        """Pairs that say something of motion: none in too small a picture or across a cut."""
        if len(self.gray) < 2 or min(self.gray.shape[1:]) < _MIN_SIDE:
            return np.zeros(max(len(self.gray) - 1, 0), dtype=bool)
        usable = ~touched_by_cut(self.cuts)
        if usable[1:].any():
            usable[0] = False  # nothing precedes the first pair: it has no acceleration
        return usable

    def flow(self) -> FlowFields:
        """Flow of each pair on the coarse grid, in speed units."""
        return flow_fields(self.gray, self.times, self.hidden)


def motion_of(segments: Sequence[GraySegment]) -> Float[np.ndarray, "segment channel"]:
    """Describe segments: `DIM` channels each, all zero when there are fewer than two frames or only a cut.

    A segment's numbers do not depend on the others, to the bit.
    """
    values = np.zeros((len(segments), DIM), dtype=np.float32)
    moving = [place for place, segment in enumerate(segments) if segment.usable.any()]
    sizes = {segments[place].gray.shape[1:] for place in moving}
    for size in sizes:  # one, but for streams that change it
        places = [place for place in moving if segments[place].gray.shape[1:] == size]
        pairs = [pairs_of(segments[place]) for place in places]
        ends = np.cumsum([len(one.steps) for one in pairs])[:-1]
        for place, series in zip(places, np.split(describe(Pairs.joined(pairs)), ends), strict=True):
            values[place] = summarise(series[segments[place].usable])
    return values


def frame_difference(
    gray: UInt8[np.ndarray, "frame height width"],
    times: Float[np.ndarray, "frame"],
    cuts: Bool[np.ndarray, "pair"] | None = None,
) -> float:
    """Mean absolute grey difference of neighbouring frames, in grey levels per 1/25 s; 0.0 with one frame.

    Pairs across a cut (`cuts`: what `find_cuts` says) are left out. The plainest measure of motion, kept as a control.
    """
    if len(gray) < 2:
        return 0.0
    usable = ~(find_cuts(gray) if cuts is None else cuts)
    steps = np.diff(times) / UNIT_S
    values = _mean_difference(gray) / np.maximum(steps, 1e-3)
    return float(values[usable].mean()) if usable.any() else 0.0


def summarise(series: Float[np.ndarray, "pair descriptor"]) -> Float[np.ndarray, "channel"]:
    """Mean, deviation and mean of the largest fifth over pairs, in that order."""
    fifth = max(1, len(series) // 5)
    parts = (series.mean(axis=0), series.std(axis=0), np.sort(series, axis=0)[-fifth:].mean(axis=0))
    return np.asarray(np.nan_to_num(np.concatenate(parts)), dtype=np.float32)


def find_cuts(gray: UInt8[np.ndarray, "frame height width"]) -> Bool[np.ndarray, "pair"]:
    """True for a pair of frames between which the shot changes: its difference towers above the other pairs'."""
    difference = _mean_difference(gray)
    cuts = np.zeros(len(difference), dtype=bool)
    if len(difference) < 3:
        return cuts
    for pair in np.flatnonzero(difference > _CUT_FLOOR):  # few: a cut is above this whatever the others are
        value, others = difference[pair], np.delete(difference, pair)
        cuts[pair] = value > _CUT_FLOOR + _CUT_RATIO * np.median(others) and value > _CUT_RUNNER_UP * others.max()
    return cuts


def touched_by_cut(cuts: Bool[np.ndarray, "pair"]) -> Bool[np.ndarray, "pair"]:
    """Pairs that lie across a cut or whose acceleration does."""
    touched = cuts.copy()
    touched[1:] |= cuts[:-1]
    return touched


def pairs_of(segment: GraySegment) -> Pairs:
    """The pairs of neighbouring frames of one segment, which has two frames at least."""
    coarse = on_grid(segment.gray)
    steps = np.maximum(np.diff(segment.times) / UNIT_S, 1e-3)
    first = np.arange(len(steps)) == 0
    return Pairs(coarse[1:], coarse[:-1], steps, first, segment.flow())


def flow_fields(
    gray: UInt8[np.ndarray, "frame height width"],
    times: Float[np.ndarray, "frame"],
    hidden: Bool[np.ndarray, "height width"] | None = None,
) -> FlowFields:
    """Optical flow of each pair on the coarse grid; none where pixels are hidden, though motion beside them reaches in.

    The median of each field, over the cells that are seen, is taken off: a camera that pans moves everything alike.
    """
    seen = None if hidden is None else 1 - hidden.astype(np.float32)
    rows, columns = grid(gray.shape[1:])
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    scale = (UNIT_LONG_SIDE / max(gray.shape[1:]) * UNIT_S / np.maximum(np.diff(times), 1e-3)).astype(np.float32)
    coarse = np.empty((len(gray) - 1, rows, columns, 2), dtype=np.float32)
    for pair, (before, after) in enumerate(itertools.pairwise(gray)):
        flow = method.calc(before, after, None)
        if seen is not None:
            flow *= seen[..., None]
        cv2.resize(flow, (columns, rows), dst=coarse[pair], interpolation=cv2.INTER_AREA)
    x, y = coarse.transpose(3, 0, 1, 2) * scale[:, None, None]
    if hidden is None:
        return FlowFields.of(x - medians(x), y - medians(y))
    share = share_seen(hidden)
    inside = mostly_seen(share)
    return FlowFields.of(*(part - medians(part[:, inside][:, None]) * share for part in (x, y)))


def share_seen(hidden: Bool[np.ndarray, "height width"]) -> Float[np.ndarray, "row column"]:
    """Which share of each cell of the coarse grid counts."""
    rows, columns = grid(hidden.shape)
    return np.asarray(cv2.resize(1 - hidden.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA))


def mostly_seen(share: Float[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    """The cells that count for more than half; all where none does."""
    return share > 0.5 if (share > 0.5).any() else np.ones_like(share, dtype=bool)


def _mean_difference(gray: UInt8[np.ndarray, "frame height width"]) -> Series:
    pairs = itertools.pairwise(gray)
    return np.array([cv2.norm(a, b, cv2.NORM_L1) / a.size for a, b in pairs], dtype=np.float64)
