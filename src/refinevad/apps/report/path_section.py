"""Which path a score comes by: its curve split by path, and a sentence for an event."""

from collections.abc import Mapping, Sequence

import numpy as np

from refinevad.detection.curve import drawn_curve, unbroken
from refinevad.detection.wording import clock, escape
from refinevad.scoring.events import Event
from refinevad.scoring.paths import PathCurves
from refinevad.timeline import Timeline

_WIDTH = 600  # user units; the box stretches them
_NOTHING = 0.005  # of a lift, in logits: shown as 0


def lift_sentence(paths: PathCurves, lifts: Mapping[str, float]) -> str:
    """In words and per cent which path an event's score comes by; of paths that pull apart, by how much each."""
    names = paths.names
    if len(names) == 1:
        return f"{_capital(next(iter(names.values())))} 100 %: this run has no other path."
    total = sum(lifts.values())
    if total > _NOTHING and min(lifts.values()) > -_NOTHING:
        shares = _whole_percents([max(0.0, lift) / total for lift in lifts.values()])
        told = ", ".join(f"{names[path]} {share} %" for path, share in zip(lifts, shares, strict=True))
        return _capital(f"{told} of what lifts this event above {paths.above}.")
    up = [f"{names[path]} ({lift:.2f})" for path, lift in lifts.items() if lift > _NOTHING]
    down = [f"{names[path]} ({-lift:.2f})" for path, lift in lifts.items() if lift <= -_NOTHING]
    if not up:
        return f"No path lifts this event above {paths.above}."
    lowered = f", lowered by {' and '.join(down)}" if down else ""
    return f"Lifted above {paths.above} by {' and '.join(up)}{lowered}; in logits."


def paths_figure(timeline: Timeline, paths: PathCurves | None, events: Sequence[Event]) -> str:
    """The figure below a score curve; a sentence where there is one path; nothing where none is known."""
    if paths is None or not timeline.segments:
        return ""
    if len(paths.names) == 1:
        name = next(iter(paths.names.values()))
        return f'<p class="note">The score comes by one path, {escape(name)}: 100 % of it.</p>'
    high = float(np.abs(paths.lifted).max())
    return (
        '<figure class="paths card"><figcaption>Where the score comes from: how far each path lifts it above '
        f"{escape(paths.above)}</figcaption>"
        f'<div class="lanes" data-high="+{high:.1f}" data-low="−{high:.1f}">'
        f"{paths_svg(timeline, paths, events)}</div>{paths_legend(paths)}</figure>"
    )


def paths_legend(paths: PathCurves) -> str:
    """A colour for each path, and what the middle line is."""
    keys = "".join(f'<span><i class="path {path}"></i>{escape(name)}</span>' for path, name in paths.names.items())
    return (
        f'<div class="legend">{keys}<span><i class="zero"></i>{escape(paths.above)}</span>'
        "<span>in logits, which add up</span></div>"
    )


def paths_svg(
    timeline: Timeline, paths: PathCurves, events: Sequence[Event], height: int = 96, points: int = 1200
) -> str:
    """A line for each path over the whole video, 0 in the middle."""
    duration = max(timeline.duration_s, 1e-6)
    lifted = paths.lifted
    reach = max(float(np.abs(lifted).max()), 1e-6)
    middle = height / 2
    parts = [
        f'<svg class="by-path" viewBox="0 0 {_WIDTH} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(" and ".join(paths.names.values()))} over {clock(duration)}">'
    ]
    for event in events:
        x, width = _WIDTH * event.start_s / duration, max(_WIDTH * (event.end_s - event.start_s) / duration, 2.0)
        parts.append(f'<rect x="{x:.1f}" y="0" width="{width:.1f}" height="{height}" fill="var(--event-fill)"/>')
    parts.append(
        f'<line x1="0" y1="{middle:g}" x2="{_WIDTH}" y2="{middle:g}" stroke="var(--muted)" stroke-dasharray="2 3" '
        'vector-effect="non-scaling-stroke"/>'
    )
    for column, path in enumerate(paths.names):
        curve = drawn_curve(timeline, lifted[:, column], np.zeros((timeline.segments, 0)), max_points=points)
        xs, ys = _WIDTH * curve.x / duration, middle - (middle - 2) * curve.y / reach
        for line in unbroken(xs, ys):
            knots = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(*line, strict=True))
            parts.append(
                f'<polyline class="{path}" points="{knots}" fill="none" stroke-width="1.5" stroke-linejoin="round" '
                'vector-effect="non-scaling-stroke"/>'
            )
    return "".join([*parts, "</svg>"])


def _whole_percents(shares: Sequence[float]) -> list[int]:
    """Per cents that add up to 100: what rounding down leaves goes to the largest remainders."""
    exact = [100 * share for share in shares]
    whole = [int(value) for value in exact]
    order = sorted(range(len(exact)), key=lambda place: whole[place] - exact[place])
    for place in order[: 100 - sum(whole)]:
        whole[place] += 1
    return whole


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
