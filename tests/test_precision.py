"""Training in 16 bits: it learns, keeps its weights in 32, goes on as if never stopped, or says it cannot."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import refinevad.training.loop as loop
import refinevad.training.precision as precision
from cases import config
from refinevad.errors import InputError
from refinevad.judging.metrics import Runs, roc_auc
from refinevad.scoring.scores import score
from refinevad.training.loop import Trained, Trainer
from refinevad.training.precision import check_precision
from refinevad.training.resume import STATE
from refinevad.training.train_options import TrainOptions
from test_loop import EVENT, OPTIONS, bags, planted

CPU = torch.device("cpu")


@pytest.mark.parametrize("options", [{}, {"direct": True}, {"positions": "none", "topology": "broadcast"}])
def test_the_pass_is_in_16_bits_and_the_losses_in_32(
    options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[torch.dtype] = []
    given: list[torch.dtype] = []
    whole = loop.losses

    def losses(output, batch, choice):  # type: ignore[no-untyped-def]
        given.extend({value.dtype for value in vars(output).values() if isinstance(value, torch.Tensor)})
        return whole(output, batch, choice)

    monkeypatch.setattr(loop, "losses", losses)
    chosen = replace(OPTIONS, precision="bfloat16", epochs=1)
    trainer = Trainer(config(**options), chosen, bags(), bags()[:6], tmp_path, CPU)
    trainer.model.project[1].register_forward_hook(lambda _, __, result: passed.append(result.dtype))
    trained = trainer.run()
    assert set(passed) == {torch.bfloat16, torch.float32}  # training, validation
    assert set(given) == {torch.float32}
    assert {value.dtype for value in trained.model.state_dict().values()} == {torch.float32}
    state = load_file(tmp_path / STATE)
    assert {value.dtype for value in state.values()} == {torch.float32}


def test_bfloat16_finds_a_planted_event(tmp_path: Path) -> None:
    """As test_loop asks of float32: the median of three seeds."""
    training, validation = planted(64, 0)[0], planted(16, 1)[0]
    unseen, truth = planted(24, 99)
    aucs = []
    for seed in range(3):
        options = TrainOptions(seed=seed, epochs=12, batch=32, learning_rate=1e-2, averaging=0.8, precision="bfloat16")
        model = Trainer(config(), options, training, validation, tmp_path / str(seed), CPU).run().model
        scores = np.concatenate([score(model, bag.values).segments for bag in unseen])
        aucs.append(roc_auc(Runs.from_frames(scores, np.concatenate(truth) == EVENT)))
    assert float(np.median(aucs)) > 0.9, aucs


def test_bfloat16_differs_from_float32_a_little(tmp_path: Path) -> None:
    """It has 8 bits of fraction: after a step of Adam weights may differ by twice the rate, and do differ."""
    weights = []
    for name in ("float32", "bfloat16"):
        trainer = Trainer(config(), replace(OPTIONS, precision=name), bags(), [], tmp_path / name, CPU)
        trainer._step(loop.collate(bags(), 256))
        weights.append(torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()]))
    difference = (weights[0] - weights[1]).abs()
    assert 0 < float(difference.max()) <= 2 * OPTIONS.learning_rate
    assert float(difference.mean()) < 0.2 * OPTIONS.learning_rate


# --- float16: its scaler also runs on a CPU, where we refuse it only because it is slow there ------------------------


@pytest.fixture
def _float16_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "check_precision", lambda *_: None)
    # so large a scale overflows in the first steps, so small an interval grows it back
    monkeypatch.setattr(
        loop,
        "loss_scaler",
        lambda *_: torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=3),
    )


HALF = replace(OPTIONS, precision="float16", epochs=8, patience=8)


def half(folder: Path, until: int | None = None) -> tuple[Trainer, Trained | None]:
    trainer = Trainer(config(dropout=0.2), HALF, bags(), bags()[:6], folder, CPU)

    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == until:
            raise KeyboardInterrupt

    if until is None:
        return trainer, trainer.run(stop)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(stop)
    return trainer, None


@pytest.mark.usefixtures("_float16_anywhere")
def test_the_scaler_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, ended = half(tmp_path / "whole")
    half(tmp_path / "stopped", until=5)
    resumed, other = half(tmp_path / "stopped")
    assert ended is not None
    assert other is not None
    assert whole.scaler.state_dict() == resumed.scaler.state_dict()
    assert whole.scaler.get_scale() < 2.0**24
    state, expected = (load_file(tmp_path / name / STATE) for name in ("stopped", "whole"))
    assert all(torch.equal(state[name], value) for name, value in expected.items())


@pytest.mark.usefixtures("_float16_anywhere")
def test_a_step_that_overflows_is_left_out(tmp_path: Path) -> None:
    """Neither weights, their average nor the learning rate move; the scale halves."""
    trainer = Trainer(config(), HALF, bags(), [], tmp_path, CPU)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    trainer._step(loop.collate(bags(), 256))
    assert trainer.scaler.get_scale() == 2.0**126
    assert trainer.schedule.last_epoch == 0
    after = trainer.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(torch.equal(trainer.average[name], value) for name, value in before.items())


# --- what is refused --------------------------------------------------------------------------------------------


def test_float16_needs_cuda(tmp_path: Path) -> None:
    sentence = "precision float16 needs a CUDA device: got cpu; choose bfloat16 or float32"
    with pytest.raises(InputError) as error:
        Trainer(config(), replace(OPTIONS, precision="float16"), bags(), [], tmp_path, CPU)
    assert str(error.value) == sentence


def test_other_devices_train_in_float32() -> None:
    check_precision("float32", torch.device("meta"))
    with pytest.raises(InputError, match="precision bfloat16 needs a CPU or a CUDA device: got meta"):
        check_precision("bfloat16", torch.device("meta"))


def test_an_old_gpu_without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision.torch.cuda, "is_bf16_supported", lambda: False)
    check_precision("float16", torch.device("cuda"))
    with pytest.raises(InputError, match="precision bfloat16 is not supported by cuda; choose float16 or float32"):
        check_precision("bfloat16", torch.device("cuda"))


def test_unknown_precisions_are_refused() -> None:
    with pytest.raises(InputError, match="precision is one of float32, bfloat16, float16: got 'float8'"):
        TrainOptions.from_dict({"precision": "float8"})


def test_a_state_from_before_an_option_existed_goes_on(tmp_path: Path) -> None:
    """Its fingerprint lacks the option, which at its default changes nothing."""
    ended = Trainer(config(), OPTIONS, bags(), bags()[:6], tmp_path, CPU).run()
    with safe_open(tmp_path / STATE, framework="pt") as file:
        header = json.loads(file.metadata()["state"])
    del header["fingerprint"]["options"]["precision"], header["scaler"]
    save_file(load_file(tmp_path / STATE), tmp_path / STATE, metadata={"state": json.dumps(header)})
    again = Trainer(config(), OPTIONS, bags(), bags()[:6], tmp_path, CPU).run()
    assert (again.epoch, again.validation) == (ended.epoch, ended.validation)
    with pytest.raises(InputError, match="holds a run with other options"):
        Trainer(config(), replace(OPTIONS, precision="bfloat16"), bags(), bags()[:6], tmp_path, CPU).run()
