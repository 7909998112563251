"""Numbers of 16 bits in the model's pass, where the device has them; weights, losses and validation keep 32."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from refinevad.errors import InputError

Precision = Literal["float32", "bfloat16", "float16"]
OutputT = TypeVar("OutputT")


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
    """A dataclass of tensors in which the losses lose nothing further; one in float32 is unchanged.

    What is in it and holds tensors itself, as a head's own output is, becomes so, too.
    """
    parts: Any = output
    values: dict[str, Any] = {field.name: getattr(parts, field.name) for field in fields(parts)}
    values |= {name: value.float() for name, value in values.items() if isinstance(value, Tensor)}
    values |= {name: in_float32(value) for name, value in values.items() if _holds_tensors(value)}
    return type(output)(**values)


def _holds_tensors(value: Any) -> bool:
    return is_dataclass(value) and any(isinstance(part, Tensor) for part in vars(value).values())


def loss_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Keeps small gradients of float16 above zero; does nothing in other precisions."""
    return torch.amp.GradScaler(device.type, enabled=precision == "float16")
