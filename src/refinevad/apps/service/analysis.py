"""The analysis of one file, in a process of its own: it may crash or be killed and nothing else notices."""

import os
import resource
import time
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from refinevad.errors import RefineVADError

TELL_S = 0.25  # between two signs of progress
MOST_MEMORY_BYTES = 4_000_000_000  # beyond what the process has when it begins: pictures may grow on the way
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
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    from refinevad.detection.record import detection_record
    from refinevad.detector import Detector
    from refinevad.video.reading import probe

    torch.set_num_threads(1)
    bound_memory(MOST_MEMORY_BYTES)
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
            info = probe(Path(path))
            pipe.send(("duration", info.duration_s))
            total = info.expected_frames
            record = detection_record(
                Detector.open(run, device="cpu", allow_download=allow_download).detect(path, progress)
            )
        except RefineVADError as error:
            pipe.send(("failed", str(error).replace(path, "the file")))
            return
    notes = [str(each.message).replace(path, "the file") for each in caught if not _technical(each)]
    pipe.send(("done", result_of(record, notes)))


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
