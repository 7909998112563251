"""Several processes: the weights of one, one that writes and reports, one sentence when any of them fails."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cases import config, random_bags, random_labels, random_model
from fakes import replaced
from patience import patience
from refinevad.apps.cli import main
from refinevad.datasets.bag import Bag
from refinevad.errors import InputError
from refinevad.features import kept
from refinevad.training.bags import Batch, collate
from refinevad.training.distributed import Processes
from refinevad.training.loop import Trainer, losses
from refinevad.training.train_options import TrainOptions
from videos import write_video

torch.set_num_threads(1)
TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src"
# random ports, and the loopback device: whatever the machine's name resolves to
LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "GLOO_SOCKET_IFNAME": "lo",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONPATH": str(SOURCE),
}
PLAIN = ("--device", "cpu", "--workers", "1")
EVERY_TERM = TrainOptions(batch=16, lambda_inherit=0.5, lambda_gmm=0.7, lambda_posterior=0.3)


def torchrun(*arguments: object, count: int = 2) -> "subprocess.CompletedProcess[str]":
    command = [*LAUNCHER, "--nproc-per-node", str(count), *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=patience(120))


def sentences(stderr: str) -> list[str]:
    """What refinevad itself says last; torchrun adds a report of its own."""
    return [line for line in stderr.splitlines() if line.startswith("refinevad: ") and "note" not in line]


# --- the arithmetic, in one process -----------------------------------------------------------------------------


def uneven_bags() -> list[Bag]:
    """Eight normal, then eight anomalous videos; the anomalous ones' lengths differ much between shares."""
    values = random_bags([3, 5, 2, 7, 4, 1, 6, 3, 20, 1, 1, 2, 15, 1, 2, 1], 6, 4)
    labels = random_labels(16, 3, 1)
    labels[:8], labels[8:, 1] = 0.0, 1.0
    return [Bag(value, label) for value, label in zip(values, labels, strict=True)]


