"""A RUN folder held against what it must be, before anything is built of it.

Runs are passed from hand to hand. What one holds is read in this order, each step bounded by the one before: files that
are files, JSON that is whole, values of the kind and range they must have, sizes that are those of the stored weights,
weights that are numbers, and a model that gives numbers. No memory is taken for a size that the configuration merely
claims.
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from refinevad.errors import InputError
from refinevad.files.finite import is_finite
from refinevad.files.json_files import check_regular, read_json
from refinevad.files.shown import short
from refinevad.model_choice import open_config, open_model
from refinevad.run_outline import CONFIG as CONFIG
from refinevad.run_outline import MOST_CONFIG_BYTES as MOST_CONFIG_BYTES
from refinevad.scoring.events import Calibration
from refinevad.scoring.windows import WHOLE, WindowRule
from refinevad.segment_model import ModelConfig, SegmentModel
from refinevad.timeline import SegmentRule
from refinevad.top_k import K_DIVISOR

WEIGHTS, CALIBRATION = "model.safetensors", "calibration.json"
CONFIG_KEYS = ("model", "encoder", "signature", "training", "versions")
MOST_CALIBRATION_BYTES, MOST_WEIGHT_BYTES = 64 << 10, 4 << 30
_MOST_CHANNELS = 1 << 20
_MOST_SIZE = 1 << 24  # of any whole number among a model's options
_SHORTEST_S, _LONGEST_S, _MOST_FRAMES = 1e-3, 600.0, 100_000  # of a segment: a longer one would never be scored live
_PROBE_SEGMENTS = 4
_MOST_DEPTH = 32  # of a description's lists and objects
_KINDS = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.bool: "BOOL"}
_CALIBRATION = {
    "threshold": float,
    "low_threshold": float,
    "alerts_per_hour": float,
    "certified": bool,
    "normal_hours": float,
}

Arrays = dict[str, tuple[str, tuple[int, ...]]]  # kind and shape of each by its name


@dataclass(frozen=True)
class RunFacts:
    """What a RUN folder says of itself, each value checked.

    Attributes:
        encoder, signature, calibration, training: as in Checkpoint.
    """

    model: ModelConfig
    encoder: str
    signature: Mapping[str, Any]
    training: Mapping[str, Any]
    calibration: Calibration


def check_files(folder: Path) -> None:
    """Raises InputError where a file of a finished run is missing, is no file, or may not be read."""
    for name, most in (
        (WEIGHTS, MOST_WEIGHT_BYTES),
        (CONFIG, MOST_CONFIG_BYTES),
        (CALIBRATION, MOST_CALIBRATION_BYTES),
    ):
        path = folder / name
        if not path.exists() and not path.is_symlink():
            raise InputError(f"{folder} is no finished run ({name} is missing); train it with refinevad train")
        check_regular(path, most)
        if not os.access(path, os.R_OK):
            raise InputError(f"{path} cannot be read by this user; change its permissions")


def read_run(folder: Path) -> RunFacts:
    """Configuration and calibration, checked; the weights are not looked at. Raises InputError."""
    check_files(folder)
    path = folder / CONFIG
    config = read_json(path, MOST_CONFIG_BYTES)
    _known(config, CONFIG_KEYS, path)
    _check_finite(config, path)
    encoder, signature, training = config["encoder"], config["signature"], config.get("training", {})
    if not isinstance(encoder, str) or not encoder:
        raise InputError(f"{path}: encoder must be the name of one; got {short(encoder)}")
    for name, value in (("signature", signature), ("training", training), ("model", config["model"])):
        if not isinstance(value, dict):
            raise InputError(f"{path}: {name} must be an object; got {short(value)}")
    _check_signature(signature, path)
    window_of(training, path)
    fold = training.get("fold")
    if fold is not None and (type(fold) is not int or fold < 0):
        raise InputError(f"{path}: the training's fold must be a whole number or null; got {short(fold)}")
    return RunFacts(_model_config(config["model"], path), encoder, signature, training, read_calibration(folder))


def read_calibration(folder: Path) -> Calibration:
    """RUN/calibration.json.

    Raises:
        InputError: a value is missing, unknown, no finite number, outside of [0, 1] where scores lie, or the low
            threshold is above the other: with such a calibration nothing, or everything, would be an event.
    """
    path = folder / CALIBRATION
    content = read_json(path, MOST_CALIBRATION_BYTES)
    _known(content, _CALIBRATION, path)
    if absent := [name for name in _CALIBRATION if name not in content]:
        raise InputError(f"{path}: {absent[0]} is missing; calibrate or train the run again")
    for name, kind in _CALIBRATION.items():
        value = content[name]
        if kind is bool and type(value) is not bool:
            raise InputError(f"{path}: {name} must be true or false; got {short(value)}")
        if kind is float and not is_finite(value):
            raise InputError(f"{path}: {name} must be a finite number; got {short(value)}")
        if kind is float and value < 0:
            raise InputError(f"{path}: {name} must be at least 0; got {short(value)}")
    if not content["low_threshold"] <= content["threshold"] <= 1:
        raise InputError(
            f"{path}: 0 <= low_threshold <= threshold <= 1 must hold; "
            f"got {content['low_threshold']} and {content['threshold']}"
        )
    values: dict[str, Any] = {name: kind(content[name]) for name, kind in _CALIBRATION.items()}
    return Calibration(**values)


def k_divisor_of(config: ModelConfig, training: Mapping[str, Any]) -> int:
    """What a run's top-k divided by: its head's option, else that of its training; the field's where none is recorded.

    Raises:
        InputError: the record holds no whole number above 0.
    """
    options = training.get("options", {})
    divisor = config.k_divisor or (options.get("k_divisor", K_DIVISOR) if isinstance(options, Mapping) else K_DIVISOR)
    if type(divisor) is not int or divisor < 1:
        raise InputError(f"this run: training option k_divisor must be a whole number above 0; got {short(divisor)}")
    return divisor


def window_of(training: Mapping[str, Any], path: Path | str = "this run") -> WindowRule:
    """The window rule that a run's record of its training names; none: whole videos. Raises InputError."""
    options = training.get("options", {})
    if not isinstance(options, Mapping):
        raise InputError(f"{path}: training options must be an object; got {short(options)}")
    lengths = [options.get(name, 0.0) for name in ("window_s", "delay_s")]
    if not all(is_finite(length) for length in lengths):
        raise InputError(f"{path}: window_s and delay_s must be numbers of seconds; got {lengths[0]!r}, {lengths[1]!r}")
    if "seed" in options and type(options["seed"]) is not int:
        raise InputError(f"{path}: the seed must be a whole number; got {short(options['seed'])}")
    try:
        return WindowRule(float(lengths[0]), float(lengths[1])) if lengths[0] else WHOLE
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def load_model(config: ModelConfig, path: Path) -> SegmentModel:
    """The model of a configuration with the weights of a file, ready to score.

    Raises:
        InputError: the file's weights are not of this configuration's names, shapes and kinds, or are no numbers, or
            the model gives no number for a plain input.
    """
    stored = _stored_arrays(path)
    _check_sizes(config, stored, path)
    expected = _expected_arrays(config, path)
    for name in sorted(expected.keys() | stored.keys()):
        if expected.get(name) != stored.get(name):
            raise InputError(
                f"{path}: {name} is {_shape(stored.get(name))} there, and {_shape(expected.get(name))} by {CONFIG}; "
                "weights and configuration are not of one run, or another version's: train it again"
            )
    try:
        weights = load_file(path)
        model = open_model(config)
        model.load_state_dict(weights)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(f"{path} is damaged ({error}); train the run again") from error
    for name, value in weights.items():
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"{path}: {name} holds NaN or infinite weights; train the run again")
    _probe(model.eval(), config, path)
    return model


