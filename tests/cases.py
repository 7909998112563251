"""Random models and bags for the tests of the model, its losses and its training."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

import reference
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig

torch.set_num_threads(1)

GATES = ("hard", "soft", "fixed", "none")
TOPOLOGIES = ("segments", "broadcast", "single", "film", "none")
TOLERANCE = 1e-5  # of float32 against the float64 oracle, relative to the largest number


def _complete(options: dict[str, Any]) -> dict[str, Any]:
    """Fill in what depends on other options: ranges inside the channels, and an owner for every category's prompt."""
    channels, categories = options["channels"], len(options["categories"])
    inputs = {"all": (), "head": ((0, 1),), "ends": ((channels - 1, channels), (0, 1))}[options["inputs"]]
    owner = (*range(categories + 1), 0, categories) if options["prompt_owner"] else ()
    # r_t of a layer lies on a floor's border more often than a test could step aside
    gate = "soft" if options["shift_layers"] and options["gate"] == "hard" else options["gate"]
    ridge = options["ridge"] and options["direct"]
    return {**options, "inputs": inputs, "prompt_owner": owner, "gate": gate, "ridge": ridge}


option_sets = st.fixed_dictionaries(
    {
        "channels": st.integers(1, 9),
        "categories": st.integers(1, 4).map(lambda count: tuple("abcd"[:count])),
        "width": st.sampled_from([4, 8]),
        "heads": st.sampled_from([1, 2]),
        "layers": st.integers(0, 2),
        "shift_layers": st.integers(0, 2),
        "ridge": st.booleans(),
        "gate": st.sampled_from(GATES),
        "folding": st.integers(2, 5),
        "gate_temperature": st.sampled_from([0.2, 1.0, 4.0]),
        "positions": st.sampled_from(["relative", "none"]),
        "topology": st.sampled_from(TOPOLOGIES),
        "weights": st.sampled_from(["soft", "hard"]),
        "category_temperature": st.sampled_from([0.1, 0.2, 1.0]),
        "label_injection": st.booleans(),
        "segment_posterior": st.booleans(),
        "smoothing": st.integers(0, 3),
        "direct_smoothing": st.integers(0, 3),
        "refined_smoothing": st.integers(0, 3),
        "dropout": st.just(0.0),
        "inputs": st.sampled_from(["all", "all", "head", "ends"]),
        "direct": st.booleans(),
        "head_weight": st.sampled_from([1.0, 0.3]),
        "centre_head": st.booleans(),
        "prompt_owner": st.booleans(),
        "input_clip": st.sampled_from([0.0, 1.0]),
    }
).map(_complete)
length_lists = st.lists(st.integers(1, 7), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)


def config(**changes: Any) -> RefineVADConfig:
    """A small model's options, changed where a test needs it."""
    small: dict[str, Any] = {"channels": 6, "categories": ("a", "b", "c"), "width": 8, "heads": 2, "dropout": 0.0}
    return RefineVADConfig(**{**small, **changes})


def random_model(options: RefineVADConfig, seed: int, spread: float = 0.4) -> RefineVAD:
    """A model in which every weight and every statistic is random, the biases and tables that start at 0 too."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    model = RefineVAD(options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, spread, generator=generator)
        model.input_mean.normal_(generator=generator)
        model.input_scale.uniform_(0.5, 2.0, generator=generator)
        for gate in [model.motar] if model.motar is not None else [layer.shift for layer in model.shifts]:
            gate.motion_mean.normal_(generator=generator)
            gate.motion_scale.uniform_(0.5, 2.0, generator=generator)
        if options.ridge:
            ridge = model.evidence
            for statistic in (ridge.mean, ridge.weight, ridge.bias, ridge.share_weight, ridge.share_bias):
                statistic.normal_(0.0, spread, generator=generator)
            ridge.scale.uniform_(0.5, 2.0, generator=generator)
            model.path_mean.normal_(generator=generator)
            model.path_scale.uniform_(0.5, 2.0, generator=generator)
        if model.prompts is not None:
            for statistic in (model.prompts.vectors, model.prompts.center, model.prompts.mean):
                statistic.normal_(generator=generator)
            model.prompts.scale.uniform_(0.5, 2.0, generator=generator)
    return model.eval()


def followed(options: RefineVADConfig) -> dict[str, Any]:
    """The options the oracle follows; all others must be at their defaults, at which they do nothing."""
    for field in fields(options):
        assert field.name in reference.OPTIONS or getattr(options, field.name) == field.default
    return {name: value for name, value in options.as_dict().items() if name in reference.OPTIONS}


def random_bags(lengths: Sequence[int], channels: int, seed: int, constant: bool = False) -> list[np.ndarray]:
    """One array of segments for each length; `constant` repeats a video's first segment over all of it."""
    generator = np.random.default_rng(seed)
    bags = [generator.normal(0.0, 1.5, (length, channels)).astype(np.float32) for length in lengths]
    return [np.repeat(bag[:1], len(bag), axis=0) for bag in bags] if constant else bags


def random_labels(videos: int, categories: int, seed: int, normal: bool = False) -> np.ndarray:
    """0/1 for each category, several a video; `normal` gives none to any."""
    drawn = np.random.default_rng(seed + 1).random((videos, categories)) < 0.4
    return (drawn * (not normal)).astype(np.float32)


def padded(bags: Sequence[np.ndarray], beyond: int = 0, filling: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """(values, mask) of a batch, `beyond` segments longer than its longest bag, padded with `filling`."""
    length = max(len(bag) for bag in bags) + beyond
    values = np.full((len(bags), length, bags[0].shape[1]), filling, dtype=np.float32)
    mask = np.zeros((len(bags), length), dtype=bool)
    for row, bag in enumerate(bags):
        values[row, : len(bag)] = bag
        mask[row, : len(bag)] = True
    return torch.from_numpy(values), torch.from_numpy(mask)


def arrays(model: RefineVAD) -> dict[str, np.ndarray]:
    """The state dict as float64 arrays, for the oracle."""
    return {name: value.double().numpy() for name, value in model.state_dict().items()}


def close(ours: torch.Tensor | np.ndarray, expected: np.ndarray, tolerance: float = TOLERANCE) -> None:
    """Assert that no number is off by more than `tolerance` times the largest expected one (or 1)."""
    found = ours.detach().double().numpy() if isinstance(ours, torch.Tensor) else ours
    assert found.shape == expected.shape
    error = float(np.abs(found - expected).max(initial=0.0))
    assert error <= tolerance * max(1.0, float(np.abs(expected).max(initial=0.0))), f"off by {error:.2e}"
