"""Workers that take files and shares of files: every core decodes and encodes, and none waits for another.

In one process the decoder and the encoder are threads that both call Python for every frame, and wait for its lock and
for each other: a fifth of two cores lay idle (docs/results/pixels.md).
"""

import math
import pickle
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from jaxtyping import Float

from refinevad.encoders.base import Encoder
from refinevad.errors import InputError
from refinevad.features.encoding import Encoded, clips_at_once, encoded_in_one_go, in_chunks
from refinevad.features.pooled import FileWork, PooledFiles
from refinevad.features.source import source_of
from refinevad.machine.ray_pool import OnRay, RayPool
from refinevad.machine.worker_pool import WorkerPool, deaths_told
from refinevad.timeline import SegmentRule
from refinevad.video.reading import DamagedVideoWarning
from refinevad.video.recording import Recording, Share

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")


class EncodingPool(ABC):
    """What takes files, and shares of long ones, whoever they are that work.

    Attributes:
        count: how many work at once.
        near: they write where this process does, and files are read here to be planned. Else all that is read of a file
            is read by who encodes it, and shares are made of the last files alone.
    """

    count: int
    near: bool

    @abstractmethod
    def submit(
        self, call: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
    ) -> "Future[_Result]":
        """Have one of them call a function of a module."""

    @property
    def long_s(self) -> float | None:
        """Seconds from which on a file is always shared; None: as it is by default (pooled.py)."""
        return None if self.near else math.inf

    def encode(
        self, path: Path, encoder: Encoder, rule: SegmentRule, progress: Callable[[int], None] | None = None
    ) -> "Encoded | None":
        """The vectors of a file's segments; None where it must be read in one go.

        So it must when it is short, has too few key frames or is damaged, and with an encoder that is not portable.

        Raises:
            InputError: as `Encoder.encode` and opening the file do.
            RefineVADError: a worker was killed.
        """
        if not encoder.portable:
            return None
        sent = pickle.dumps(encoder)
        work: FileWork[Encoded] = FileWork(path, lambda share: self.submit(encode_share, path, share, sent))
        with (
            deaths_told(f"reads {path}", "run again with --workers 1"),
            PooledFiles(self.count, [work], encoder.needs, rule, progress, self.long_s) as files,
        ):
            _, found = next(files)
        if isinstance(found, InputError):
            raise found
        return found

    def encode_all(
        self,
        paths: Sequence[Path],
        encoder: Encoder,
        rule: SegmentRule,
        progress: Callable[[int], None] | None = None,
    ) -> PooledFiles[Encoded]:
        """The vectors of every file's segments as they come, in no order: long files in shares, the others whole.

        Args:
            encoder: a portable one.
            progress: takes the frames that were done; a negative number where a file is begun anew.
        """
        sent = pickle.dumps(encoder)

        def work(path: Path) -> FileWork[Encoded]:
            return FileWork(
                path,
                lambda share: self.submit(encode_share, path, share, sent),
                lambda: self.submit(encode_file, path, rule, sent, not self.near),
            )

        return PooledFiles(self.count, [work(path) for path in paths], encoder.needs, rule, progress, self.long_s)


class Workers(WorkerPool, EncodingPool):
    """Processes of this one (machine/worker_pool.py)."""

    near = True

    def __init__(self, count: int) -> None:
        super().__init__(count, prepare)


class RayWorkers(RayPool, EncodingPool):
    """Tasks of Ray (machine/ray_pool.py)."""

    near = False

    def __init__(self, where: OnRay) -> None:
        super().__init__(where, prepare)


def open_workers(workers: int | OnRay) -> Workers | RayWorkers:
    """Workers, to be closed by `with`. Raises InputError where Ray is asked for and cannot be had."""
    return Workers(workers) if isinstance(workers, int) else RayWorkers(workers)


# --- in a worker ------------------------------------------------------------------------------------------------


def prepare() -> None:
    """While there is nothing else to do."""
    if "torch" in sys.modules:  # loaded by the program's own main module, before its variable was set
        sys.modules["torch"].set_num_threads(1)
    with suppress(ImportError):
        import_module("refinevad.encoders.lite")


@lru_cache(maxsize=1)
def _opened(encoder: bytes) -> Encoder:
    """The encoder, kept from share to share."""
    made: Encoder = pickle.loads(encoder)
    return made


def encode_share(path: Path, share: Share, encoder: bytes) -> Float[np.ndarray, "segment channel"]:
    """Vectors of a share's segments. `encoder`: pickled."""
    opened = _opened(encoder)
    chunks = in_chunks(Recording.clips_of(path, share), clips_at_once(opened.needs))
    return np.concatenate([opened.encode(clips) for clips in chunks])


def encode_file(path: Path, rule: SegmentRule, encoder: bytes, described: bool = False) -> Encoded:
    """Vectors of all of a file's segments. `encoder`: pickled; `described`: with the file's `source`."""
    opened = _opened(encoder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedVideoWarning)  # its notes are told by who asked
        encoded = encoded_in_one_go(path, opened.needs, opened.encode, rule)
    return encoded._replace(source=source_of(path)) if described else encoded
