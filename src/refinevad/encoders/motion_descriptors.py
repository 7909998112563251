"""What one pair of grey frames says of motion: 59 numbers from its flow on a coarse grid.

What tells a fight from a walk on cameras never seen is the incoherence of motion inside small windows and how much
everything changes from pair to pair, more than the amount of motion (benchmarks/lite_parts.py). So most descriptors are
logarithms or ratios, in which distance, contrast and noise cancel.

Sources: motion boundaries, Dalal et al., ECCV 2006; change of flow magnitude, Hassner et al., "Violent flows", CVPRW
2012. The rest are plain moments of the flow field. The pairs of several segments go through each step together, a field
of one component of all pairs lying in one piece: on such small pictures a call costs more than what it computes.
tests/reference_motion.py says the same pair by pair and plainly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from refinevad.video.vectors import cells

# One unit of speed is one pixel of a picture 160 pixels long in 1/25 s, so 15 and 30 frames a second agree.
UNIT_LONG_SIDE = 160.0
UNIT_S = 0.04
GRID_LONG_SIDE = 40  # cells along the picture's long side on which the flow is described
DESCRIPTORS = 59  # numbers a pair
_MOST_CHANNELS = 96  # OpenCV takes 128

Fields = Float[np.ndarray, "pair row column"]
Series = Float[np.ndarray, "pair"]


@dataclass(frozen=True)
class Pairs:
    """Neighbouring frames of one or several segments, in their order.

    Attributes:
        now, last: both frames of each pair on the coarse grid, grey levels.
        steps: from one to the other, in 1/25 s.
        first: pairs with none of their own segment before them.
        flow: from `last` to `now`.
    """

    now: Fields
    last: Fields
    steps: Series
    first: Bool[np.ndarray, "pair"]
    flow: "FlowFields"

    @staticmethod
    def joined(segments: "Sequence[Pairs]") -> "Pairs":
        """The pairs of segments with pictures of one size."""
        now, last, steps, first = (
            np.concatenate([getattr(segment, name) for segment in segments])
            for name in ("now", "last", "steps", "first")
        )
        return Pairs(now, last, steps, first, FlowFields.joined([segment.flow for segment in segments]))


@dataclass(frozen=True)
class FlowFields:
    """Flow of each pair on the coarse grid in speed units: `x` to the right, `y` down, `speed` their length."""

    x: Fields
    y: Fields
    speed: Fields

    @staticmethod
    def of(x: Fields, y: Fields) -> "FlowFields":
        return FlowFields(x, y, length(x, y))

    @staticmethod
    def joined(fields: "Sequence[FlowFields]") -> "FlowFields":
        x, y, speed = (np.concatenate([getattr(one, name) for one in fields]) for name in ("x", "y", "speed"))
        return FlowFields(x, y, speed)

    def smoothed(self, side: int) -> "tuple[FlowFields, Fields]":
        """Mean flow over windows of side x side cells, and mean speed over the same windows."""
        together = np.concatenate([self.x, self.y, self.speed])
        blurred = np.empty_like(together)
        for start in range(0, len(together), _MOST_CHANNELS):
            part = slice(start, start + _MOST_CHANNELS)
            # fields as channels: one call blurs them all, each by itself
            picture = cv2.blur(np.ascontiguousarray(together[part].transpose(1, 2, 0)), (side, side))
            blurred[part] = picture.reshape(*together.shape[1:], -1).transpose(2, 0, 1)
        x, y, speed = blurred.reshape(3, *self.x.shape)
        return FlowFields.of(x, y), speed


def grid(size: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the coarse grid for a picture of (height, width)."""
    height, width = size
    return cells((height, width), GRID_LONG_SIDE)


def on_grid(gray: UInt8[np.ndarray, "frame height width"]) -> Fields:
    """Each frame's mean grey level in every cell."""
    rows, columns = grid(gray.shape[1:])
    coarse = np.empty((len(gray), rows, columns), np.float32)
    for frame, picture in zip(coarse, gray, strict=True):
        frame[:] = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return coarse


def describe(pairs: Pairs) -> Float[np.ndarray, "pair descriptor"]:
    """Every descriptor of every pair, group by group; a segment's first pair has changes in time of 0."""
    flow = pairs.flow
    near, near_speed = flow.smoothed(3)
    wide, wide_speed = flow.smoothed(5)
    groups = (
        _picture_change(pairs),
        _amount(flow.speed),
        _concentration(flow.speed),
        _acceleration(flow, near, pairs.first),
        _boundaries(flow),
        _incoherence(near, near_speed),
        _incoherence(wide, wide_speed),
        [_log(wide_speed.max(axis=(1, 2)), 0.05)],
        _direction(flow),
        _moving_region(flow.speed),
    )
    return np.stack([series for group in groups for series in group], axis=1).astype(np.float64)


