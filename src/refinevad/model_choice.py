"""A model by its configuration: RefineVAD, or another head in its place, which is loaded when one is asked for.

The one door to the other heads (contender.py, peers/): who scores a RUN of RefineVAD never loads them.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from refinevad.errors import InputError
from refinevad.files.shown import short
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.segment_model import ModelConfig, SegmentModel

# options about the features, which every head has in the same meaning (RefineVADConfig)
SHARED_OPTIONS = ("input_clip", "merge_runs", "empty", "smoothing", "relative_smoothing", "video_weight")
HEADS_WITH_TEXT = ("vadclip",)  # that take written prompts


def open_config(values: Any) -> ModelConfig:
    """The configuration that a RUN holds. Raises InputError for what is none, or an option that does not exist."""
    if not isinstance(values, Mapping):
        raise InputError(f"a run's model is a table of options, not {short(values)}")
    if "head" not in values:
        return RefineVADConfig.from_dict(without_old_options(values))
    config: ModelConfig = _other_heads().ContenderConfig.from_dict(values)
    return config


def without_old_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """RefineVAD's options less those that older runs hold and this version has not, where these change no score.

    Raises:
        InputError: one that would change it.
    """
    kept = {name: value for name, value in values.items() if name not in ("direct_dropout", "prompt_weight")}
    weight = values.get("prompt_weight", 1.0)  # the other one acted in training alone
    if weight != 1.0:
        raise InputError(f"this run was trained with prompt_weight {short(weight)}, which is 1 now; train it again")
    return kept


def open_model(config: ModelConfig) -> SegmentModel:
    """A fresh model of a configuration. Raises InputError for an option that its head does not have."""
    if isinstance(config, RefineVADConfig):
        return RefineVAD(config)
    found: SegmentModel = _other_heads().Contender(config)
    return found


def ridge_config(config: ModelConfig) -> ModelConfig:
    """The ridge control on another model's channels, categories and tokens (contender.py)."""
    found: ModelConfig = _other_heads().ridge_config(config)
    return found


def head_options(name: str) -> set[str]:
    """Names of another head's own options. Raises InputError for a name that is no head."""
    found: set[str] = _other_heads().head_options(name)
    return found


def _other_heads() -> ModuleType:
    from refinevad.peers import contender

    return contender
