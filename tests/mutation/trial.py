"""One mutant tried: its tests run in a fork, which has the heavy libraries already and the package not yet."""

import importlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# what tests import beside the package: read once, here
_HEAVY = (
    "numpy",
    "torch",
    "cv2",
    "hypothesis",
    "beartype",
    "jaxtyping",
    "pytest",
    "scipy.stats",
    "sklearn.linear_model",
)
_ARGUMENTS = (
    *("-x", "-q", "--timeout=0", "-p", "no:cacheprovider", "--hypothesis-profile=mutants"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
_LIMIT_TIMES, _LIMIT_MORE_S = 5, 10  # processor time a mutant gets: so many times what the sound source takes
_WALL_TIMES, _WALL_MORE_S = 20, 120  # the same of the clock, which other programs share: for mutants that wait
_MEMORY_MORE = 6 << 30


@dataclass(frozen=True)
class Trial:
    """How one run of the tests ended."""

    passed: bool
    out_of_time: bool
    cpu_s: float
    wall_s: float


def load_heavy() -> None:
    """Import what every run needs, before the first fork."""
    for name in _HEAVY:
        importlib.import_module(name)


def run_tests(tests: Sequence[str], source_root: Path, log: Path, sound: Trial | None = None) -> Trial:
    """Run test files in a fork against the package below `source_root`; `sound`: how that of the sound source ended."""
    began, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    child = os.fork()
    if child == 0:
        _in_child(tests, source_root, log, None if sound is None else sound.cpu_s)
    limit_s = None if sound is None else _WALL_TIMES * sound.wall_s + _WALL_MORE_S
    status, late = _wait(child, limit_s)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
    return Trial(
        os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, late or killed, cpu_s, time.monotonic() - began_s
    )


def _in_child(tests: Sequence[str], source_root: Path, log: Path, sound_s: float | None) -> None:
    """Never returns."""
    code = 70
    try:
        os.setpgid(0, 0)
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        if sound_s is not None:
            seconds = int(_LIMIT_TIMES * sound_s + _LIMIT_MORE_S)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY_MORE,) * 2)
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(log.parent / "pycache")  # what stays is compiled once
        sys.path.insert(0, str(source_root))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(source_root), os.environ.get("PYTHONPATH", "")])
        pytest = importlib.import_module("pytest")
        code = int(pytest.main([*_ARGUMENTS, *tests]))
    except BaseException:  # noqa: BLE001 - a fork must not go on where its parent was
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _wait(child: int, limit_s: float | None) -> tuple[int, bool]:
    """(status, whether the clock ended it)."""
    until = None if limit_s is None else time.monotonic() + limit_s
    while True:
        pid, status = os.waitpid(child, 0 if until is None else os.WNOHANG)
        if pid:
            return status, False
        if until is not None and time.monotonic() > until:
            os.killpg(child, signal.SIGKILL)
            return os.waitpid(child, 0)[1], True
        time.sleep(0.02)