def _picture_change(pairs: Pairs) -> list[Series]:
    """Grey differences over one and two steps and the second difference: amounts, and their ratios."""
    now, last, steps = pairs.now, pairs.last, pairs.steps
    earlier = np.concatenate([last[:1], last[:-1]])  # two frames before `now`, but for first pairs
    once = np.abs(now - last)
    amount = _mean(once)
    amount_twice, amount_second = _mean(np.abs(now - earlier)), _mean(np.abs(now - 2 * last + earlier))
    amount_twice[pairs.first] = amount_second[pairs.first] = 0
    contrast = now.std(axis=(1, 2))
    return [
        _log(amount / steps, 0.25),
        *(_log(values / steps, 0.5) for values in _quantiles(once, (0.5, 0.9, 0.97, 0.995))),
        np.log((amount + 0.3) / (amount_twice + 0.3)),
        _log(amount_second, 0.5),
        np.log((amount_second + 0.3) / (amount_twice + 0.3)),
        np.log((amount + 0.3) / (contrast + 5.0)),
    ]


def _amount(speed: Fields) -> list[Series]:
    """How fast and how much of the picture moves."""
    fractions = (np.sqrt((speed > level).mean(axis=(1, 2))) for level in (0.3, 0.7, 1.5))
    quantiles = _quantiles(speed, (0.5, 0.75, 0.9, 0.97, 0.995))
    return [_log(_mean(speed), 0.05), *(_log(values, 0.1) for values in quantiles), *fractions]


def _concentration(speed: Fields) -> list[Series]:
    """Whether motion sits in a few windows of the picture (10 along its long side) or everywhere."""
    rows, columns = speed.shape[1] // 4, speed.shape[2] // 4
    size = (max(columns, 1), max(rows, 1))
    windows = np.stack([cv2.resize(field, size, interpolation=cv2.INTER_AREA) for field in speed])
    ranked = -np.sort(-windows.reshape(len(speed), -1), axis=1)
    total = ranked.sum(axis=1) + 0.05
    share = (ranked + 0.005) / (ranked + 0.005).sum(axis=1, keepdims=True)
    return [
        _log(ranked[:, 0], 0.05),
        _log(ranked[:, :3].mean(axis=1), 0.05),
        _log(ranked[:, :8].mean(axis=1), 0.05),
        ranked[:, 0] / total,
        ranked[:, :5].sum(axis=1) / total,
        -(share * np.log(share)).sum(axis=1),
    ]


def _acceleration(flow: FlowFields, near: FlowFields, first: Bool[np.ndarray, "pair"]) -> list[Series]:
    """Change of the flow from one pair to the next, raw and smoothed over 3 x 3 cells, and reversals."""
    change, near_change = _step(flow, first), _step(near, first)
    along, both = np.zeros_like(flow.speed), np.zeros_like(flow.speed)
    along[1:] = near.x[1:] * near.x[:-1] + near.y[1:] * near.y[:-1]
    both[1:] = near.speed[1:] * near.speed[:-1]
    along[first] = both[first] = 0
    weight = both.sum(axis=(1, 2)) + 0.25
    amount, near_amount = _mean(change), _mean(near_change)
    return [
        _log(amount, 0.05),
        *(_log(values, 0.1) for values in _quantiles(change, (0.9, 0.97, 0.995))),
        amount / (_with_previous(_mean(flow.speed), first) + 0.05),
        _log(near_amount, 0.05),
        *(_log(values, 0.1) for values in _quantiles(near_change, (0.97, 0.995))),
        near_amount / (_with_previous(_mean(near.speed), first) + 0.05),
        np.maximum(-along, 0).sum(axis=(1, 2)) / weight,
        along.sum(axis=(1, 2)) / weight,
    ]


def _boundaries(flow: FlowFields) -> list[Series]:
    """Spatial derivatives of the flow: size, quantiles, share of the speed, rotation and expansion."""
    x_by_row, y_by_row = _by_row(flow.x), _by_row(flow.y)
    x_by_column, y_by_column = (_by_row(field.swapaxes(1, 2)).swapaxes(1, 2) for field in (flow.x, flow.y))
    size = np.sqrt(x_by_row**2 + x_by_column**2 + y_by_row**2 + y_by_column**2)
    amount = _mean(size)
    return [
        _log(amount, 0.02),
        *(_log(values, 0.05) for values in _quantiles(size, (0.9, 0.97, 0.995))),
        amount / (_mean(flow.speed) + 0.05),
        _log(_mean(np.abs(y_by_column - x_by_row)), 0.02),
        _log(_mean(np.abs(x_by_column + y_by_row)), 0.02),
    ]


def _incoherence(mean_flow: FlowFields, mean_speed: Fields) -> list[Series]:
    """Mean speed less speed of the mean flow in a window: 0 for rigid motion, large where limbs fly apart."""
    apart = mean_speed - mean_flow.speed
    return [
        mean_flow.speed.sum(axis=(1, 2)) / (mean_speed.sum(axis=(1, 2)) + 1e-3 * apart[0].size),
        _log(_mean(apart), 0.02),
        *(_log(values, 0.05) for values in _quantiles(apart, (0.97, 0.995))),
    ]


