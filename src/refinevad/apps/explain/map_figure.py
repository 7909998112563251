"""Test videos on a map by CORE's pooled vectors, coloured by category."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad.apps.explain.chart import Panel, drawing, span_of
from refinevad.apps.explain.figure import Figure, panes
from refinevad.apps.explain.inside import NORMAL, Explained, Inside
from refinevad.apps.explain.palette import NORMAL_COLOUR, colours
from refinevad.apps.explain.projection import Projection, principal_components, t_sne
from refinevad.apps.explain.statistic import neighbour_agreement
from refinevad.detection.wording import escape

_TITLE = "Where the test videos lie"
_SIDE = 400.0


def map_figure(explained: Explained) -> Figure:
    """Principal components, and t-SNE where it can be had; how often neighbours share a category."""
    videos = [video for video in explained.videos if video.embedding is not None]
    if len(videos) < 3:
        return Figure(_TITLE, "", f"{len(videos)} test videos carry anything to place: too few for a map.")
    vectors = np.stack([video.embedding for video in videos if video.embedding is not None])
    # a video of several categories is coloured by its first, as the legend has one colour for each
    groups = [video.labels[0] if video.labels else NORMAL for video in videos]
    sides = ["anomalous" if video.labels else NORMAL for video in videos]
    told, agreement = _agreement(vectors, groups, sides)
    left_out = len(explained.videos) - len(videos)
    numbers: dict[str, Any] = {**agreement, "videos": len(videos), "left_out": left_out}
    if left_out:
        told += f" {left_out} videos without any segment to take in are left out."
    palette = colours(explained.categories)
    maps = [principal_components(vectors), t_sne(vectors)]
    drawn = [
        (f"{chart.method}: {chart.told}", _map(chart, videos, groups, palette)) for chart in reversed(maps) if chart
    ]
    if maps[1] is None:
        told += " The map is by principal components; with scikit-learn installed t-SNE stands beside it."
    numbers["maps"] = [chart.method for chart in maps if chart]
    look = (
        "Look for islands of one colour, and for colour apart from grey. Point at a dot for its video; choose a "
        "category below to see it alone."
    )
    present = [name for name in explained.categories if name in groups]
    return Figure(_TITLE, look, told, panes(*drawn) + _filter(present, palette), numbers)


def _agreement(vectors: np.ndarray, groups: Sequence[str], sides: Sequence[str]) -> tuple[str, dict[str, float]]:
    side, side_chance = neighbour_agreement(vectors, sides)
    told = ""
    numbers = {"same_side": side, "same_side_chance": side_chance}
    if len(set(sides)) > 1:
        told = (
            f"The nearest neighbour of a video is of its own kind, normal or anomalous, {100 * side:.0f} % of the time "
            f"({100 * side_chance:.0f} % by chance)"
        )
    odd = [place for place, group in enumerate(groups) if group != NORMAL]
    named = [groups[place] for place in odd]
    if len(set(named)) > 1:
        same, chance = neighbour_agreement(vectors[odd], named)
        numbers |= {"same_category": same, "same_category_chance": chance}
        told += (
            f"{'; among' if told else 'Among'} anomalous videos alone it shares the category {100 * same:.0f} % of the "
            f"time ({100 * chance:.0f} % by chance)"
        )
    if not told:
        told = "All test videos are of one kind, so there is nothing to tell apart"
    return told + ".", numbers


def _map(chart: Projection, videos: Sequence[Inside], groups: Sequence[str], palette: dict[str, str]) -> str:
    x, y = chart.points[:, 0], chart.points[:, 1]
    panel = Panel(span_of(x), span_of(y), box=(4.0, 4.0, _SIDE - 8, _SIDE - 88), bare=True)
    # normal videos first, so that coloured dots lie on top
    for place in sorted(range(len(videos)), key=lambda place: groups[place] != NORMAL):
        video, normal = videos[place], groups[place] == NORMAL
        colour = palette.get(groups[place], NORMAL_COLOUR)
        panel.point(x[place], y[place], colour, f"{video.name} ({video.label})", groups[place], small=normal)
    words = f"Map of {len(videos)} test videos by {chart.method}, coloured by category"
    return drawing(words, [panel], height=_SIDE - 80, width=_SIDE)


def _filter(present: Sequence[str], palette: dict[str, str]) -> str:
    buttons = "".join(
        f'<button class="tool" type="button" aria-pressed="false" data-pick="{escape(name)}">'
        f'<i style="background:{colour}"></i>{escape(name)}</button>'
        for name, colour in [*((name, palette[name]) for name in present), (NORMAL, NORMAL_COLOUR)]
    )
    return f'<div class="picks" role="group" aria-label="Show one category">{buttons}</div>'
