"""One rule takes channels to mean 0 and spread 1, in every model and in the ridge."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cases import config, padded, random_bags
from refinevad.model_choice import open_config, open_model, ridge_config
from refinevad.ridge import CLIP, Ridge
from refinevad.standardising import LEAST_SCALE, channel_statistics, standardise_in_place, standardised

VALUES = np.array([[1.0, 10.0], [3.0, 10.0], [-8.0, 40.0]])
MEAN, SCALE = np.array([1.0, 10.0]), np.array([2.0, 5.0])


def test_by_hand() -> None:
    """(x - mean) / scale: 0, 1, -4.5 and 0, 0, 6."""
    wanted = [[0.0, 0.0], [1.0, 0.0], [-4.5, 6.0]]
    clipped = [[0.0, 0.0], [1.0, 0.0], [-4.0, 4.0]]
    assert standardised(VALUES, MEAN, SCALE).tolist() == wanted
    assert standardised(VALUES, MEAN, SCALE, 4.0).tolist() == clipped
    tensors = [torch.from_numpy(array) for array in (VALUES, MEAN, SCALE)]
    assert standardised(*tensors, 4.0).tolist() == clipped
    taken = VALUES.copy()
    standardise_in_place(taken, MEAN, SCALE, 4.0)
    assert taken.tolist() == clipped
    assert VALUES[2].tolist() == [-8.0, 40.0]


def test_statistics_are_of_real_segments_and_a_still_channel_is_not_blown_up() -> None:
    """Channels 2 and 0 of segments (1, 5, 7), (3, 5, 7): mean 7 and 2, spread 0 and 1."""
    x, mask = padded([np.array([[1, 5, 7], [3, 5, 7]], np.float32)], beyond=2, filling=99.0)
    mean, scale = channel_statistics(x, mask, torch.tensor([2, 0]))
    assert mean.tolist() == [7.0, 2.0]
    assert scale.tolist() == pytest.approx([LEAST_SCALE, 1.0])


def test_every_model_and_the_ridge_see_the_same_numbers() -> None:
    """Of one mean and spread, to the bit; what lies in the padding is nobody's."""
    bags = random_bags([7, 4], 6, 3)
    x, mask = padded(bags, beyond=1, filling=1e30)
    ours = open_model(config(input_clip=CLIP, direct=True, ridge=True)).eval()
    control = open_model(ridge_config(config())).eval()
    other = open_model(replace(open_config({"head": "sultani", "channels": 6, "categories": ["a"]}), input_clip=CLIP))
    seen: list[torch.Tensor] = []
    for model in (ours, control, other.eval()):
        model.fit_statistics(x, mask)
    for head in (control.head, other.head):
        head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    standard = ours.standardise(ours.look(x), mask)
    with torch.no_grad():
        control(x, mask)
        other(x, mask)
    mean, scale = ours.input_mean.numpy(), ours.input_scale.numpy()
    for found in seen:
        assert torch.equal(found[mask], standard[mask])
        assert not found[~mask].any()
    assert not standard[~mask].any()
    nothing = np.zeros(6, np.float32)
    ridge = Ridge(mean, scale, nothing, 0.0, np.zeros((1, 6), np.float32), np.zeros(1, np.float32), 1.0)
    assert ridge.standardised(bags[0]).tolist() == standard[0, :7].tolist()