def _direction(flow: FlowFields) -> list[Series]:
    """Histogram of directions weighted by speed (entropy, largest bin), vertical share, downward share.

    Bins of 45 degrees, cut towards 0: the first spans both sides of straight right, the one opposite is straight left.
    """
    pairs, cells = len(flow.x), flow.x[0].size
    bins = _octants(flow.x, flow.y) + 8 * np.arange(pairs)[:, None, None]
    weights = np.bincount(bins.ravel(), flow.speed.ravel(), minlength=8 * pairs).reshape(pairs, 8) + 0.01 * cells / 8
    share = weights / weights.sum(axis=1, keepdims=True)
    horizontal, vertical = _mean(np.abs(flow.x)), _mean(np.abs(flow.y))
    return [
        -(share * np.log(share)).sum(axis=1),
        share.max(axis=1),
        np.log((vertical + 0.05) / (horizontal + 0.05)),
        _mean(np.maximum(flow.y, 0)) / (_mean(flow.speed) + 0.05),
    ]


def _octants(x: Fields, y: Fields) -> np.ndarray:
    """The bin of each direction: its angle over 45 degrees, cut towards 0, modulo 8."""
    # how often it has turned past right, diagonal, up or down, diagonal and left; down and up alike, then mirrored
    height, down = np.abs(y), y > 0
    turned = (height >= x).astype(np.int8)
    turned += x <= 0
    turned += height <= -x
    turned += (x < 0) & (height == 0)
    turned[(x == 0) & (height == 0)] = 0
    return np.asarray(np.where(down, turned, -turned) % 8)


def _moving_region(speed: Fields) -> list[Series]:
    """Spread, area and speed of the region that moves at least a quarter as fast as the fastest part."""
    fastest = _quantiles(speed, (0.995,))[0]
    moving = speed > np.maximum(0.5, 0.25 * fastest)[:, None, None]
    cells = moving.sum(axis=(1, 2)) + 1e-3
    row, column = np.mgrid[: speed.shape[1], : speed.shape[2]].astype(np.float32)
    middle_row, middle_column = ((moving * axis).sum(axis=(1, 2)) / cells for axis in (row, column))
    squared = (row - middle_row[:, None, None]) ** 2 + (column - middle_column[:, None, None]) ** 2
    region_speed = (speed * moving).sum(axis=(1, 2)) / cells
    return [
        np.sqrt((moving * squared).sum(axis=(1, 2)) / cells) / speed.shape[2],
        np.sqrt(cells / speed[0].size),
        _log(region_speed, 0.1),
        np.log((region_speed + 0.1) / (2 * np.sqrt(cells) + 2.0)),
    ]


def length(x: Fields, y: Fields) -> Fields:
    """Length of each vector (x, y)."""
    # not by OpenCV: what that gives for a field's first and last cells depends on where they lie in memory
    squared = x * x
    squared += y * y
    return np.asarray(np.sqrt(squared, out=squared))


def medians(fields: Fields) -> Float[np.ndarray, "pair 1 1"]:
    """Median of each field; of an even number the mean of the middle two."""
    ordered = np.sort(fields.reshape(len(fields), -1), axis=1)  # sorted by vector instructions, sooner than np.median
    cells = ordered.shape[1]
    return np.asarray(ordered[:, (cells - 1) // 2 : cells // 2 + 1].mean(axis=1)[:, None, None])


def _mean(fields: Fields) -> Series:
    flat = fields.reshape(len(fields), -1)
    return np.asarray(np.add.reduce(flat, axis=1) / flat.shape[1])  # a third of what np.mean takes on small fields


def _log(values: Series, floor: float) -> Series:
    """Logarithm that is 0 at 0 and linear below `floor`."""
    return np.asarray(np.log1p(values / floor))


def _quantiles(fields: Fields, levels: tuple[float, ...]) -> list[Series]:
    flat = fields.reshape(len(fields), -1)
    ranks = [min(flat.shape[1] - 1, math.floor(level * flat.shape[1])) for level in levels]
    ordered = np.sort(flat, axis=1)
    return [ordered[:, rank] for rank in ranks]


def _by_row(field: Fields) -> Fields:
    """Derivative along rows: central differences, one-sided at the rim."""
    slope = np.empty_like(field)
    slope[:, 1:-1] = (field[:, 2:] - field[:, :-2]) / 2
    slope[:, 0], slope[:, -1] = field[:, 1] - field[:, 0], field[:, -1] - field[:, -2]
    return slope


def _step(flow: FlowFields, first: Bool[np.ndarray, "pair"]) -> Fields:
    """Length of the flow's change since the pair before; 0 for first pairs."""
    change = np.zeros_like(flow.x)
    change[1:] = length(np.diff(flow.x, axis=0), np.diff(flow.y, axis=0))
    change[first] = 0
    return change


def _with_previous(values: Series, first: Bool[np.ndarray, "pair"]) -> Series:
    """Sum with the pair before; a first pair counts twice."""
    before = np.concatenate([values[:1], values[:-1]])
    before[first] = values[first]
    return np.asarray(values + before)
