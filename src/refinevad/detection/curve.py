"""A score curve made small enough to draw without losing a peak."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from refinevad.timeline import Timeline

MAX_POINTS = 4000


@dataclass(frozen=True)
class DrawnCurve:
    """A curve cut into columns of equally many segments: one each while that is few enough.

    Attributes:
        starts, ends: the column's bounds in seconds; one column ends where the next starts, but for holes.
        high: the column's highest score.
        categories: the column's highest probability of each category, in [0, 1].
        x, y: at most two points a column. A column of one segment is a step; a wider one gives its lowest and highest
            score at their own times, so every peak and every dip stays. In a hole, where no line is drawn, y is NaN.
    """

    starts: Float[np.ndarray, "column"]
    ends: Float[np.ndarray, "column"]
    high: Float[np.ndarray, "column"]
    categories: Float[np.ndarray, "column category"]
    x: Float[np.ndarray, "point"]
    y: Float[np.ndarray, "point"]


def drawn_curve(
    timeline: Timeline,
    scores: Float[np.ndarray, "segment"],
    category_scores: Float[np.ndarray, "segment category"],
    max_points: int = MAX_POINTS,
) -> DrawnCurve:
    """Reduce a curve to at most `max_points` points by minimum and maximum over columns of segments.

    Args:
        timeline: the segments' bounds.
        scores: one score a segment.
        category_scores: one row of probabilities a segment.
        max_points: upper bound on the points.
    """
    begins, ends = np.asarray(timeline.time_bounds[:-1], dtype=np.float64), np.asarray(timeline.ends_s)
    if not timeline.segments:
        none = np.zeros(0)
        return DrawnCurve(none, none, none, np.zeros((0, category_scores.shape[1])), none, none)
    holes = set(timeline.breaks.tolist())
    width = max(math.ceil(timeline.segments / (max_points // 2)), 1)
    first = np.concatenate([np.arange(start, end, width) for start, end in timeline.stretches()])
    last = np.append(first[1:], timeline.segments)
    points = []
    for column in zip(first.tolist(), last.tolist(), strict=True):
        if column[0] in holes:
            points.append(np.array([[ends[column[0] - 1], np.nan]]))
        points.append(_points(begins, ends, scores, *column))
    xy = np.concatenate(points)
    return DrawnCurve(
        starts=begins[first],
        ends=ends[last - 1],
        high=np.maximum.reduceat(np.asarray(scores, dtype=np.float64), first),
        categories=np.maximum.reduceat(np.asarray(category_scores, dtype=np.float64), first, axis=0),
        x=xy[:, 0],
        y=xy[:, 1],
    )


def _points(
    begins: Float[np.ndarray, "segment"],
    ends: Float[np.ndarray, "segment"],
    scores: Float[np.ndarray, "segment"],
    begin: int,
    end: int,
) -> Float[np.ndarray, "2 2"]:
    if end - begin == 1:
        return np.array([[begins[begin], scores[begin]], [ends[begin], scores[begin]]])
    low, high = begin + int(np.argmin(scores[begin:end])), begin + int(np.argmax(scores[begin:end]))
    pair = sorted((low, high))
    return np.array([[(begins[i] + ends[i]) / 2, scores[i]] for i in pair])


def unbroken(
    x: Float[np.ndarray, "point"], y: Float[np.ndarray, "point"]
) -> list[tuple[Float[np.ndarray, "_part"], Float[np.ndarray, "_part"]]]:
    """A drawn curve's lines, from hole to hole."""
    borders = [-1, *np.flatnonzero(np.isnan(y)).tolist(), len(y)]
    return [(x[a + 1 : b], y[a + 1 : b]) for a, b in pairwise(borders) if b > a + 1]
