"""Figures of an evaluation by name, each with its interval, and what the model is ahead of its controls by."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from refinevad.checkpoint import finite
from refinevad.errors import InputError
from refinevad.files.names import hint
from refinevad.judging.evaluation import Result
from refinevad.judging.intervals import SUFFIX, bounds_of, figure_of

DIFFERENCE = "model_minus_control"
_NO_FIGURES = frozenset(("controls", "by_category", "failed", "resampled", "auc_minus_video_mean", DIFFERENCE))
_SHOWN = ("auc", "within_auc", "ap", "ano_auc", "video_auc", "event_f1")


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval over videos.

    Attributes:
        value: None where it is not defined, as an AUC without normal frames.
        low, high: None where there are too few videos, or the figure has no interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        value = "undefined" if self.value is None else f"{self.value:.3f}"
        return value if self.low is None else f"{value} [{self.low:.3f}, {self.high:.3f}]"


class Figures(Mapping[str, Figure]):
    """An evaluation's figures: `figures["auc"]`, `figures["recall_at_fpr/0.01"]`, and so on (docs/formats.md).

    Attributes:
        controls: figures of chance, of a trivial control and of the run's ridge control, on the same videos.
        by_category: plain figures over each category's videos and the normal ones.
        failed: test videos that could not be read, with a sentence each.
        notes: what a person should know of the videos and of truth that was left aside.
        content: everything, as `refinevad evaluate --json` gives it.
    """

    def __init__(self, content: Mapping[str, Any], controls: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.content = content
        self.controls = {name: Figures(row) for name, row in (controls or {}).items()}
        self.by_category: Mapping[str, Mapping[str, Any]] = content.get("by_category", {})
        self.failed: Mapping[str, str] = content.get("failed", {})
        self.notes: tuple[str, ...] = tuple(content.get("notes", ()))
        self._names = [*_names(content)]

    @classmethod
    def of(cls, result: Result, failed: Mapping[str, str], notes: tuple[str, ...]) -> "Figures":
        """Of a result, with what was left out on the way to it."""
        told = {
            "controls": result.controls,
            "by_category": result.by_category,
            "failed": dict(failed),
            "notes": [*notes, *result.notes],
        }
        return cls({**result.metrics, **told}, result.controls)

    def __getitem__(self, name: str) -> Figure:
        if name not in self._names:
            raise KeyError(name)
        bounds = bounds_of(self.content, name)
        low, high = (None, None) if bounds is None else bounds
        value = figure_of(self.content, name)
        return Figure(None if value is None else float(value), low, high)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def ahead_of(self, control: str, name: str = "auc") -> Figure | None:
        """By how much the model's figure is above a control's, over the same resamples of the videos.

        It is surely ahead where `low` is above 0. None where there are too few videos to tell.

        Raises:
            InputError: no control of that name, or none of its figures.
        """
        if control not in self.controls:
            raise InputError(f"no control '{control}'{hint(control, self.controls)}: there are {sorted(self.controls)}")
        gaps = self.controls[control].content.get(DIFFERENCE, {})
        if name not in gaps:
            raise InputError(f"no difference in '{name}'{hint(name, gaps)}: there are {sorted(gaps)}")
        gap = gaps[name]
        return None if gap is None else Figure(gap["difference"], *gap["ci95"])

    def to_json(self) -> str:
        """The document that `refinevad evaluate --json` writes."""
        return json.dumps(finite(self.content), indent=1) + "\n"

    def __repr__(self) -> str:
        shown = [f"{name} {self[name]}" for name in _SHOWN if name in self._names]
        return f"<Figures of {self.content.get('videos', '?')} videos: {', '.join(shown)}>"


def _names(content: Mapping[str, Any]) -> Iterator[str]:
    """Every figure, the inner ones as `outer/inner`: what is a number, or has an interval and is not defined here."""
    for name, value in content.items():
        if name.endswith(SUFFIX):
            continue
        if _is_number(value) or (value is None and name + SUFFIX in content):
            yield name
        elif isinstance(value, Mapping) and name not in _NO_FIGURES:
            yield from (f"{name}/{inner}" for inner, one in value.items() if _is_number(one))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
