"""Numbers of 16 bits in the model's pass, where the device has them; weights, losses and validation keep 32."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from refinevad.errors import InputError
from refinevad.model import Output
from refinevad.peers.base import HeadOutput
from refinevad.peers.contender import ContenderOutput

Precision = Literal["float32", "bfloat16", "float16"]
OutputT = TypeVar("OutputT", bound=Output | ContenderOutput | HeadOutput)


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raises InputError where a device cannot train so."""
    if precision == "float32":
        return
    if precision == "float16" and device.type != "cuda":
        raise InputError(f"precision float16 needs a CUDA device: got {device}; choose bfloat16 or float32")
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"precision {precision} needs a CPU or a CUDA device: got {device}; choose float32")
    if precision == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError(f"precision bfloat16 is not supported by {device}; choose float16 or float32")


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products inside run in `precision`; what needs the range stays in float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, precision))


def in_float32(output: OutputT) -> OutputT:
    """An output in which the losses lose nothing further; one in float32 is unchanged."""
    values: dict[str, Any] = {field.name: getattr(output, field.name) for field in fields(output)}
    values |= {name: value.float() for name, value in values.items() if isinstance(value, Tensor)}
    values |= {name: in_float32(value) for name, value in values.items() if isinstance(value, HeadOutput)}
    return type(output)(**values)


def loss_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Keeps small gradients of float16 above zero; does nothing in other precisions."""
    return torch.amp.GradScaler(device.type, enabled=precision == "float16")
