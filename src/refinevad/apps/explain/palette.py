"""A colour for each category, the same in every figure, told apart on light and on dark ground."""

from collections.abc import Sequence

NORMAL_COLOUR, OTHER_COLOUR = "var(--plain)", "var(--other)"
_HAND_PICKED = (
    "#4e86c6",
    "#f28e2b",
    "#2fa36b",
    "#e0525a",
    "#9467bd",
    "#d9b310",
    "#17b3c1",
    "#d6609a",
    "#8c6d4f",
    "#86b83b",
    "#5b62d6",
    "#ff9d8a",
    "#0f8a8a",
    "#b0408f",
)


def colours(categories: Sequence[str]) -> dict[str, str]:
    """CSS colours; beyond the picked ones, hues a golden angle apart."""
    further = (f"hsl({137.508 * place % 360:.0f} 55% 55%)" for place in range(len(categories)))
    return dict(zip(categories, (*_HAND_PICKED, *further), strict=False))
