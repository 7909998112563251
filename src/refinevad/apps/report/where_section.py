"""Where in the picture an event came from: drawn over its thumbnail, and said in words."""

from collections.abc import Mapping

from refinevad.detection.wording import escape
from refinevad.scoring.where import Box, Located

_FAINT = 0.08  # of the strongest cell: fainter ones are not drawn
_DENSEST = 0.45
_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # markers of a JPEG that state its size


def where_svg(located: Located, jpeg: bytes) -> str:
    """Cells and box, to lie over a picture that is shown whole in the same frame; nothing where its size is unknown."""
    size = jpeg_size(jpeg)
    if size is None:
        return ""
    wide, high = size
    weights, (left, top, right, bottom) = located.where.weights, located.where.box
    rows, columns = weights.shape
    parts = [f'<svg class="where" viewBox="0 0 {wide} {high}" aria-hidden="true">']
    for row, column in zip(*(weights >= _FAINT * weights.max()).nonzero(), strict=True):
        opacity = _DENSEST * weights[row, column] / weights.max()
        parts.append(
            f'<rect class="cell" x="{column * wide / columns:.1f}" y="{row * high / rows:.1f}" '
            f'width="{wide / columns:.1f}" height="{high / rows:.1f}" fill-opacity="{opacity:.3f}"/>'
        )
    place = (
        f'x="{left * wide:.1f}" y="{top * high:.1f}" width="{(right - left) * wide:.1f}" '
        f'height="{(bottom - top) * high:.1f}"'
    )
    return "".join([*parts, f'<rect class="box back" {place}/><rect class="box" {place}/></svg>'])


def where_sentence(located: Located, names: Mapping[str, str]) -> str:
    """Where and why, in words; `names` of the paths."""
    why = located.why
    told = (
        f"It came from {_named(located.where.box)}: without what is marked its peak by itself would score "
        f"{why.without:.2f} in place of {why.score:.2f}."
    )
    shares = [f"{names.get(path, path)} {100 * share:.0f} %" for path, share in why.paths.items() if share > 0]
    return escape(told + (f" By path: {', '.join(shares)}." if len(shares) > 1 else ""))


def _named(box: Box) -> str:
    left, top, right, bottom = box
    if right - left > 0.7 and bottom - top > 0.7:
        return "most of the picture"
    across, down = (left + right) / 2, (top + bottom) / 2
    row = "upper " if down < 1 / 3 else "lower " if down > 2 / 3 else ""
    return f"the {row}{'left' if across < 1 / 3 else 'right' if across > 2 / 3 else 'middle'} of the picture"


def jpeg_size(jpeg: bytes) -> tuple[int, int] | None:
    """(width, height) that a JPEG states; None where it is none."""
    at = 2
    while jpeg[:2] == b"\xff\xd8" and at + 9 <= len(jpeg) and jpeg[at] == 0xFF:
        if jpeg[at + 1] in _SIZES:
            high, wide = (int.from_bytes(jpeg[at + 5 + 2 * place : at + 7 + 2 * place], "big") for place in (0, 1))
            return (wide, high) if wide and high else None
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return None
