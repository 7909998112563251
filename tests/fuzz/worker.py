"""A process that reads one spoilt input after another and says how it went. It may hang, grow or die: run.py sees."""

import os
import resource
import sys
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

MOST_MEMORY_BYTES = 2_000_000_000  # more than it had when it began
LONGEST_SENTENCE = 100_000


def work(kind: str, folder: str, pipe: Connection) -> None:
    """Take paths of inputs of one kind, answer each with (what, said); what is empty where nothing is wrong."""
    from fuzz.kinds import KINDS

    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    warnings.simplefilter("ignore")
    os.chdir(folder)
    read = KINDS[kind].reader(Path(folder))
    _bound_memory()
    pipe.send(("ready", ""))
    while True:
        path, seed = pipe.recv()
        pipe.send(_judged(read, Path(path), seed))


def _bound_memory() -> None:
    used = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) * 1024
    limit = used + MOST_MEMORY_BYTES
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
