"""Resampled figures as JSON holds them: an interval behind each name, and differences between two rows.

`auc` gets `auc_ci95: [low, high]`; `recall_at_fpr/0.01` the entry 0.01 inside `recall_at_fpr_ci95`. A difference is
`{difference, ci95, excludes_0}`: two rows differ where `excludes_0` is true. What is not defined is None.
"""

from collections.abc import Mapping
from typing import Any

from refinevad.judging.resampling import Sampled, interval, paired

SUFFIX = "_ci95"


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
