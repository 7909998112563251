"""Live curves: each epoch's figures as TensorBoard scalars."""

from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from refinevad.errors import InputError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CURVES = "tensorboard"


def check_tensorboard() -> None:
    """Raises InputError where the package is not installed."""
    if find_spec("tensorboard") is None:
        raise InputError("--tensorboard needs the package tensorboard; pip install 'refinevad[train]'")


class Curves:
    """Writes RUN/tensorboard; a run that goes on after a stop continues its curves."""

    def __init__(self, run: Path) -> None:
        check_tensorboard()
        self.folder = run / CURVES
        self._writer: SummaryWriter | None = None

    def add(self, epoch: int, figures: dict[str, float]) -> None:
        """One point of each curve, by the names of history.jsonl."""
        from torch.utils.tensorboard import SummaryWriter

        if self._writer is None:
            # points from this epoch on that a stopped run left are dropped by whoever reads the curves
            self._writer = SummaryWriter(str(self.folder), purge_step=epoch)
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def __enter__(self) -> "Curves":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