def _model_config(values: Mapping[str, Any], path: Path) -> ModelConfig:
    """A configuration whose every value is of its kind; lists as such, numbers of a size that can be."""
    for name in ("categories", "inputs", "prompt_owner"):
        if not isinstance(values.get(name, []), list):
            raise InputError(f"{path}: model {name} must be a list; got {short(values[name])}")
    if not isinstance(values.get("options", {}), dict) or not isinstance(values.get("head", ""), str):
        raise InputError(f"{path}: model head must be a name, and its options an object")
    if not all(isinstance(name, str) and name for name in values.get("categories", [])):
        raise InputError(f"{path}: model categories must be names; got {short(values['categories'])}")
    for name, value in _leaves(values, path):
        most = _MOST_CHANNELS if name == "channels" else _MOST_SIZE
        if type(value) is int and abs(value) > most:
            raise InputError(f"{path}: model {name} can be {most:,} at most; got {short(value)}")
    try:
        return open_config(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: the model is described wrongly ({short(error)}); train the run again") from error


def _check_signature(signature: Mapping[str, Any], path: Path) -> None:
    """Raises InputError where it names no encoder, or no rule that makes segments."""
    encoder, rule = signature.get("encoder"), signature.get("rule")
    if not isinstance(encoder, dict) or not isinstance(encoder.get("name"), str):
        raise InputError(f"{path}: signature must hold the encoder with its name; got {short(encoder)}")
    if not isinstance(rule, dict) or set(rule) not in ({"seconds"}, {"frames"}):
        raise InputError(f"{path}: the signature's rule must be seconds or frames a segment; got {short(rule)}")
    ((unit, value),) = rule.items()
    least, most = (_SHORTEST_S, _LONGEST_S) if unit == "seconds" else (1, _MOST_FRAMES)
    if not is_finite(value) or not least <= value <= most or (unit == "frames" and type(value) is not int):
        raise InputError(f"{path}: the rule's {unit} must lie in [{least:g}, {most:g}]; got {short(value)}")
    SegmentRule(**rule)


def _stored_arrays(path: Path) -> Arrays:
    """What a file holds by its header alone, which safetensors has held against the file's length."""
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} holds no weights ({error}); train the run again") from error


