"""A small score curve as inline SVG: no script, prints, scales to its box."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from refinevad.detection.curve import drawn_curve, unbroken
from refinevad.detection.wording import clock, escape, span
from refinevad.scoring.events import Event
from refinevad.timeline import Timeline

_WIDTH = 600  # user units; the box stretches them
_POINTS = 600


def sparkline(
    timeline: Timeline,
    scores: Float[np.ndarray, "segment"],
    threshold: float | None,
    *,
    events: Sequence[Event] = (),
    truth: Sequence[tuple[float, float]] | None = None,
    height: int = 84,
) -> str:
    """SVG of a score curve between 0 and 1 over the whole video.

    Args:
        timeline, scores: the curve.
        threshold: drawn as a dashed line; None leaves it out.
        events: a bar at the top, and a band where the bands are not the truth's.
        truth: intervals in seconds, a bar along the bottom and a band; None: not known.
        height: of the picture in pixels; the width is the box's.
    """
    duration = max(timeline.duration_s, 1e-6)
    foot = 7.0 if truth is not None else 0.0
    top, bottom = 5.0, height - foot
    curve = drawn_curve(timeline, scores, np.zeros((timeline.segments, 0)), max_points=_POINTS)
    xs = _WIDTH * curve.x / duration
    ys = bottom - (bottom - top) * np.clip(curve.y, 0.0, 1.0)
    paths = [" ".join(f"{x:.1f},{y:.1f}" for x, y in zip(*part, strict=True)) for part in unbroken(xs, ys)]
    parts = [
        f'<svg class="spark" viewBox="0 0 {_WIDTH} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="Score curve over {clock(duration)}">'
    ]
    for start, end in truth or ():
        x, width = _place(start, end, duration)
        parts.append(_box(x, top, width, bottom - top, "--truth-fill"))
    for event in events:
        x, width = _place(event.start_s, event.end_s, duration)
        band = "" if truth is not None else _box(x, top, width, bottom - top, "--event-fill")
        parts.append(
            f"<g><title>{escape(event.category)} {span(event)}</title>{band}{_box(x, 0.0, width, 4.0, '--event')}</g>"
        )
    if threshold is not None:
        y = bottom - (bottom - top) * min(max(threshold, 0.0), 1.0)
        parts.append(_line(y, 'stroke="var(--event)" stroke-dasharray="5 4"'))
    parts.append(_line(bottom, 'stroke="var(--line)"'))
    parts += [
        f'<polyline points="{path}" fill="none" stroke="var(--curve)" stroke-width="1.5" '
        'stroke-linejoin="round" vector-effect="non-scaling-stroke"/>'
        for path in paths
    ]
    for start, end in truth or ():
        x, width = _place(start, end, duration)
        title = f"<title>truth {clock(start)}–{clock(end)}</title>"
        parts.append(f"<g>{title}{_box(x, bottom + 2, width, 5.0, '--truth')}</g>")
    return "".join([*parts, "</svg>"])


def _place(start: float, end: float, duration: float) -> tuple[float, float]:
    """Left edge and width in user units, at least wide enough to be seen."""
    return _WIDTH * start / duration, max(_WIDTH * (end - start) / duration, 2.0)


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="var({colour})"/>'


def _line(y: float, style: str) -> str:
    return f'<line x1="0" y1="{y:.1f}" x2="{_WIDTH}" y2="{y:.1f}" {style} vector-effect="non-scaling-stroke"/>'