@pytest.mark.parametrize("count", [2, 3, 8, 16])
def test_gradients_of_shares_add_up_to_those_of_the_batch(count: int) -> None:
    """Shares of one or two videos too, and ones without any anomalous video."""
    batch = collate(uneven_bags(), 12)
    model = random_model(config(direct=True), 5).train()

    def gradients(process: Processes) -> tuple[torch.Tensor, torch.Tensor]:
        share = process.share(batch)
        terms = losses(model(share.values, share.mask, share.labels), share, EVERY_TERM)
        parts = torch.stack(list(process.of_whole_batch(terms, share, batch).values()))
        assert len(parts) == 5
        model.zero_grad()
        parts.sum().backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]), parts.detach()

    whole, expected = gradients(Processes())
    summed, terms = torch.zeros_like(whole), torch.zeros_like(expected)
    for rank in range(count):
        gradient, parts = gradients(Processes(rank, count))
        summed, terms = summed + gradient, terms + parts
    torch.testing.assert_close(terms, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(summed, whole, rtol=1e-4, atol=2e-6)


def test_shares_are_disjoint_whole_and_balanced() -> None:
    """Ten normal and ten anomalous videos among four, each told by its first number, padded alike."""
    bags = [Bag(np.full((1 + i % 5, 2), i, np.float32), np.array([i >= 10], np.float32)) for i in range(20)]
    shares = [Processes(rank, 4).share(collate(bags, 9)) for rank in range(4)]
    assert sorted(int(video) for share in shares for video in share.values[:, 0, 0]) == list(range(20))
    for share in shares:
        assert len(share.labels) == 5
        assert 2 <= int(share.labels.sum()) <= 3
        assert share.values.shape[1] == 5
        assert share.mask.sum(-1).tolist() == [1 + int(video) % 5 for video in share.values[:, 0, 0]]


def test_more_processes_than_videos_are_refused() -> None:
    with pytest.raises(InputError, match="a batch of 16 videos cannot be shared among 17 processes"):
        Processes(0, 17).share(collate(uneven_bags(), 12))


def test_processes_draw_noise_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With dropout, the first process draws what one alone would, and another something else."""
    drawn = []

    def step(self: Trainer, batch: Batch) -> dict[str, float]:
        drawn.append(torch.rand(()))
        return {}

    monkeypatch.setattr(Trainer, "_step", step)
    monkeypatch.setattr(Processes, "copy_first", lambda *_: None)
    for process in (Processes(), Processes(0, 2), Processes(1, 2)):
        options = replace(EVERY_TERM, epochs=1)
        Trainer(config(), options, uneven_bags(), [], tmp_path, torch.device("cpu"), processes=process)._epoch()
    assert drawn[0] == drawn[1] != drawn[2]


# --- real processes ---------------------------------------------------------------------------------------------

RECIPE = """
[data]
root = "{root}"
[encoder]
segment_s = 0.2
[model]
dropout = 0.0
direct = true
width = 8
heads = 2
[train]
epochs = 2
batch = 6
learning_rate = 3e-3
lambda_gmm = 0.5
lambda_inherit = 0.3
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny videos of different lengths; the anomalous ones move."""
    root = tmp_path_factory.mktemp("set")
    for split, count in (("train", 6), ("val", 2)):
        for label, size in (("normal", (32, 32)), ("fall", (48, 32))):
            for number in range(count):
                frames = 20 + 17 * (number % 4) + (9 if label == "fall" else 0)
                write_video(root / split / label / f"{number}.mkv", frames=frames, codec="mpeg4", size=size)
    path = root / "recipe.toml"
    path.write_text(RECIPE.format(root=root))
    return path


def weights(run: Path) -> dict[str, torch.Tensor]:
    """All that a state holds of weights, but for those without effect.

    A number added to every input of a softmax changes nothing: the gradient of `coarse`'s bias and of the keys' is
    rounding noise, which Adam enlarges to steps of some size.
    """
    state = {name: value for name, value in load_file(run / "state.safetensors").items() if "optimizer" not in name}
    width = 8
    for name in state:
        if name.endswith(("core.coarse.bias", "core.inject.key.bias")):
            state[name] = torch.zeros(())
        elif name.endswith("query_key_value.bias"):
            state[name] = torch.cat([state[name][:width], state[name][2 * width :]])
    return state


def alone(recipe: Path, run: Path) -> None:
    """Train by one process, this one."""
    kept.opened_once.cache_clear()
    with replaced():
        assert main(["train", str(recipe), "--out", str(run), *PLAIN]) == 0
    kept.opened_once.cache_clear()


def test_two_processes_end_with_the_weights_of_one(recipe: Path, tmp_path: Path) -> None:
    """Videos in, run out: features by the first process, two epochs by both."""
    done = torchrun(TESTS / "fakes.py", "train", recipe, "--out", tmp_path / "two", *PLAIN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run saved in") == 1
    alone(recipe, tmp_path / "one")
    files = [{path.relative_to(run) for path in run.rglob("*")} for run in (tmp_path / "one", tmp_path / "two")]
    assert files[0] == files[1]
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in one.items():
        assert float((two[name] - value).abs().max()) <= 1e-5, name
    assert float((one["model/project.1.weight"] - one["average/project.1.weight"]).abs().max()) > 1e-4  # it moved
    history = [(tmp_path / run / "history.jsonl").read_text().splitlines() for run in ("one", "two")]
    for ours, theirs in zip(*history, strict=True):
        assert json.loads(theirs) == pytest.approx(json.loads(ours), abs=1e-5)


def test_a_closed_form_is_the_same_however_many_processes(recipe: Path, tmp_path: Path) -> None:
    done = torchrun(TESTS / "fakes.py", "train", recipe, "--out", tmp_path / "two", "--head", "linear", *PLAIN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("fitted in closed form") == 1
    with replaced():
        assert main(["train", str(recipe), "--out", str(tmp_path / "one"), "--head", "linear", *PLAIN]) == 0
    kept.opened_once.cache_clear()
    one, two = (load_file(tmp_path / run / "model.safetensors") for run in ("one", "two"))
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


def test_the_first_fails_while_the_others_wait_for_features(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = torchrun("-m", "refinevad", "train", tmp_path / "empty", "--out", tmp_path / "run", *PLAIN)
    assert done.returncode != 0
    found = sentences(done.stderr)
    assert len(found) == 1, done.stderr
    assert found[0].startswith("refinevad: error: no videos found in ")


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_distributed as t
from refinevad.apps.cli import main
whole = t.Trainer._step
def step(self, batch):
    if self.epoch == 1 and self.processes.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, batch)
t.Trainer._step = step
with t.replaced():
    sys.exit(main(["train", {recipe!r}, "--out", {out!r}, *t.PLAIN]))
"""


def test_a_killed_process_ends_the_others(recipe: Path, tmp_path: Path) -> None:
    """A real SIGKILL in the second epoch; the state of the first is whole, and one process alone can go on."""
    program = tmp_path / "program.py"
    program.write_text(KILLED.format(tests=str(TESTS), recipe=str(recipe), out=str(tmp_path / "run")))
    done = torchrun(program)
    assert done.returncode != 0
    assert f"Signal {signal.SIGKILL.value}" in done.stderr
    assert sentences(done.stderr) in (
        [],  # torchrun ended the others before they noticed
        [
            "refinevad: error: another process of this run was stopped; "
            "the same command goes on after the last whole epoch"
        ],
    )
    alone(recipe, tmp_path / "run")
    assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 2
