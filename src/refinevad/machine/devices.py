"""Where a network runs: the device by its name, and copies to it that do not hold up the processor."""

import torch
from torch import Tensor

from refinevad.errors import InputError


def open_device(name: str | None = None) -> torch.device:
    """The device of a name such as `cpu`, `cuda` or `cuda:1`; None: CUDA where there is one.

    Raises:
        InputError: no device's name, or one that is not here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"unknown device '{name}': use cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device '{name}' is not supported: use cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"there is no device {name}: this machine has {torch.cuda.device_count()} for CUDA; use cpu")
    return device


def pinned(values: Tensor, device: torch.device) -> Tensor:
    """The values where a GPU can fetch them by itself; for other devices as they are."""
    return values.pin_memory() if device.type == "cuda" and values.device.type == "cpu" else values


def sent(values: Tensor, device: torch.device) -> Tensor:
    """The values on the device; from pinned memory the copy runs beside what the processor does next."""
    return values.to(device, non_blocking=device.type == "cuda" and values.is_pinned())
