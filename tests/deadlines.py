"""A plugin: a test's limit is as long as this machine is slow, and a test that nothing can stop ends its process.

pytest-timeout's alarm stops what returns to Python now and then. What does not, such as a call of a library that never
ends, would hold its worker for ever, and the run with it. Such a process prints where each of its threads stands and
exits; `--max-worker-restart=0` (pyproject.toml) then ends the run, for pytest-xdist waits for ever for the tests that a
worker left undone when it gives out whole files.
"""

import faulthandler
import os
import signal
import threading
import time
from types import FrameType

import pytest
from pytest_timeout import Settings, timeout_sigalrm

from patience import patience

_BEYOND_S = float(os.environ.get("REFINEVAD_TEST_BEYOND_S", "60"))  # between the alarm and the end, on an idle machine
_LEAVING_S = 300.0  # from the last test to the end of the process
_STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the true stderr, which output capturing replaces."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        config.stash[_STDERR] = os.dup(2)


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Settings) -> bool | None:
    """Set an alarm that asks, when it rings, whether the machine has become slower meanwhile."""
    if settings.method != "signal" or threading.current_thread() is not threading.main_thread():
        return None
    began = time.monotonic()

    def wait(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        _exit_in(item.config, seconds + patience(_BEYOND_S))

    def ring(signum: int, frame: FrameType | None) -> None:
        left = patience(settings.timeout) - (time.monotonic() - began)
        if left > 0:
            wait(left)
        else:
            timeout_sigalrm(item, settings)

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.cancel_dump_traceback_later()

    item.cancel_timeout = cancel  # type: ignore[attr-defined]  # pytest-timeout calls it
    signal.signal(signal.SIGALRM, ring)
    wait(patience(settings.timeout))
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    _exit_in(session.config, patience(_LEAVING_S))


def _exit_in(config: pytest.Config, seconds: float) -> None:
    faulthandler.dump_traceback_later(seconds, exit=True, file=config.stash[_STDERR])
