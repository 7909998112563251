"""Resampled figures as JSON holds them: an interval behind each name, and differences between two rows.

`auc` gets `auc_ci95: [low, high]`; `recall_at_fpr/0.01` the entry 0.01 inside `recall_at_fpr_ci95`. A difference is
`{difference, ci95, excludes_0}`: two rows differ where `excludes_0` is true. What is not defined is None.
"""

from collections.abc import Mapping
from typing import Any

from refinevad.files.finite import is_finite
from refinevad.judging.resampling import Sampled, interval, paired

SUFFIX = "_ci95"
# of what an evaluation gives, that which tables are made of: a number each, and numbers by level
_PLAIN = (
    *("auc", "ap", "ano_auc", "within_auc", "video_auc", "map_average", "map_legacy_average", "event_f1"),
    "alerts_per_hour_at_80_recall",
)
_BY_LEVEL = ("map", "map_legacy", "map_strict", "recall_at_fpr", "event_f1_at")


def are_figures(stored: object) -> bool:
    """Whether a value out of a file is a row's figures: what tables take from it is numbers, intervals, differences.

    What a row holds beside them is not looked into; `auc` is in each, and null where it is not defined.
    """
    if not isinstance(stored, Mapping) or "auc" not in stored:
        return False
    plain = [stored.get(name) for name in _PLAIN]
    by_level = [stored.get(name) or {} for name in _BY_LEVEL]
    gaps = stored.get("model_minus_control") or {}
    if not all(isinstance(values, Mapping) for values in (*by_level, gaps)):
        return False
    numbers = [*plain, *(value for values in by_level for value in values.values())]
    return all(number is None or is_finite(number) for number in numbers) and all(map(_is_difference, gaps.values()))


def auc_words(figures: Mapping[str, Any]) -> str:
    """The frame AUC as lines of progress have it; a set without normal frames defines none."""
    return "-" if figures.get("auc") is None else f"{figures['auc']:.4f}"


def _is_difference(stored: object) -> bool:
    """Whether a value out of a file is one that `difference` gave."""
    return stored is None or (
        isinstance(stored, Mapping) and is_finite(stored.get("difference")) and _are_bounds(stored.get("ci95"))
    )


def _are_bounds(stored: object) -> bool:
    return isinstance(stored, list) and len(stored) == 2 and all(map(is_finite, stored))


def figure_of(figures: Mapping[str, Any], name: str) -> Any:
    """A figure by name; `map/0.1` is the one called 0.1 inside `map`. None where there is none."""
    outer, _, inner = name.partition("/")
    value = figures.get(outer)
    return value.get(inner) if inner and isinstance(value, Mapping) else None if inner else value


def bounds_of(figures: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """The stored interval of a figure by name; None where there is none."""
    outer, _, inner = name.partition("/")
    bounds = figure_of(figures, f"{outer}{SUFFIX}/{inner}" if inner else outer + SUFFIX)
    return None if bounds is None else (float(bounds[0]), float(bounds[1]))


def intervals(sampled: Mapping[str, Sampled]) -> dict[str, Any]:
    """95 % intervals by name."""
    found: dict[str, Any] = {}
    for name, figure in sampled.items():
        bounds = interval(figure)
        outer, _, inner = name.partition("/")
        value = None if bounds is None else list(bounds)
        if inner:
            found.setdefault(outer + SUFFIX, {})[inner] = value
        else:
            found[outer + SUFFIX] = value
    return found


def difference(ours: Sampled, other: Sampled) -> dict[str, Any] | None:
    """`ours` minus `other` over the same resamples."""
    gap = paired(ours, other)
    return None if gap is None else {"difference": gap.mean, "ci95": [gap.low, gap.high], "excludes_0": gap.ahead}


def differences(ours: Mapping[str, Sampled], other: Mapping[str, Sampled]) -> dict[str, Any]:
    """`difference` of every figure that both rows have, by name."""
    return {name: difference(figure, other[name]) for name, figure in ours.items() if name in other}
