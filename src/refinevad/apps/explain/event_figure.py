"""The soft category mixture over an event: for each category the test video whose event is found best."""

from collections.abc import Sequence

import numpy as np

from refinevad.apps.explain.chart import LEFT, RIGHT, WIDTH, Panel, drawing, thinned
from refinevad.apps.explain.figure import Figure, panes, swatches
from refinevad.apps.explain.inside import Explained, Inside
from refinevad.apps.explain.palette import OTHER_COLOUR, colours
from refinevad.detection.wording import clock

_TITLE = "What the model takes an event for, moment by moment"
_SHOWN = 4  # categories with an area of their own in a chart
_KNOTS = 150
_AROUND = 1.0, 12.0  # room before and after an event: its own length, at least these seconds
_HEIGHT = 270.0


def event_figure(explained: Explained) -> Figure:
    """Stacked shares over the event with the score curve below, one chart a category."""
    names = explained.categories
    if len(names) < 2:
        return Figure(
            _TITLE,
            "",
            f"This run knows one category, {names[0]}: every event is wholly that, so there is no mixture to show.",
        )
    found = {name: best for name in names if (best := best_found(explained.videos, names, name)) is not None}
    if not found:
        return Figure(_TITLE, "", "In no test video does the score of the true category rise inside the true event.")
    palette = colours(names)
    drawn, right, gains = [], 0, []
    for name, (video, _) in found.items():
        inside = video.anomalous
        own = video.shares[inside].mean(axis=0)
        leader = names[int(own.argmax())]
        right += leader == name
        gains.append(float(video.scores.segments[inside].mean() - video.scores.segments[~inside].mean()))
        share = own[names.index(name)]
        said = (
            f"share {100 * share:.0f} %"
            if leader == name
            else f"share {100 * share:.0f} %, {leader} {100 * own.max():.0f} %"
        )
        drawn.append((f"{name}: {video.name.rsplit('/', 1)[-1]} ({said} in the event)", _chart(video, names, palette)))
    missing = [name for name in names if name not in found]
    told = (
        f"In {right} of {len(found)} best-found events, one a category, the true category has the largest share; the "
        f"score inside the event is {np.mean(gains):.2f} above the rest of its video on average."
    )
    if missing:
        told += f" No video is found for {', '.join(missing)}."
    if not explained.checkpoint.refinevad.config.segment_posterior:
        told += " This run has no per-segment posterior: the shares are the whole video's."
    look = (
        "Look for the true category's colour to swell under the green bar. These are each category's best cases, "
        "chosen by how far its own score rises in the event, not typical ones."
    )
    legend = swatches(
        {**{name: palette[name] for name in names}, "the rest": OTHER_COLOUR, "true event": "var(--truth)"}
    )
    numbers = {"best_found": len(found), "true_category_leads": right, "score_rise": float(np.mean(gains))}
    return Figure(_TITLE, look, told, f"{legend}<div class='many'>{panes(*drawn)}</div>", numbers)


def best_found(videos: Sequence[Inside], names: Sequence[str], name: str) -> tuple[Inside, float] | None:
    """The video of a category whose own category score rises most inside the event; None where it rises in none."""
    column = list(names).index(name)
    best: tuple[Inside, float] | None = None
    for video in videos:
        inside = video.anomalous
        if name not in video.labels or not inside.any() or inside.all():
            continue
        own = video.scores.categories[:, column]
        rise = float(own[inside].mean() - own[~inside].mean())
        if rise > 0 and (best is None or rise > best[1]):
            best = video, rise
    return best


def _chart(video: Inside, names: Sequence[str], palette: dict[str, str]) -> str:
    start, end = max(video.truth, key=lambda span: span[1] - span[0])
    room = max(_AROUND[0] * (end - start), _AROUND[1])
    first, last = max(0.0, start - room), min(video.timeline.duration_s, end + room)
    middles = video.middles
    within = np.flatnonzero((middles >= first) & (middles <= last))
    within = within[thinned(len(within), _KNOTS)]
    seconds, shares, scores = middles[within], video.shares[within], video.scores.segments[within]
    # the true categories are always shown, then the largest
    weight = shares.mean(axis=0) + np.array([name in video.labels for name in names])
    shown = [int(place) for place in np.argsort(-weight, kind="stable")[:_SHOWN]]
    wide = WIDTH - LEFT - RIGHT
    stack = Panel((first, last), (0.0, 1.0), "", "share", (LEFT, 8.0, wide, 132.0), clock=True, x_ticks=False)
    base = np.zeros(len(within))
    for place in shown:
        told = f"{names[place]}: {100 * shares[:, place].mean():.0f} % over the stretch shown"
        stack.area(seconds, base, base + shares[:, place], palette[names[place]], told, 0.85)
        base = base + shares[:, place]
    if len(shown) < len(names):
        stack.area(
            seconds, base, np.ones(len(within)), OTHER_COLOUR, f"the rest: {100 * (1 - base).mean():.0f} %", 0.85
        )
    curve = Panel((first, last), (0.0, 1.0), "time", "score", (LEFT, 152.0, wide, 76.0), clock=True)
    for begin, stop in video.truth:
        if stop > first and begin < last:
            told = f"true event {clock(begin)}–{clock(stop)}"
            stack.edges(max(begin, first), min(stop, last), told)
            curve.band(max(begin, first), min(stop, last), told)
    curve.curve(seconds, scores, "var(--curve)")
    words = f"Shares of categories and score over time around the event in {video.name}"
    return drawing(words, [stack, curve], height=_HEIGHT)
