"""A process that reads one spoilt input after another and says how it went. It may hang, grow or die: run.py sees."""

import os
import resource
import sys
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

MOST_MEMORY_BYTES = 2_000_000_000  # of one input, more than there was before it
_HARD_LIMIT_BYTES = 6_000_000_000  # there the system refuses, before the machine suffers
LONGEST_SENTENCE = 10_000


def work(kind: str, folder: str, pipe: Connection) -> None:
    """Take paths of inputs of one kind, answer each with (what, said).

    `what` is empty where nothing is wrong; then `said` is the sentence of a refusal, or empty where all was read.
    """
    from fuzz.kinds import KINDS

    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    warnings.simplefilter("ignore")
    os.chdir(folder)
    read = KINDS[kind].reader(Path(folder))
    _bound_memory()
    pipe.send(("ready", ""))
    while True:
        path, seed = pipe.recv()
        before = _forget_peak()
        what, said = _judged(read, Path(path), seed)
        grown = _memory("VmHWM") - before
        # a reader that bears a refused allocation has borne the input; one that filled the memory before has not
        pipe.send(("memory", f"{grown:,} bytes (memory") if grown > MOST_MEMORY_BYTES else (what, said))


def _memory(name: str) -> int:
    return int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0]) * 1024


def _forget_peak() -> int:
    """The memory in use; the most that was in use is counted from now on."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _bound_memory() -> None:
    limit = _memory("VmData") + _HARD_LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _judged(read: object, path: Path, seed: int) -> tuple[str, str]:
    from refinevad.errors import RefineVADError

    try:
        said = read(path, seed)  # type: ignore[operator]
    except RefineVADError as error:
        sentence = str(error)
        if not sentence or len(sentence) > LONGEST_SENTENCE:
            return "no sentence", f"{type(error).__name__} of {len(sentence)} letters"
        return "", sentence[:500]
    except MemoryError:
        return "memory", _last_line()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what we look for
        return "traceback", f"{type(error).__name__}: {str(error)[:300]} ({_last_line()})"
    return (said.split()[0].strip(":"), said) if said else ("", "")


def _last_line() -> str:
    """Where in refinevad it happened."""
    frames = [frame for frame in traceback.extract_tb(sys.exc_info()[2]) if "refinevad" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "elsewhere"
