"""The scoring thread: what the cameras' processes sent is encoded together, scored, and told, in its order."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from refinevad.apps.live.capture.messages import Aside, Ended, Gap, Look, Opened, Picture, Recorded, Segment
from refinevad.apps.live.clock import Clock
from refinevad.apps.live.engine.batch import encode_together, gather
from refinevad.apps.live.engine.camera import Camera, Task
from refinevad.apps.live.engine.fleet import Died, Fleet, News
from refinevad.apps.live.engine.roster import Roster
from refinevad.errors import InputError

_LOOK_S = 0.2
_CLIPS_S = 5.0  # what clips are given to be finished when the engine stops


class Scoring:
    """One thread for all cameras of a roster.

    Args:
        fast: recordings wait for room, and are to be told when there is some.
        tell_state: is given a camera whose state has changed.
    """

    def __init__(
        self, roster: Roster, fleet: Fleet, clock: Clock, *, fast: bool, tell_state: Callable[[Camera], None]
    ) -> None:
        self._roster, self._fleet, self._clock, self._fast, self._tell_state = roster, fleet, clock, fast, tell_state
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)
        self._turn = 0
        self.failed = False  # it broke off

    # -- what the engine calls ----------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> bool:
        """Score what waits, end open events, finish clips; whether there was anything to stop."""
        with self._roster.changed:
            # a thread that broke off has ended, and leaves the cameras' processes to be stopped all the same
            started = self._thread.ident is not None and not self._roster.stopping
            self._roster.stopping = True
            self._roster.changed.notify_all()
        self._fleet.wake()
        if started:
            self._thread.join()
        return started

    def do(self, camera: Camera, action: Callable[[], None]) -> None:
        """Do something between two segments of a camera, and wait for it."""
        task = Task(action)
        with self._roster.changed:
            running = self._thread.is_alive()
            if running:
                camera.inbox.appendleft(task)
                self._roster.changed.notify_all()
        if not running:
            action()
            return
        while self._thread.is_alive() and not task.done.wait(_LOOK_S):
            pass

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until every camera has finished; False where the time was over first.

        Raises:
            RuntimeError: the thread broke off.
        """
        with self._roster.changed:
            over = self._roster.changed.wait_for(
                lambda: self.failed or all(camera.finished for camera in self._roster.cameras()), timeout_s
            )
        if self.failed:
            raise RuntimeError("the scoring thread broke off")
        return over

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._roster.stopping:
                self._round()
            self._finish()
        except BaseException:
            self.failed = True  # the service is not ready any more, and says so
            raise
        finally:
            with self._roster.changed:
                self._roster.changed.notify_all()

    def _round(self, wait_s: float = _LOOK_S) -> None:
        with self._roster.changed:
            looking = any(camera.track.looking for camera in self._roster.cameras())
            self._roster.changed.wait_for(
                lambda: self._roster.stopping or any(camera.inbox for camera in self._roster.cameras()),
                0.0 if looking else wait_s,
            )
            cameras = self._roster.cameras()
            batch = gather(cameras, self._turn)
            self._turn += 1
        vectors = encode_together(batch)
        for place, (camera, item) in enumerate(batch):
            if isinstance(item, Task):
                item.action()
                item.done.set()
            elif isinstance(item, Segment):
                self._score(camera, item, vectors[place])
            else:
                self._follow(camera, item)
        if self._fast and batch:
            self._fleet.wake()
        self._look(cameras)
        for camera in cameras:
            camera.track.tick()
            self._notice(camera)
            self._settle(camera)

    def _look(self, cameras: Sequence[Camera]) -> None:
        """A piece of one camera's search for the place of its events, in turn: scores come first."""
        for place in range(len(cameras)):
            track = cameras[(self._turn + place) % len(cameras)].track
            if track.looking:
                track.look()
                return

    def _score(self, camera: Camera, item: Segment, vector: Float[np.ndarray, "channel"]) -> None:
        try:
            camera.track.segment(vector, item)
            camera.scored(item.frames)
        except InputError as error:  # its model and its pictures do not go together
            self._fleet.remove(camera.config.name)
            self._follow(camera, Ended(str(error)))

    def _follow(self, camera: Camera, item: News) -> None:
        track = camera.track
        match item:
            case Picture():
                track.picture(item)
            case Look():
                camera.health.seen = camera.health.picture.look(**vars(item))
            case Opened():
                track.begin()
            case Recorded(event, reason):
                track.recorded(event, reason)
            case Gap() | Ended():
                track.gap()
                track.finish_clips()
            case Died():
                track.gap()
                track.give_up_clips()
        if camera.follow(item) or isinstance(item, Aside):
            self._tell_state(camera)

    def _notice(self, camera: Camera) -> None:
        """Tell once of what an operator should look at, and once that it is over."""
        if camera.look_after():
            self._tell_state(camera)

    def _settle(self, camera: Camera) -> None:
        """A camera that has ended and has nothing left to tell needs its process no more."""
        if camera.finished or camera.state not in ("ended", "failed") or camera.track.waiting:
            return
        with self._roster.changed:
            if camera.inbox:
                return
            camera.finished = True
            self._roster.changed.notify_all()
        self._fleet.remove(camera.config.name)

    def _finish(self) -> None:
        """What waits is scored, what is open ends, clips are given a while."""
        while any(camera.queued for camera in self._roster.cameras()):
            self._round(0.0)
        cameras = self._roster.cameras()
        for camera in cameras:
            camera.track.gap()
            camera.track.finish_clips()
        until = self._clock.monotonic() + _CLIPS_S
        while any(camera.track.waiting for camera in cameras) and self._clock.monotonic() < until:
            self._round(0.02)
        for camera in cameras:
            camera.track.give_up_clips()
        with self._roster.changed:
            left = [item for camera in cameras for item in camera.inbox if isinstance(item, Task)]
        for task in left:
            task.action()
            task.done.set()
