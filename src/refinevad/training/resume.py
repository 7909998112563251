"""A run's state between epochs, as safetensors: stopped in mid-epoch, it goes on after the last whole one."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from refinevad.errors import InputError
from refinevad.files.json_files import check_regular
from refinevad.files.shown import short
from refinevad.files.strict_json import parse_json
from refinevad.files.whole import atomic_write
from refinevad.training.train_options import TrainOptions
from refinevad.training.validation import Validation

STATE = "state.safetensors"
MOST_STATE_BYTES = 32 << 30
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's


@runtime_checkable
class Resumable(Protocol):
    """What is kept of a training run (loop.py: Trainer), by its names there."""

    best: dict[str, Tensor] | None
    best_validation: Validation | None
    best_epoch: int
    epoch: int
    average: dict[str, Tensor]
    optimizer: torch.optim.AdamW
    schedule: torch.optim.lr_scheduler.LambdaLR
    scaler: torch.amp.GradScaler
    folder: Path
    device: torch.device

    @property
    def model(self) -> torch.nn.Module: ...

    @property
    def fingerprint(self) -> dict[str, Any]: ...


def save_state(trainer: Resumable) -> None:
    """Write weights, their average, the best epoch, the optimizer's moments and the scaler, atomically."""
    tensors: dict[str, Tensor] = {}
    _put(tensors, "model", trainer.model.state_dict())
    _put(tensors, "average", trainer.average)
    _put(tensors, "best", trainer.best or {})
    optimizer = trainer.optimizer.state_dict()
    for index, moments in optimizer["state"].items():
        _put(tensors, f"optimizer.{index}", moments)
    best = trainer.best_validation
    header = {
        "epoch": trainer.epoch,
        "best_epoch": trainer.best_epoch,
        "best": None if best is None else [best.video_auc, best.loss],
        "schedule_steps": trainer.schedule.last_epoch,
        "scaler": trainer.scaler.state_dict(),
        "fingerprint": trainer.fingerprint,
    }
    with atomic_write(trainer.folder / STATE) as partial:
        save_file(tensors, partial, metadata={"state": json.dumps(header)})


def load_state(trainer: Resumable) -> None:
    """Bring a trainer to where its folder's state left off; without a state, do nothing.

    Raises:
        InputError: the state belongs to another configuration or data set, or is damaged.
    """
    path = trainer.folder / STATE
    if not path.exists():
        return
    try:
        check_regular(path, MOST_STATE_BYTES)
        with safe_open(path, framework="pt", device=str(trainer.device)) as file:
            header = parse_json(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        fingerprint, best = header["fingerprint"], header["best"]
        # options that came after the state was written are at their defaults, which change nothing
        fingerprint["options"] = {**asdict(TrainOptions()), **fingerprint["options"]}
        epochs, scaler = (header["best_epoch"], header["epoch"], header["schedule_steps"]), header.get("scaler", {})
        if not all(type(number) is int and number >= -1 for number in epochs) or epochs[1] < 0:
            raise ValueError(f"its epochs are {short(epochs)}")
        if not isinstance(scaler, dict) or not all(isinstance(figure, int | float) for figure in best or ()):
            raise ValueError("its figures are none")
        best_validation = None if best is None else Validation(*best)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError, InputError) as error:
        raise InputError(f"training state {path} is damaged ({error}); delete it to start again") from error
    if fingerprint != json.loads(json.dumps(trainer.fingerprint)):
        raise InputError(
            f"{trainer.folder} holds a run with other options or another data set; choose another --out, or delete it"
        )
    if wrong := _misfit(trainer, tensors):
        raise InputError(f"training state {path} is damaged ({wrong}); delete it to start again")
    try:
        trainer.model.load_state_dict(_take(tensors, "model"))
        averages = _take(tensors, "average")
        for name, average in trainer.average.items():  # in place: the trainer pairs them with the model's
            average.copy_(averages[name])
    except (RuntimeError, KeyError) as error:
        raise InputError(f"training state {path} is damaged (weights are missing); delete it to start again") from error
    trainer.best = _take(tensors, "best") or None
    trainer.best_validation = best_validation
    trainer.best_epoch, trainer.epoch, steps = epochs
    skeleton = trainer.optimizer.state_dict()
    skeleton["state"] = {
        index: _take(tensors, f"optimizer.{index}") for index in range(len(list(trainer.model.parameters())))
    }
    skeleton["state"] = {index: moments for index, moments in skeleton["state"].items() if moments}
    trainer.optimizer.load_state_dict(skeleton)
    trainer.scaler.load_state_dict(scaler)
    _advance(trainer.schedule, steps)


def _misfit(trainer: Resumable, tensors: dict[str, Tensor]) -> str:
    """What is not as it was saved: a weight, an average, a best one or a moment that is lost, of another shape, or no
    number; nothing where all are."""
    shapes = {name: value.shape for name, value in trainer.model.state_dict().items()}
    averages = {name: value.shape for name, value in trainer.average.items()}
    for prefix, wanted in (("model", shapes), ("average", averages), ("best", averages)):
        found = {name: value.shape for name, value in _take(tensors, prefix).items()}
        if found != wanted and (found or prefix != "best"):
            return f"its {prefix} weights are missing or not this model's"
    for index, parameter in enumerate(trainer.model.parameters()):
        moments = _take(tensors, f"optimizer.{index}")
        shapes = {name: torch.Size() if name == "step" else parameter.shape for name in _MOMENTS}
        if moments and {name: value.shape for name, value in moments.items()} != shapes:
            return f"its optimizer's moments of parameter {index} are not whole"
    strange = (name for name, value in tensors.items() if not bool(torch.isfinite(value).all()))
    name = next(strange, "")
    return name and f"{name} holds NaN or infinite numbers"


def _advance(schedule: Any, steps: int) -> None:
    schedule.last_epoch = steps
    for group, base, factor in zip(
        schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
    ):
        group["lr"] = base * factor(steps)


def _put(tensors: dict[str, Tensor], prefix: str, values: dict[str, Any]) -> None:
    for name, value in values.items():
        tensors[f"{prefix}/{name}"] = torch.as_tensor(value).detach().contiguous()


def _take(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.split("/", 1)[1]: value for name, value in tensors.items() if name.startswith(f"{prefix}/")}
