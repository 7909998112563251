"""The analysis of one file, in a process of its own: it may crash or be killed and nothing else notices.

A long file is shared among processes that this one starts: they end with it, and each may take as much memory.
"""

import os
import resource
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refinevad.errors import RefineVADError

if TYPE_CHECKING:
    from refinevad.features.workers import Workers

TELL_S = 0.25  # between two signs of progress
MOST_MEMORY_BYTES = 4_000_000_000  # beyond what the process has when it begins: pictures may grow on the way
SHARED_S = 60.0  # of a file: below, processes take longer to start than they save
_MOST_WORKERS = 8
MOST_POINTS = 2000  # of the curve that the page draws


def analyse(path: str, run: str, pipe: Connection, allow_download: bool = False) -> None:
    """Detect in a video; send ("duration", s), ("progress", share)..., then ("done", result) or ("failed", why).

    `allow_download`: an encoder that the run names may be fetched from a model hub. Where the service is gone there is
    nobody to tell, and it ends.
    """
    with suppress(BrokenPipeError):
        _analyse(path, run, pipe, allow_download)


def _analyse(path: str, run: str, pipe: Connection, allow_download: bool) -> None:
    os.nice(5)  # cameras come first
    from refinevad.machine.cores import usable_cores
    from refinevad.video.reading import probe

    cores = usable_cores()  # before this process is held to one of them
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    frames, told = 0, 0.0

    def progress(more: int) -> None:
        nonlocal frames, told
        frames += more
        if time.monotonic() - told > TELL_S:
            told = time.monotonic()
            pipe.send(("progress", min(0.99, frames / total)))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            bound_memory(MOST_MEMORY_BYTES)
            info = probe(Path(path))
            pipe.send(("duration", info.duration_s))
            total = info.expected_frames
            with _workers(cores, info.duration_s) as workers:
                record = _record(path, run, allow_download, progress, workers)
        except RefineVADError as error:
            pipe.send(("failed", str(error).replace(path, "the file")))
            return
    notes = [str(each.message).replace(path, "the file") for each in caught if not _technical(each)]
    pipe.send(("done", result_of(record, notes)))


def _workers(cores: int, lasts_s: float) -> "AbstractContextManager[Workers | None]":
    """Processes for a long file, which start while this one imports what it needs."""
    if cores == 1 or lasts_s < SHARED_S:
        return nullcontext()
    from refinevad.features.workers import Workers

    return Workers(min(cores, _MOST_WORKERS))


def _record(
    path: str, run: str, allow_download: bool, progress: Callable[[int], None], workers: "Workers | None"
) -> dict[str, Any]:
    """What is found in the file."""
    import torch

    from refinevad.detection.record import detection_record
    from refinevad.detector import Detector

    torch.set_num_threads(1)
    detector = Detector.open(run, device="cpu", allow_download=allow_download)
    return detection_record(detector.detect(path, progress, workers))


def bound_memory(more: int) -> None:
    """Let this process take so many bytes more and no others: what needs them fails, and nothing else on the machine.

    Data is bounded, not addresses: libraries map far more than they use.
    """
    used = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = used + more if hard == resource.RLIM_INFINITY else min(used + more, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _technical(caught: warnings.WarningMessage) -> bool:
    return not issubclass(caught.category, UserWarning) or issubclass(caught.category, DeprecationWarning)


def result_of(record: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """What is kept of a detection record: its events, and its curve with no more points than can be seen."""
    segments = record.pop("segments")
    record.pop("seconds")
    stride = -(-len(segments) // MOST_POINTS) or 1
    groups = [segments[at : at + stride] for at in range(0, len(segments), stride)]
    return {
        **record,
        "notes": notes,
        "curve": {
            "start_s": [group[0]["start_s"] for group in groups],
            "end_s": [group[-1]["end_s"] for group in groups],
            "score": [max(segment["score"] for segment in group) for group in groups],
        },
    }
