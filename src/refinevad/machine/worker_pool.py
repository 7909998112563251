"""Worker processes that end when nobody waits for them: the one pool of long recordings, of data sets and of the demo.

However their work is left, by Ctrl-C or by an error, what is being made is interrupted as Ctrl-C interrupts it in one
process (KeyboardInterrupt: half-written files are removed), what waits is not begun, and no process stays behind. A
worker whose parent was killed ends. One that was killed itself breaks the pool, which is told in one sentence.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from types import TracebackType
from typing import ParamSpec, TypeVar

from refinevad.errors import RefineVADError

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")
_Pool = TypeVar("_Pool", bound="WorkerPool")


class WorkerPool:
    """So many processes, started at once and ready a second later; to be closed, by `with`. Each has one thread.

    A program that opens one must guard its own start by `if __name__ == "__main__"`: they import its main module. What
    was interrupted by Ctrl-C takes no more work.

    Args:
        prepare: called in each process before its first work; a function of a module.
    """

    def __init__(self, count: int, prepare: Callable[[], object] | None = None) -> None:
        context = get_context("spawn")  # not forked: this process may run threads of torch and ONNX Runtime
        # a pipe whose end tells them to leave: an event would wait for the answer of one that was killed, for ever
        told, self._telling = context.Pipe(duplex=False)
        self.count = count
        self._pool = ProcessPoolExecutor(count, context, _begin, (told, prepare))
        try:
            with _interrupts_wait():
                for _ in range(count):
                    self._pool.submit(os.getpid)  # each call starts one
        except BaseException:
            self.close()
            raise

    def __enter__(self: _Pool) -> _Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave what is not done, and wait for the processes to end."""
        self._telling.close()
        self._pool.shutdown(cancel_futures=True)

    def submit(
        self, call: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
    ) -> "Future[_Result]":
        """Have a worker call a function of a module."""
        interruptible: Callable[..., _Result] = partial(_interruptible, call)
        return self._pool.submit(interruptible, *arguments, **named)


@contextmanager
def deaths_told(whose: str, advice: str) -> Iterator[None]:
    """Around waiting for results: raises RefineVADError, one sentence, where a worker was killed.

    Args:
        whose: what such a process does, behind "a process that".
        advice: what to do.
    """
    try:
        yield
    except BrokenProcessPool as error:
        raise RefineVADError(f"a process that {whose} was killed, perhaps for want of memory; {advice}") from error


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold Ctrl-C back while workers are started: they inherit it blocked, and start without a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in a worker ------------------------------------------------------------------------------------------------

_stopped = threading.Event()  # what is still queued for this process is not begun


def _begin(told: Connection, prepare: Callable[[], object] | None) -> None:
    """As many workers as cores, each with as many threads, would wait for each other: one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # no thread but this one is to take it
    signal.signal(signal.SIGINT, lambda *_: _stopped.set())  # an idle one leaves Ctrl-C to its parent
    for watch in (_end_with_parent, lambda: _interrupt_when(told)):
        threading.Thread(target=watch, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if prepare is not None:
        prepare()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _interrupt_when(told: Connection) -> None:
    """As Ctrl-C in a terminal would, which tells all processes; a program that ends otherwise tells none."""
    with suppress(EOFError, OSError):
        told.recv_bytes()
    os.kill(os.getpid(), signal.SIGINT)


def _interruptible(call: Callable[..., _Result], *arguments: object, **named: object) -> _Result:
    """Work that Ctrl-C ends once; what comes while it is being left is not heard."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _stopped.set()
        raise KeyboardInterrupt

    idle = signal.signal(signal.SIGINT, stop)
    try:
        if _stopped.is_set():
            raise KeyboardInterrupt
        return call(*arguments, **named)
    finally:
        signal.signal(signal.SIGINT, idle)
