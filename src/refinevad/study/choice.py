"""Settings chosen by a rule, so that no set's own test truth has a say in what is shown on it.

For each set every candidate has a figure on its test truth, and a rank by it. What a set is shown with is the candidate
with the best mean rank on the *other* sets; what ships, the one with the best mean rank on all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from refinevad.errors import InputError
from refinevad.judging.resampling import Sampled, interval, paired

Figures = Mapping[str, Mapping[str, float]]  # set -> candidate -> figure, the higher the better

LEAST_SETS = 2


@dataclass(frozen=True)
class Choice:
    """What the rule chooses: `without` for each set by the others, `overall` by all; mean ranks by candidate."""

    without: Mapping[str, str]
    overall: str
    mean_ranks: Mapping[str, float]


def ranks(figures: Mapping[str, float]) -> dict[str, float]:
    """1 for the highest figure; equal ones share the mean of their ranks."""
    values = np.array(list(figures.values()))
    above = (values[None] > values[:, None]).sum(1)
    equal = (values[None] == values[:, None]).sum(1)
    return dict(zip(figures, (above + (equal + 1) / 2).tolist(), strict=True))


def choose(figures: Figures) -> Choice:
    """The rule; of candidates with the same mean rank the one that is listed first.

    Raises:
        InputError: fewer than two sets, a set with other candidates, or a figure that is not a number.
    """
    candidates = list(next(iter(figures.values()), {}))
    if len(figures) < LEAST_SETS or not candidates:
        raise InputError(f"a choice without a set needs {LEAST_SETS} sets and a candidate: got {len(figures)} sets")
    for name, row in figures.items():
        if set(row) != set(candidates):
            raise InputError(f"{name} has the candidates {sorted(row)}, other sets {sorted(candidates)}")
        if not np.isfinite(list(row.values())).all():
            raise InputError(f"a candidate has no figure on {name}: {dict(row)}")
    of_set = {name: ranks(row) for name, row in figures.items()}
    overall = _mean(list(of_set.values()))
    without = {name: _best(_mean([row for other, row in of_set.items() if other != name])) for name in of_set}
    return Choice(without, _best(overall), overall)


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _best(mean_ranks: Mapping[str, float]) -> str:
    return min(mean_ranks, key=lambda name: mean_ranks[name])


def choice_table(resampled: Mapping[str, Mapping[str, Sampled]], control: str, figure: str) -> str:
    """Two tables: the row "chosen without this set" beside a control, and every candidate on every set.

    `resampled` has set -> row -> the figure on the set's test videos and on resamples of them; the control is a row of
    each set, all other rows are candidates.

    Raises:
        InputError: as `choose`, or a set without the control.
    """
    for name, rows in resampled.items():
        if control not in rows:
            raise InputError(f"{name} has no row {control} to compare with")
    figures = {
        name: {row: sampled.value for row, sampled in rows.items() if row != control}
        for name, rows in resampled.items()
    }
    found = choose(figures)
    lines = [f"| set | chosen without it | {figure} | {control} | ahead of it by | sure |", "|---" * 6 + "|"]
    gaps = []
    for name, rows in resampled.items():
        ours, plain = rows[found.without[name]], rows[control]
        gap = paired(ours, plain)
        gaps.append(ours.value - plain.value)
        words = "-" if gap is None else f"{gap.mean:+.4f} [{gap.low:+.3f}, {gap.high:+.3f}]"
        sure = "-" if gap is None else "yes" if gap.low > 0 else "no"
        cells = [name, found.without[name], f"{ours.value:.4f}{_bounds(ours)}", f"{plain.value:.4f}", words, sure]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(f"| mean | | | | {np.mean(gaps):+.4f} | |")
    lines += ["", f"What ships, chosen over all sets: {found.overall}.", ""]
    lines += ["| candidate | " + " | ".join(resampled) + " | mean rank |", "|---" * (len(resampled) + 2) + "|"]
    for candidate in found.mean_ranks:
        on_sets = " | ".join(f"{row[candidate]:.4f}" for row in figures.values())
        lines.append(f"| {candidate} | {on_sets} | {found.mean_ranks[candidate]:.2f} |")
    plain_cells = " | ".join(f"{rows[control].value:.4f}" for rows in resampled.values())
    return "\n".join([*lines, f"| {control} | {plain_cells} | - |"])


def _bounds(sampled: Sampled) -> str:
    bounds = interval(sampled)
    return "" if bounds is None else f" [{bounds[0]:.3f}, {bounds[1]:.3f}]"
