"""ROC and precision-recall curves of a frame score, and their drawing."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

_SIDE, _LEFT, _FOOT, _ROOM = 300, 38, 34, 8
_DRAWN_POINTS = 400


@dataclass(frozen=True)
class OperatingCurves:
    """One entry for each distinct score as a threshold, highest first; ROC begins at (0, 0).

    Attributes:
        false_rate, recall: the ROC curve.
        precision: at the same thresholds, without the empty first one.
        base_rate: share of frames that are anomalous, the precision of chance.
        at_threshold: (false rate, recall, precision) at the calibrated threshold; None if nothing exceeds it.
    """

    false_rate: Float[np.ndarray, "operating_point"]
    recall: Float[np.ndarray, "operating_point"]
    precision: Float[np.ndarray, "threshold"]
    base_rate: float
    at_threshold: tuple[float, float, float] | None


def operating_curves(
    scores: Float[np.ndarray, "frame"], truth: Bool[np.ndarray, "frame"], threshold: float | None
) -> OperatingCurves:
    """Every operating point of a score. `truth` needs frames of both kinds."""
    order = np.argsort(-scores, kind="stable")
    ranked, positive = scores[order], truth[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits = np.cumsum(positive)[last_of_tie]
    alarms = last_of_tie + 1
    positives, negatives = int(truth.sum()), int((~truth).sum())
    recall, false_rate, precision = hits / positives, (alarms - hits) / negatives, hits / alarms
    at: tuple[float, float, float] | None = None
    if threshold is not None and (reached := int(np.count_nonzero(ranked[last_of_tie] > threshold))):
        at = (float(false_rate[reached - 1]), float(recall[reached - 1]), float(precision[reached - 1]))
    return OperatingCurves(np.append(0.0, false_rate), np.append(0.0, recall), precision, positives / len(truth), at)


def operating_svg(curves: OperatingCurves) -> tuple[str, str]:
    """The ROC and the precision-recall chart as inline SVG."""
    at = curves.at_threshold
    roc = _chart(
        curves.false_rate,
        curves.recall,
        ((0.0, 0.0), (1.0, 1.0)),
        (at[0], at[1]) if at else None,
        ("false positive rate", "true positive rate"),
    )
    precision = _chart(
        curves.recall[1:],
        curves.precision,
        ((0.0, curves.base_rate), (1.0, curves.base_rate)),
        (at[1], at[2]) if at else None,
        ("recall", "precision"),
    )
    return roc, precision


def _chart(
    x: Float[np.ndarray, "drawn"],
    y: Float[np.ndarray, "drawn"],
    chance: tuple[tuple[float, float], tuple[float, float]],
    dot: tuple[float, float] | None,
    names: tuple[str, str],
) -> str:
    size = _SIDE - _LEFT - _ROOM
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), _DRAWN_POINTS)).round().astype(int))

    def place(across: float, up: float) -> tuple[float, float]:
        return _LEFT + size * across, _ROOM + size * (1 - up)

    points = " ".join("{:.1f},{:.1f}".format(*place(x[i], y[i])) for i in keep)
    grid = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        across, up = place(share, share)
        grid.append(
            f'<path d="M{_LEFT} {up:.1f}H{_LEFT + size}M{across:.1f} {_ROOM}V{_ROOM + size}" stroke="var(--grid)"/>'
            f'<text x="{_LEFT - 6}" y="{up + 4:.1f}" text-anchor="end">{share:g}</text>'
            f'<text x="{across:.1f}" y="{_ROOM + size + 14}" text-anchor="middle">{share:g}</text>'
        )
    (x1, y1), (x2, y2) = place(*chance[0]), place(*chance[1])
    mark = ""
    if dot:
        across, up = place(*dot)
        mark = (
            f'<circle cx="{across:.1f}" cy="{up:.1f}" r="5" fill="var(--event)" stroke="var(--card)" stroke-width="2"/>'
        )
    return (
        f'<svg class="chart" viewBox="0 0 {_SIDE} {size + _ROOM + _FOOT}" role="img" '
        f'aria-label="{names[1]} over {names[0]}">'
        f'{"".join(grid)}<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="var(--muted)" '
        f'stroke-dasharray="4 4"/><polyline points="{points}" fill="none" stroke="var(--curve)" stroke-width="2" '
        f'stroke-linejoin="round"/>{mark}'
        f'<text x="{_LEFT + size / 2:.0f}" y="{_ROOM + size + 29}" text-anchor="middle">{names[0]}</text>'
        f'<text transform="translate(10 {_ROOM + size / 2:.0f}) rotate(-90)" text-anchor="middle">{names[1]}</text>'
        "</svg>"
    )
