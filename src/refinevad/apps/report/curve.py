"""A score curve made small enough to draw without losing a peak."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from refinevad.timeline import Timeline

MAX_POINTS = 4000


@dataclass(frozen=True)
class DrawnCurve:
    """A curve cut into columns of equally many segments: one each while that is few enough.

    Attributes:
        starts, ends: the column's bounds in seconds; one column ends where the next starts.
        high: the column's highest score.
        categories: the column's highest probability of each category, in [0, 1].
        x, y: at most two points a column. A column of one segment is a step; a wider one gives its lowest and highest
            score at their own times, so every peak and every dip stays.
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
    times = np.asarray(timeline.time_bounds, dtype=np.float64)
    if not timeline.segments:
        none = np.zeros(0)
        return DrawnCurve(none, none, none, np.zeros((0, category_scores.shape[1])), none, none)
    width = max(math.ceil(timeline.segments / (max_points // 2)), 1)
    first = np.arange(0, timeline.segments, width)
    last = np.append(first[1:], timeline.segments)
    points = [_points(times, scores, *column) for column in zip(first.tolist(), last.tolist(), strict=True)]
    xy = np.concatenate(points)
    return DrawnCurve(
        starts=times[first],
        ends=times[last],
        high=np.maximum.reduceat(np.asarray(scores, dtype=np.float64), first),
        categories=np.maximum.reduceat(np.asarray(category_scores, dtype=np.float64), first, axis=0),
        x=xy[:, 0],
        y=xy[:, 1],
    )


def _points(
    times: Float[np.ndarray, "bound"], scores: Float[np.ndarray, "segment"], begin: int, end: int
) -> Float[np.ndarray, "2 2"]:
    if end - begin == 1:
        return np.array([[times[begin], scores[begin]], [times[end], scores[begin]]])
    low, high = begin + int(np.argmin(scores[begin:end])), begin + int(np.argmax(scores[begin:end]))
    pair = sorted((low, high))
    return np.array([[(times[i] + times[i + 1]) / 2, scores[i]] for i in pair])
