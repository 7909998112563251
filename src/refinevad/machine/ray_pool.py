"""The calls of a `WorkerPool` (worker_pool.py) as tasks of Ray: on this machine, or on as many as a cluster has.

What a call gives is the same wherever it runs, so one that is lost is made again, and one that lasts much longer than
its peers is made a second time beside it: the first answer counts. A call whose process ends again and again is given
up with an InputError, which costs one video. How often that was so is counted, and told when the pool is closed.

Ray is imported when a pool is opened, and not before.
"""

import logging
import os
import pickle
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, ParamSpec, TypeVar

import refinevad
from refinevad.errors import InputError, RefineVADError
from refinevad.machine.cores import usable_cores

LOCAL = "local"
_STORE_BYTES = 512 << 20  # of a cluster of our own: an hour of video is 30 MB, and few answers wait
_MOST_LETTERS = 20  # of a folder for temporary files: Ray has sockets below it, whose whole path may have 107
_TICK_S = 0.1  # what is handed over meanwhile is looked at so much later at most
_MOST_DEATHS, _MOST_LOSSES = 4, 20  # of one call: processes that ended under it, and nodes or answers that were lost
_AGAIN_AFTER_S = (0.0, 1.0, 5.0)  # the first, the second, and any other time
_SLOW, _SLOW_S = 3.0, 30.0  # a call lasts so many times as long as any before, and so many seconds, when none waits
_LARGE_BYTES = 100_000  # an argument of more is sent once, not with each call
_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")
_Pool = TypeVar("_Pool", bound="RayPool")


class RayWarning(UserWarning):
    """What was lost on the way, though not in the result."""


@dataclass(frozen=True)
class OnRay:
    """Where work is to be done in place of processes of this one.

    Attributes:
        address: `local`: processes that Ray starts here; `auto`: the cluster that this machine belongs to, or that
            RAY_ADDRESS names; else the head's `host:port`.
        count: how many calls are done at once; None: as many as there are cores, here or in the cluster.
    """

    address: str
    count: int | None = None


@dataclass(eq=False)
class _Call:
    """What is to be called, and what became of it so far; `begun` by time.monotonic()."""

    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    outcome: "Future[Any]"
    begun: float = 0.0
    timed: bool = True  # whether others are held against how long it lasts
    deaths: int = 0
    losses: int = 0
    tasks: list[Any] = field(default_factory=list)  # ObjectRefs, of which the first to be ready counts

    @property
    def what(self) -> str:
        """What it is about, for a sentence."""
        return next((str(each) for each in self.arguments if isinstance(each, Path)), "its work")


