"""One seed's row of a table, and how it lies on disk beside its run.

row.json                     figures of the run and of its controls, and the recipe they are of
scores.safetensors           video -> the run's segment scores; `refinevad metrics --predictions` reads it
control_scores.safetensors   control/video -> a control's

Rows of earlier versions have no scores: they keep their place in tables, without what is told over videos.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from refinevad.checkpoint import write_json
from refinevad.errors import InputError
from refinevad.files.finite import is_finite
from refinevad.files.json_files import Check, check_regular, read_own
from refinevad.files.whole import atomic_write
from refinevad.judging.intervals import are_figures, auc_words

ROW, SCORES, CONTROL_SCORES = "row.json", "scores.safetensors", "control_scores.safetensors"

MOST_SCORE_BYTES = 4 << 30
_ROW: dict[str, Check] = {
    "validation": lambda value: value is None or is_finite(value),
    "metrics": are_figures,
    "controls": lambda value: isinstance(value, dict) and all(map(are_figures, value.values())),
    "recipe": lambda value: isinstance(value, dict) and isinstance(value.get("train", {}), dict),
}

VideoScores = Mapping[str, Float[np.ndarray, "_segment"]]


@dataclass(frozen=True, eq=False)
class SeedRow:
    """Figures of one seed; `validation` is the mean over folds of the chosen epoch's video AUC.

    Attributes:
        scores: segment scores by video; empty where they were not kept.
        control_scores: the same of each control, by its name.
    """

    seed: int
    validation: float
    metrics: dict[str, Any]
    controls: dict[str, dict[str, Any]]
    scores: VideoScores = field(default_factory=dict)
    control_scores: Mapping[str, VideoScores] = field(default_factory=dict)

    @property
    def auc_words(self) -> str:
        """The frame AUC as a line of progress has it; a set without normal frames defines none."""
        return auc_words(self.metrics)

    def figures(self) -> dict[str, Any]:
        """All but the scores, as JSON holds it."""
        return {"seed": self.seed, "validation": self.validation, "metrics": self.metrics, "controls": self.controls}


def store_row(folder: Path, row: SeedRow, recipe: Mapping[str, Any]) -> None:
    """Write a row; row.json comes last, so that a row is there whole or not at all."""
    flat = {f"{name}/{video}": v for name, videos in row.control_scores.items() for video, v in videos.items()}
    for name, arrays in ((SCORES, row.scores), (CONTROL_SCORES, flat)):
        with atomic_write(folder / name) as partial:
            save_file({key: np.ascontiguousarray(values) for key, values in arrays.items()}, partial)
    kept = {key: value for key, value in row.figures().items() if key != "seed"}
    write_json(folder / ROW, {**kept, "recipe": recipe})


def read_row(folder: Path, seed: int) -> tuple[SeedRow, dict[str, Any]] | None:
    """A stored row and the recipe it is of; None where there is none.

    Raises:
        InputError: a file that is damaged.
    """
    if not (folder / ROW).exists():
        return None
    kept = read_own(folder / ROW, _ROW, "delete it to run this seed again")
    controls: dict[str, dict[str, Float[np.ndarray, _segment]]] = {}
    for key, values in _read_scores(folder / CONTROL_SCORES).items():
        name, _, video = key.partition("/")
        controls.setdefault(name, {})[video] = values
    scores = _read_scores(folder / SCORES)
    # JSON has no NaN: a set whose validation videos are of one side has no AUC over them
    validation = float("nan") if kept["validation"] is None else float(kept["validation"])
    return SeedRow(seed, validation, kept["metrics"], kept["controls"], scores, controls), kept["recipe"]


def _read_scores(path: Path) -> dict[str, Float[np.ndarray, "_segment"]]:
    """Raises InputError where it holds anything but scores, a curve for each name."""
    if not path.exists():
        return {}
    try:
        check_regular(path, MOST_SCORE_BYTES)
        found = dict(load_file(path))
        for name, values in found.items():
            if values.ndim != 1 or values.dtype.kind != "f" or not np.isfinite(values).all():
                raise ValueError(f"{name} is no curve of scores")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        # KeyError to AttributeError: arrays of a kind that NumPy has not
        raise InputError(f"{path} is damaged ({error}); delete {path.parent / ROW} to run this seed again") from error
    return found
