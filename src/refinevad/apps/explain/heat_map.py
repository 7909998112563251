"""A matrix as coloured cells with their values written in, as inline SVG."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from refinevad.detection.wording import escape

_CELL, _LONGEST = 34, 16  # user units; letters of a name
_LETTER, _ROOM = 6.9, 10  # width of a letter, space around the names


def heat_map(
    label: str,
    names: Sequence[str],
    strength: Float[np.ndarray, "row column"],
    texts: Sequence[Sequence[str]],
    told: Sequence[Sequence[str]],
    sides: tuple[str, str] = ("", ""),
) -> str:
    """Square matrix over `names`.

    Args:
        label: what it shows in words, for those who cannot see it.
        strength: in [-1, 1]; negative cells take the second colour.
        texts: written into the cells; empty: nothing.
        told: said of a cell when it is pointed at.
        sides: what rows and columns are; empty: the same thing.
    """
    short = [name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…" for name in names]
    room = _LETTER * max((len(name) for name in short), default=1) + _ROOM
    title = 18.0 if sides[0] else 0.0
    left, top, size = room + title, 0.8 * room + title, _CELL * len(names)
    parts = []
    for index, name in enumerate(short):
        middle = _CELL * (index + 0.5)
        parts.append(f'<text x="{left - 6:.1f}" y="{top + middle + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        place = f"translate({left + middle + 3:.1f} {top - 6:.1f}) rotate(-50)"
        parts.append(f'<text transform="{place}">{escape(name)}</text>')
    for row, line in enumerate(np.asarray(strength, dtype=np.float64)):
        for column, value in enumerate(line.tolist()):
            parts.append(_cell(left + _CELL * column, top + _CELL * row, value, texts[row][column], told[row][column]))
    if sides[0]:
        parts.append(
            f'<text transform="translate(12 {top + size / 2:.1f}) rotate(-90)" text-anchor="middle" class="side">'
            f'{escape(sides[0])}</text><text x="{left + size / 2:.1f}" y="12" text-anchor="middle" class="side">'
            f"{escape(sides[1])}</text>"
        )
    width, height = left + size + 0.55 * room, top + size + 4
    return (
        f'<div class="scroll"><svg class="drawn heat" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="max-width:{1.15 * width:.0f}px;min-width:{min(0.8 * width, 620.0):.0f}px" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg></div>'
    )


def _cell(x: float, y: float, value: float, text: str, told: str) -> str:
    depth = min(abs(value), 1.0)
    colour = "var(--curve)" if value >= 0 else "var(--event)"
    tone = ' class="deep"' if depth > 0.6 else ""
    written = (
        f'<text x="{x + _CELL / 2:.1f}" y="{y + _CELL / 2 + 4:.1f}" text-anchor="middle"{tone}>{escape(text)}</text>'
        if text
        else ""
    )
    return (
        f'<g class="tell"><title>{escape(told)}</title><rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{_CELL - 2}" '
        f'height="{_CELL - 2}" rx="3" fill="var(--grid)"/><rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{_CELL - 2}" '
        f'height="{_CELL - 2}" rx="3" fill="{colour}" fill-opacity="{depth:.3f}"/>{written}</g>'
    )
