"""What each part buys: variants of a recipe over the same seeds, compared pair by pair with the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from refinevad.errors import InputError
from refinevad.files.shown import short
from refinevad.files.toml_files import read_toml
from refinevad.study.over_seeds import with_table
from refinevad.study.over_videos import OverVideos
from refinevad.study.seed_rows import SeedRow
from refinevad.training.recipe import Recipe
from refinevad.training.train_options import TrainOptions

WHOLE = "all"
# two-sided 95 % quantiles of Student's t by degrees of freedom
_T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True)
class Variant:
    """Options laid over a recipe; `prompts` false takes its prompts away, `head` puts a published head in its place."""

    name: str
    model: dict[str, Any]
    train: dict[str, Any]
    prompts: bool = True
    head: dict[str, Any] = field(default_factory=dict)

    def of(self, recipe: Recipe) -> Recipe:
        """The recipe with this variant's options."""
        model = {**recipe.model, **self.model}
        train = replace(recipe.train, **self.train)
        prompts = recipe.prompts if self.prompts else {}
        return replace(recipe, model=model, head={**recipe.head, **self.head}, train=train, prompts=prompts)


def read_variant(path: Path) -> Variant:
    """Read a variant file: [model], [head] and [train] as in a recipe, and `prompts = false`.

    Raises:
        InputError: not TOML, another table, or an option of training that does not exist.
    """
    content = read_toml(path, "variant")
    unknown = sorted(set(content) - {"model", "head", "train", "prompts"})
    if unknown:
        raise InputError(f"variant {path}: unknown {', '.join(unknown)}; it has [model], [head], [train] and prompts")
    for name in ("model", "head", "train"):
        if not isinstance(content.get(name, {}), dict):
            raise InputError(f"variant {path}: {name} is a table, [{name}], not {short(content[name])}")
    if not isinstance(content.get("prompts", True), bool):
        raise InputError(f"variant {path}: prompts is true or false, not {short(content['prompts'])}")
    try:
        TrainOptions.from_dict(content.get("train", {}))
    except InputError as error:
        raise InputError(f"variant {path}: {error}") from error
    return Variant(
        path.stem,
        content.get("model", {}),
        content.get("train", {}),
        content.get("prompts", True),
        content.get("head", {}),
    )


def paired(ours: Sequence[SeedRow], whole: Sequence[SeedRow], figure: str) -> tuple[float, float] | None:
    """Mean difference to the whole over common seeds, and half the width of its 95 % confidence interval."""
    other = {row.seed: row.metrics.get(figure) for row in whole}
    pairs = [(row.metrics.get(figure), other.get(row.seed)) for row in ours]
    gaps = np.array([a - b for a, b in pairs if a is not None and b is not None])
    if not len(gaps):
        return None
    if len(gaps) == 1:
        return float(gaps[0]), float("nan")
    spread = float(np.std(gaps, ddof=1)) / len(gaps) ** 0.5
    return float(gaps.mean()), _T95.get(len(gaps) - 1, 1.96) * spread


def ablation_table(
    rows: Mapping[str, Sequence[SeedRow]], figures: Sequence[str], whole: str = WHOLE, over: OverVideos | None = None
) -> str:
    """One row a variant: mean and deviation over seeds, and in brackets the paired difference to `whole` with its 95 %
    interval. With `over`, intervals over videos stand behind the figures, and differences over videos in a table below.

    The column after the seeds is what a choice may rest on: video-level AUC on validation videos.
    """
    lines = ["| variant | seeds | validation | " + " | ".join(figures) + " |", "|---" * (len(figures) + 3) + "|"]
    for name, seeds in rows.items():
        if over is not None:
            over.add(name, seeds)
        validation = float(np.mean([row.validation for row in seeds]))
        other = () if name == whole else rows.get(whole, ())
        cells = [_cell(seeds, other, figure, over.bounds(name, figure) if over else "") for figure in figures]
        lines.append(f"| {name} | {len(seeds)} | {validation:.4f} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + with_table(over, whole)


def _cell(seeds: Sequence[SeedRow], whole: Sequence[SeedRow], figure: str, bounds: str) -> str:
    values = [float(value) for row in seeds if (value := row.metrics.get(figure)) is not None]
    if len(values) < len(seeds):
        return "-"
    digits = 4 if max(abs(value) for value in values) < 2 else 1
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    text = f"{np.mean(values):.{digits}f} ± {deviation:.{digits}f}{bounds}"
    difference = paired(seeds, whole, figure)
    if difference is None:
        return text
    return f"{text} ({difference[0]:+.{digits}f} ± {difference[1]:.{digits}f})"
