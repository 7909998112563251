"""Devices by name, copies to them, and the commands that take one. What needs CUDA is skipped by name without it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cases import config, random_bags, random_labels, random_model
from refinevad.datasets.bag import Bag
from refinevad.errors import InputError
from refinevad.machine.devices import open_device, pinned, sent
from refinevad.scoring.scores import score
from refinevad.training.bags import collate
from refinevad.training.distributed import ALONE
from refinevad.training.loading import read_batches
from refinevad.training.loop import Trainer
from refinevad.training.train_options import TrainOptions

torch.set_num_threads(1)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def test_names() -> None:
    assert open_device("cpu") == torch.device("cpu")
    assert open_device() == torch.device("cuda" if torch.cuda.is_available() else "cpu")
    assert ALONE.device(None) == open_device()
    for name in ("gpu", "cuda:x", "meta", ""):
        with pytest.raises(InputError, match=f"device '{name}'"):
            open_device(name)


@no_cuda
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_a_device_that_is_not_here_is_said_so(name: str) -> None:
    with pytest.raises(InputError, match=f"no device {name}: this machine has 0 for CUDA"):
        open_device(name)
    with pytest.raises(InputError, match="this machine has 0"):
        ALONE.device(name)


def test_on_a_cpu_nothing_is_copied() -> None:
    values = torch.ones(3)
    device = torch.device("cpu")
    assert pinned(values, device) is values
    assert sent(values, device) is values


def bags() -> list[Bag]:
    values = random_bags([5, 9, 3, 7], 6, 0)
    labels = random_labels(4, 3, 0)
    labels[::2], labels[1::2, 0] = 0.0, 1.0
    return [Bag(value, label) for value, label in zip(values, labels, strict=True)]


@needs_cuda
def test_batches_come_pinned_and_whole() -> None:
    cuda = torch.device("cuda")
    assert pinned(torch.ones(3), cuda).is_pinned()
    for batch, indices in zip(read_batches(bags(), [[0, 1], [2, 3]], 8, "pool", cuda), [[0, 1], [2, 3]], strict=True):
        expected = collate([bags()[i] for i in indices], 8)
        assert batch.values.device.type == "cuda"
        assert torch.equal(batch.values.cpu(), expected.values)
        assert torch.equal(batch.mask.cpu(), expected.mask)


@needs_cuda
def test_scores_and_a_step_agree_with_the_cpus(tmp_path: Path) -> None:
    model = random_model(config(), 0)
    values = random_bags([40], 6, 1)[0]
    expected = score(model, values).segments
    np.testing.assert_allclose(score(model.to("cuda"), values).segments, expected, atol=1e-4)
    figures = []
    for device in ("cpu", "cuda"):
        trainer = Trainer(config(), TrainOptions(batch=4), bags(), [], tmp_path, torch.device(device))
        trainer.model.train()
        (batch,) = trainer.batches(0, trainer.order(0))
        figures.append(trainer._step(batch)["loss"])
    assert figures[0] == pytest.approx(figures[1], rel=1e-3)


@no_cuda
@pytest.mark.parametrize("command", ["detect", "evaluate", "train"])
def test_commands_refuse_a_device_that_is_not_here(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from refinevad.apps.cli import main

    (tmp_path / "train" / "normal").mkdir(parents=True)
    arguments = {
        "detect": ["v.mp4", "--model", tmp_path, "--out", tmp_path],
        "evaluate": [tmp_path, "--data", tmp_path],
        "train": [tmp_path, "--out", tmp_path / "run"],
    }[command]
    assert main([command, *map(str, arguments), "--device", "cuda"]) == 2
    assert "there is no device cuda" in capsys.readouterr().err
