"""What a person asks for in training, on the command line or in Python, laid over a recipe or a folder's defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from refinevad.datasets.ucf_crime import is_annotation_folder
from refinevad.errors import InputError
from refinevad.timeline import SegmentRule
from refinevad.training.recipe import Recipe, as_recipe


def recipe_asked(
    data: Path,
    *,
    encoder: str | None = None,
    segment_s: float | None = None,
    segment_frames: int | None = None,
    features: Path | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    precision: str | None = None,
    alerts_per_hour: float | None = None,
    inputs: Sequence[str] | None = None,
    head: str | Mapping[str, Any] | None = None,
) -> Recipe:
    """The recipe of a file or a folder with the options given laid over it; `refinevad.train` says what each is.

    Raises:
        InputError: no such data, or an option that cannot be.
    """
    recipe = as_recipe(data)
    if recipe.kind == "videos" and is_annotation_folder(recipe.data):
        recipe = replace(recipe, kind="ucf-captions", encoder="captions")
    if encoder:
        recipe = replace(recipe, encoder=encoder)
    if segment_s is not None or segment_frames is not None:
        recipe = replace(recipe, rule=SegmentRule(seconds=segment_s, frames=segment_frames))
    given = {"seed": seed, "epochs": epochs, "precision": precision}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if "epochs" in options:
        options["steps"] = 0  # which would count in their place
    recipe = replace(recipe, train=replace(recipe.train, **options))
    if inputs:
        named = [inputs] if isinstance(inputs, str) else list(inputs)
        recipe = replace(recipe, model={**recipe.model, "inputs": named})
    if head:
        recipe = _with_head(recipe, head)
    if features is not None:
        recipe = recipe.with_features(features)
    if alerts_per_hour is not None:
        if not alerts_per_hour > 0:
            raise InputError(f"alerts_per_hour (--alerts-per-hour) must be above 0: got {alerts_per_hour}")
        recipe = replace(recipe, alerts_per_hour=alerts_per_hour)
    return recipe


def _with_head(recipe: Recipe, head: str | Mapping[str, Any]) -> Recipe:
    """By its name, or by a mapping of its `name` and its own options."""
    if isinstance(head, str):
        return recipe.with_head(head)
    name = head.get("name")
    if not isinstance(name, str):
        raise InputError(f"a head with options is given as a mapping that holds its name: got {dict(head)}")
    return replace(recipe.with_head(name), head=dict(head))