def _expected_arrays(config: ModelConfig, path: Path) -> Arrays:
    try:
        with torch.device("meta"):  # shapes without memory
            asked = open_model(config).state_dict()
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{path}: no model can be built as {CONFIG} says ({short(error)})") from error
    return {name: (_KINDS.get(value.dtype, "?"), tuple(value.shape)) for name, value in asked.items()}


def _check_sizes(config: ModelConfig, stored: Arrays, path: Path) -> None:
    """What would take long to lay out even without memory: layers, and the channels looked at."""
    for layers in config.layers_each:
        if not isinstance(layers, int) or layers > len(stored):
            raise InputError(
                f"{path} holds {len(stored)} arrays, which cannot be {short(layers)} layers, as {CONFIG} says"
            )
    channels = sum(last - first for first, last in config.inputs) if config.inputs else config.channels
    found = stored.get("input_mean")
    if found is None or found[1] != (channels,):
        raise InputError(f"{path}: input_mean is {_shape(found)} there; the model looks at {channels} channels")


def _probe(model: SegmentModel, config: ModelConfig, path: Path) -> None:
    """Score a plain input: finite weights may still give no number (scales of 0, negative variances, overflow).

    Raises:
        InputError: the model cannot score, or gives NaN or infinities.
    """
    values: Tensor = torch.zeros(1, _PROBE_SEGMENTS, config.channels)
    values[..., list(config.selected)] = model.input_mean
    values[:, ::2] += 1.0  # neither empty nor without motion
    try:
        with torch.inference_mode():
            output = model(values, torch.ones(1, _PROBE_SEGMENTS, dtype=torch.bool))
            found = [output.logits, output.share_logits, output.presence]
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        raise InputError(f"{path}: the model cannot score as {CONFIG} says ({short(error)})") from error
    if not all(bool(torch.isfinite(part).all()) for part in found):
        raise InputError(f"{path}: with these weights the model gives no numbers; train the run again")


def _known(content: Mapping[str, Any], names: Mapping[str, Any] | tuple[str, ...], path: Path) -> None:
    unknown = sorted(set(content) - set(names))
    if unknown:
        raise InputError(f"{path}: unknown key {short(unknown[0])}; known: {', '.join(names)}")
    needed = [name for name in ("model", "encoder", "signature") if name in names and name not in content]
    if needed:
        raise InputError(f"{path}: {needed[0]} is missing; it is damaged or of another version: train the run again")


def _check_finite(content: Any, path: Path) -> None:
    """Raises InputError for NaN and infinities anywhere in it, which JSON does not know and json.loads takes."""
    for _, value in _leaves(content, path):
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{path} holds {value}, which is no number")


def _leaves(content: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """Every value that is no list or object, with the key it stands under. Raises InputError where they nest deeply."""
    left: list[tuple[str, Any, int]] = [("", content, 0)]
    while left:
        key, value, depth = left.pop()
        if depth > _MOST_DEPTH:
            raise InputError(f"{path} nests more than {_MOST_DEPTH} lists and objects")
        if isinstance(value, dict):
            left += [(name, item, depth + 1) for name, item in value.items()]
        elif isinstance(value, list):
            left += [(key, item, depth + 1) for item in value]
        else:
            yield key, value


def _shape(array: tuple[str, tuple[int, ...]] | None) -> str:
    return "not there" if array is None else f"{' x '.join(map(str, array[1])) or 'one number'} ({array[0]})"
