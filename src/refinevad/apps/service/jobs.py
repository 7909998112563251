"""Runs the analyses that wait, a few at a time, each in a process that is killed when cancelled or too slow.

What was running when the service was stopped is begun again; a file that takes the service down with it would be tried
for ever, but it runs in another process and cannot.
"""

import atexit
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.records import Job
from refinevad.apps.live.storage.store import UPLOADS, Store
from refinevad.apps.service.analysis import analyse
from refinevad.apps.service.settings import ServiceSettings

Analyse = Callable[[str, str, Connection], None]
IDLE_S = 5.0  # a waiting job is found by itself, should a wake-up be missed
_POLL_S = 0.2


class JobRunner:
    """The queue's workers, `settings.analyses` of them.

    `model`: the RUN in force; `tell` is handed each job that changed.
    """

    def __init__(
        self,
        store: Store,
        settings: ServiceSettings,
        model: Callable[[], Path | None],
        tell: Callable[[Job], None],
        work: Analyse = analyse,
    ) -> None:
        self._store, self._settings, self._model, self._tell, self._work = store, settings, model, tell, work
        self._wake, self._stop = threading.Event(), threading.Event()
        self._cancelled: set[str] = set()
        self._taken: set[str] = set()
        self._taking = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        atexit.register(self.stop)  # before multiprocessing waits for what still runs
        for job in self._store.jobs.unfinished():
            if job.state == "running":
                self._store.jobs.update(job.id, "queued", 0.0)
        for number in range(self._settings.analyses):
            thread = threading.Thread(target=self._run, name=f"analyses {number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Kill what runs; it is begun again at the next start."""
        atexit.unregister(self.stop)
        self._stop.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(10)

    def wake(self) -> None:
        self._wake.set()

    def waiting(self) -> int:
        return len(self._store.jobs.unfinished())

    def cancel(self, job: str) -> bool:
        """Stop a job and delete its file; False where it was finished already."""
        self._cancelled.add(job)
        changed = self._store.jobs.update(job, "cancelled")
        found = self._store.jobs.get(job)
        if changed and found is not None:
            self._path(found).unlink(missing_ok=True)
            self._tell(found)
        return changed

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                job = self._take()
                if job is not None:
                    try:
                        self._one(job)
                    finally:
                        self._taken.discard(job.id)
                    continue
            except StorageError:
                pass  # the database is away: the job waits with it
            self._wake.wait(IDLE_S)
            self._wake.clear()

    def _take(self) -> Job | None:
        """The oldest job that nobody works on, for this worker alone."""
        with self._taking:
            for job in self._store.jobs.unfinished():
                if job.id not in self._cancelled and job.id not in self._taken:
                    self._taken.add(job.id)
                    return job
        return None

    def _one(self, job: Job) -> None:
        run = self._model()
        if run is None:
            self._set(job.id, "failed", error="no model to analyse with; start the service with --model RUN")
            return
        if not self._set(job.id, "running", 0.0):
            return
        ours, theirs = multiprocessing.Pipe(duplex=False)
        # spawned: this process runs threads, whose locks a fork would copy in any state
        process = multiprocessing.get_context("spawn").Process(
            target=self._work, args=(str(self._path(job)), str(run), theirs), name=f"analysis {job.id}"
        )  # no daemon of multiprocessing's, which may start no process: `stop` ends it
        process.start()
        theirs.close()
        try:
            self._follow(job, process, ours)
        finally:
            process.kill()
            process.join()
            ours.close()

    def _follow(self, job: Job, process: BaseProcess, pipe: Connection) -> None:
        began = time.monotonic()
        limit_s = self._settings.analysis_least_s
        while job.id not in self._cancelled and not self._stop.is_set():
            if time.monotonic() - began > limit_s:
                self._set(job.id, "failed", error=f"stopped after {limit_s / 60:.0f} minutes; cut the video and retry")
                return
            if not pipe.poll(_POLL_S):
                continue
            try:
                kind, value = pipe.recv()
            except EOFError:
                process.join()
                self._set(
                    job.id, "failed", error=f"the analysis crashed ({process.exitcode}); convert the video to MP4"
                )
                return
            if kind == "duration":  # what it says of itself is bounded as uploads are
                limit_s += self._settings.analysis_share * min(float(value), self._settings.upload_s)
            elif kind == "progress":
                self._set(job.id, "running", float(value))
            elif kind == "done":
                self._set(job.id, "done", 1.0, result=value)
                return
            else:
                self._set(job.id, "failed", error=str(value))
                return

    def _set(self, job: str, state: Any, progress: float | None = None, **values: Any) -> bool:
        changed = self._store.jobs.update(job, state, progress, **values)
        found = self._store.jobs.get(job)
        if found is not None:
            self._tell(found)
        return changed

    def _path(self, job: Job) -> Path:
        return self._store.media / UPLOADS / job.file