class RayPool:
    """So many calls at once on Ray; to be closed, by `with`. Every node needs this version of refinevad.

    A Ray that runs in this process already is used, and left running.

    Args:
        prepare: called on so many processes before their first work; a function of a module.

    Attributes:
        again: how often work was begun again, by why.

    Raises:
        InputError: Ray is not installed, or no cluster answers at that address.
    """

    def __init__(self, where: OnRay, prepare: Callable[[], object] | None = None) -> None:
        self._ray = _import_ray(local=where.address == LOCAL)
        self.again: Counter[str] = Counter()
        self._where, self._folder = where.address, ""
        self._longest_s = 0.0
        self._lock = threading.Condition()
        self._tasks: dict[Any, _Call] = {}
        self._later: list[tuple[float, _Call]] = []
        self._sent: dict[int, tuple[bytes, Any]] = {}
        self._closed = self._gone = False
        self._ours = not self._ray.is_initialized()
        if self._ours:
            self._connect(where)
        self.count = where.count or max(int(self._ray.cluster_resources().get("CPU", 1)), 1)
        self._task = self._ray.remote(num_cpus=1, max_retries=0)(_done)
        self._thread = threading.Thread(target=self._collect, name="refinevad-ray", daemon=True)
        self._thread.start()
        if prepare is not None:
            for _ in range(self.count):
                self._send(_Call(prepare, (), {}, Future(), timed=False))

    def __enter__(self: _Pool) -> _Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave what is not done, and end the processes that are ours."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._lock.notify()
            left = list(self._tasks)
        self._thread.join()
        if self._ours:
            with suppress(Exception):  # it may be gone
                self._ray.shutdown()
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)
        else:
            for task in left:
                self._ray.cancel(task, force=True)
        if self.again:
            warnings.warn(self.told(), RayWarning, stacklevel=3)

    def told(self) -> str:
        """What was begun again, in one sentence."""
        each = ", ".join(f"{count} times {why}" for why, count in sorted(self.again.items()))
        return f"work was begun again on Ray: {each}; results do not depend on it"

    def submit(
        self, call: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
    ) -> "Future[_Result]":
        """Have a function of a module called by some process."""
        outcome: Future[_Result] = Future()
        work = _Call(call, arguments, named, outcome)
        self._send(work)
        outcome.add_done_callback(lambda done: self._stop(work.tasks, force=False) if done.cancelled() else None)
        return outcome

    def _connect(self, where: OnRay) -> None:
        ours: dict[str, Any] = {"address": where.address}
        if where.address == LOCAL:
            usual = tempfile.gettempdir()
            beside = usual if len(usual) <= _MOST_LETTERS else "/tmp"
            self._folder = tempfile.mkdtemp(prefix="refinevad-ray-", dir=beside)
            ours |= {"num_cpus": where.count or usable_cores(), "include_dashboard": False}
            ours |= {"object_store_memory": _STORE_BYTES, "_temp_dir": self._folder}
        try:
            with _signals_kept():
                self._ray.init(**ours, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:  # ConnectionError is an OSError
            shutil.rmtree(self._folder, ignore_errors=True)
            reason = str(error).strip().split("\n")[0]
            advice = (
                "start one by `ray start --head`, or ask for --ray local" if where.address != LOCAL else "see its log"
            )
            raise InputError(f"no Ray cluster answers at {where.address} ({reason}); {advice}") from error

    def _send(self, work: _Call) -> None:
        with self._lock:
            if self._closed:
                work.outcome.cancel()
                return
            if self._gone:
                _settle(work, error=self._no_more())
                return
            work.begun = time.monotonic()
            arguments = [self._once(each) for each in work.arguments]
            task = self._task.remote(refinevad.__version__, work.call, work.named, *arguments)
            work.tasks.append(task)
            self._tasks[task] = work
            self._lock.notify()

    def _once(self, argument: Any) -> Any:
        """A large argument's place in the object store, where all calls find it."""
        if not isinstance(argument, bytes) or len(argument) < _LARGE_BYTES:
            return argument
        if id(argument) not in self._sent:
            self._sent[id(argument)] = argument, self._ray.put(argument)
        return self._sent[id(argument)][1]

    def _collect(self) -> None:
        """The thread that takes answers."""
        try:
            while True:
                with self._lock:
                    while not (self._tasks or self._later or self._closed):
                        self._lock.wait()
                    if self._closed:
                        return
                    tasks = list(self._tasks)
                if tasks:
                    for task in self._ray.wait(tasks, num_returns=1, timeout=_TICK_S)[0]:
                        self._take(task)
                else:
                    time.sleep(_TICK_S)
                self._due()
        finally:
            self._give_up()

    def _take(self, task: Any) -> None:
        with self._lock:
            work = self._tasks.pop(task)
        if work.outcome.done():  # its twin was faster, or nobody waits for it
            return
        errors = self._ray.exceptions
        try:
            answer = pickle.loads(self._ray.get(task))
        except errors.RayTaskError as error:
            if isinstance(error.cause, errors.RayError):
                self._lost(work, task, error.cause)
            else:
                _settle(work, error=_own(error.cause if isinstance(error.cause, Exception) else error))
        except errors.RayError as error:
            self._lost(work, task, error)
        else:
            if work.timed:
                self._longest_s = max(self._longest_s, time.monotonic() - work.begun)
            _settle(work, answer)
            self._stop([twin for twin in work.tasks if twin is not task])

    def _lost(self, work: _Call, task: Any, error: Exception) -> None:
        """Nothing came of a call: make it again, unless that was so too often."""
        work.tasks.remove(task)
        if work.outcome.cancelled() or work.tasks:  # nobody waits for it, or its twin is at it
            return
        errors = self._ray.exceptions
        if isinstance(error, errors.WorkerCrashedError | errors.OutOfMemoryError):
            work.deaths += 1
            self.again["a process was killed"] += 1
        else:
            work.losses += 1
            self.again["a node or its answer was lost"] += 1
        if work.deaths >= _MOST_DEATHS or work.losses >= _MOST_LOSSES:
            why = f"its process on Ray was killed {work.deaths} times, perhaps for want of memory"
            if work.deaths < _MOST_DEATHS:
                why = f"it was lost on Ray {work.losses} times ({str(error).strip().splitlines()[0]})"
            _settle(work, error=InputError(f"{work.what} could not be done: {why}; what else is done is kept"))
            return
        wait_s = _AGAIN_AFTER_S[min(work.deaths + work.losses, len(_AGAIN_AFTER_S)) - 1]
        self._later.append((time.monotonic() + wait_s, work))

    def _due(self) -> None:
        """Make calls again whose time has come, and twins of the slowest where nothing else waits."""
        now = time.monotonic()
        due = [work for when, work in self._later if when <= now]
        self._later = [(when, work) for when, work in self._later if when > now]
        for work in due:
            self._send(work)
        with self._lock:
            calls = [work for work in dict.fromkeys(self._tasks.values()) if not work.outcome.done()]
        if self._later or len(calls) > self.count // 2 or not self._longest_s:
            return
        late_s = max(_SLOW * self._longest_s, _SLOW_S)
        for work in calls:
            if len(work.tasks) == 1 and now - work.begun > late_s:
                self.again["a call lasted much longer than the others"] += 1
                self._send(work)

    def _stop(self, tasks: list[Any], force: bool = True) -> None:
        if not self._closed:
            for task in list(tasks):
                with suppress(Exception):  # it has ended meanwhile
                    self._ray.cancel(task, force=force)

    def _give_up(self) -> None:
        """Leave nobody waiting."""
        with self._lock:
            self._gone = True
            waiting = [*self._tasks.values(), *(work for _, work in self._later)]
        for work in waiting:
            if self._closed:
                work.outcome.cancel()
            elif not work.outcome.done():
                _settle(work, error=self._no_more())

    def _no_more(self) -> RefineVADError:
        return RefineVADError(f"the Ray at {self._where} is gone; the same command goes on where it stopped")


def _settle(work: _Call, answer: Any = None, error: Exception | None = None) -> None:
    """Give an outcome, unless whoever asked has left."""
    if work.outcome.set_running_or_notify_cancel():
        if error is None:
            work.outcome.set_result(answer)
        else:
            work.outcome.set_exception(error)


def _own(error: Exception) -> Exception:
    """What a call raised; in our own words where a node cannot even begin it."""
    if isinstance(error, ModuleNotFoundError):
        return RefineVADError(f"a node of the Ray cluster lacks {error.name}; install the same refinevad on every node")
    return error


def _import_ray(local: bool) -> ModuleType:
    """Ray, which then sends nothing anywhere; one of its own listens on the loopback interface alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if local:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # its word for: nodes are of this machine
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        return import_module("ray")
    except ModuleNotFoundError as error:
        raise InputError("--ray needs Ray; pip install 'refinevad[ray]'") from error


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray sets handlers of its own; the program's are to end it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- in a task --------------------------------------------------------------------------------------------------


def _done(version: str, call: Callable[..., Any], named: Mapping[str, Any], *arguments: Any) -> bytes:
    """What a call gives, pickled: so nobody holds on to a place in the object store."""
    if version != refinevad.__version__:
        raise RefineVADError(
            f"a node of the Ray cluster has refinevad {refinevad.__version__}, this program is {version}; "
            "install the same on every node"
        )
    return pickle.dumps(call(*arguments, **named), protocol=pickle.HIGHEST_PROTOCOL)
