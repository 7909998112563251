"""N cameras, a process each that decodes; one thread that encodes and scores for all of them.

    engine = Engine(EngineOptions(), media=config.media, listeners=[delivery, hub])
    engine.start()
    for camera in config.cameras:
        engine.add(camera)          # loads its model, starts its process
    engine.status("door"); engine.preview("door")      # any thread, any time
    engine.set_model("door", Path("runs/new"))
    engine.stop()                   # ends open events, finishes clips, tells the listeners, ends the processes

Every method may be called from any thread but the engine's own, on which the listeners are called; `status`,
`statuses`, `preview` and `cameras` from that one too. What happens when frames come too late, a stream stalls or a
process dies: docs/live.md.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from refinevad.apps.live.batch import encode_together, gather
from refinevad.apps.live.camera import Camera, Task
from refinevad.apps.live.clock import Clock, SystemClock
from refinevad.apps.live.config import CameraConfig
from refinevad.apps.live.fleet import Died, Fleet, News
from refinevad.apps.live.live_model import LiveModel, ModelShelf
from refinevad.apps.live.messages import Command, Ended, Gap, Opened, Picture, Recorded, Segment
from refinevad.apps.live.records import ScoreRow
from refinevad.apps.live.sinks.base import Envelope
from refinevad.apps.live.status import CameraStatus, Listener, Preview, ScoreBatch
from refinevad.apps.live.track import CameraTrack
from refinevad.apps.live.worker import WorkerJob
from refinevad.errors import InputError

_LOOK_S = 0.2
_RING_SLACK_S = 15.0  # of packets, beyond pre-roll and delay: an event is announced after it has begun
_CLIPS_S = 5.0  # what clips are given to be finished when the engine stops


@dataclass(frozen=True)
class EngineOptions:
    """How all cameras are read and scored.

    Attributes:
        window_s, delay_s: the window rule (windows.py); None: the one the run was trained under, or 60 s and 5 s
            where it was trained without one.
        fast: read recordings as fast as they can be scored, and drop nothing of them; live sources keep their pace.
        queue_segments: segments of one camera that may wait for the encoder; of more the oldest goes.
        stall_s: without a packet for so long a stream counts as stalled, and is opened again.
        silence_s: a process that says nothing for so long is hung, and is started again.
        preview_hz, preview_long_side: small JPEG pictures of each camera; 0 a second: none.
    """

    window_s: float | None = None
    delay_s: float | None = None
    fast: bool = False
    queue_segments: int = 8
    stall_s: float = 5.0
    silence_s: float = 60.0
    preview_hz: float = 2.0
    preview_long_side: int = 640


class Engine:
    """See the module's text.

    Args:
        media: folder of snapshots and clips; None: there are none.
        clock: its monotonic clock must be the machine's, by which the cameras' processes go.
        tell: is given sentences for the operator, credentials masked.
    """

    def __init__(
        self,
        options: EngineOptions | None = None,
        *,
        media: Path | None = None,
        listeners: Sequence[Listener] = (),
        clock: Clock | None = None,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """Raises InputError where window and delay do not go together."""
        self.options, self.clock, self.media, self._tell = (
            options or EngineOptions(),
            clock or SystemClock(),
            media,
            tell,
        )
        self._shelf = ModelShelf(self.options.window_s, self.options.delay_s)
        self._listeners: tuple[Listener, ...] = tuple(listeners)
        self._cameras: dict[str, Camera] = {}
        self._changed = threading.Condition()
        self._fleet = Fleet(self._hear, self._has_room, self.options.silence_s)
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)
        self._stopping = self._failed = False
        self._turn = 0

    # -- what others call ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the scoring thread. Cameras can be added before and after."""
        self._fleet.start()
        self._thread.start()

    def stop(self) -> None:
        """End open events, finish their clips, tell the listeners, end the processes. A second call does nothing."""
        with self._changed:
            started, self._stopping = self._thread.is_alive(), True
            self._changed.notify_all()
        self._fleet.wake()
        if started:
            self._thread.join()
            self._fleet.stop()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` from now on; returns the function that ends it."""
        with self._changed:
            self._listeners = (*self._listeners, listener)

        def end() -> None:
            with self._changed:
                self._listeners = tuple(known for known in self._listeners if known is not listener)

        return end

    def add(self, camera: CameraConfig) -> None:
        """Start watching a camera. Raises InputError: the name is taken, or its run or encoder is not to be had."""
        base = self._shelf.open(camera.model)
        track = CameraTrack(
            camera.name,
            base.at(camera.threshold),
            _Voice(camera.name, lambda: self._listeners, self._fleet.command),
            self.clock,
            media=self.media,
            pre_roll_s=camera.pre_roll_s,
            post_roll_s=camera.post_roll_s,
            preview_hz=self.options.preview_hz,
        )
        fast = self.options.fast
        with self._changed:
            if camera.name in self._cameras:
                raise InputError(f"there is already a camera called {camera.name!r}; choose another name")
            self._cameras[camera.name] = Camera(
                camera, base, track, self.clock, queue_segments=self.options.queue_segments, fast=fast
            )
        for listener in self._listeners:
            listener.on_camera(camera, base.run, True)
        self._fleet.add(camera.name, self._job(camera, base))

    def remove(self, name: str) -> None:
        """Stop watching; an open event of it ends. Raises InputError where the name is not known, as all below."""
        camera = self._known(name)
        self._fleet.remove(name)

        def leave() -> None:
            camera.track.gap()
            camera.track.give_up_clips()
            with self._changed:
                self._cameras.pop(name, None)

        self._do(camera, leave)
        for listener in self._listeners:
            listener.on_camera(camera.config, camera.base.run, False)
        self._shelve()

    def set_model(self, name: str, run: Path) -> None:
        """Score with another run from the next segment on; an open event ends. Raises InputError as `add`."""
        camera, base = self._known(name), self._shelf.open(run)
        before, config = camera.base, replace(camera.config, model=run)

        def use() -> None:
            camera.track.use(base.at(config.threshold))
            camera.base, camera.config = base, config
            if (before.encoder.needs, before.segment_rule) != (base.encoder.needs, base.segment_rule):
                with self._changed:
                    camera.forget_segments()
                camera.track.give_up_clips()
                if not camera.finished:
                    self._fleet.add(name, self._job(config, base))

        self._do(camera, use)
        for listener in self._listeners:
            listener.on_camera(config, base.run, True)
        self._shelve()

    def set_threshold(self, name: str, threshold: float | None) -> None:
        """Open events above another threshold, None: the run's own; an open event ends."""
        camera = self._known(name)
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"a threshold lies in [0, 1]: got {threshold}")

        def use() -> None:
            camera.config = replace(camera.config, threshold=threshold)
            camera.track.use(camera.base.at(threshold))

        self._do(camera, use)

    @property
    def cameras(self) -> tuple[CameraConfig, ...]:
        """Those being watched, in the order in which they were added, with their present model and threshold."""
        with self._changed:
            return tuple(camera.config for camera in self._cameras.values())

    def status(self, name: str) -> CameraStatus:
        """What a camera is doing now."""
        camera, pid = self._known(name), self._fleet.pid(name)
        with self._changed:
            return camera.status(pid)

    def statuses(self) -> list[CameraStatus]:
        """Of all cameras, in the order of `cameras`."""
        with self._changed:
            return [camera.status(self._fleet.pid(name)) for name, camera in self._cameras.items()]

    def preview(self, name: str) -> Preview | None:
        """Its newest picture; None before there is one."""
        return self._known(name).preview

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until every camera has ended or failed and all its scores are told; False where the time was over first.

        Raises:
            RuntimeError: the scoring thread broke off.
        """
        with self._changed:
            over = self._changed.wait_for(
                lambda: self._failed or all(camera.finished for camera in self._cameras.values()), timeout_s
            )
        if self._failed:
            raise RuntimeError("the scoring thread broke off")
        return over

    # -- the fleet's thread -------------------------------------------------------------------------------------------

    def _hear(self, name: str, news: News) -> None:
        with self._changed:
            camera = self._cameras.get(name)
            if camera is not None and not (self._stopping and isinstance(news, Segment)):
                camera.hear(news)
                self._changed.notify_all()

    def _has_room(self, name: str) -> bool:
        with self._changed:
            camera = self._cameras.get(name)
            return self._stopping or camera is None or camera.has_room

    # -- the scoring thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._round()
            self._finish()
        except BaseException:
            self._failed = True
            raise
        finally:
            with self._changed:
                self._changed.notify_all()

    def _round(self, wait_s: float = _LOOK_S) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or any(camera.inbox for camera in self._cameras.values()), wait_s
            )
            cameras = list(self._cameras.values())
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
        if self.options.fast and batch:
            self._fleet.wake()
        for camera in cameras:
            camera.track.tick()
            self._settle(camera)

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
        if camera.follow(item):
            self._tell_state(camera)

    def _settle(self, camera: Camera) -> None:
        """A camera that has ended and has nothing left to tell needs its process no more."""
        if camera.finished or camera.state not in ("ended", "failed") or camera.track.waiting:
            return
        with self._changed:
            if camera.inbox:
                return
            camera.finished = True
            self._changed.notify_all()
        self._fleet.remove(camera.config.name)

    def _finish(self) -> None:
        """What waits is scored, what is open ends, clips are given a while."""
        while any(camera.queued for camera in self._cameras.values()):
            self._round(0.0)
        cameras = list(self._cameras.values())
        for camera in cameras:
            camera.track.gap()
            camera.track.finish_clips()
        until = self.clock.monotonic() + _CLIPS_S
        while any(camera.track.waiting for camera in cameras) and self.clock.monotonic() < until:
            self._round(0.02)
        for camera in cameras:
            camera.track.give_up_clips()
        with self._changed:
            left = [item for camera in cameras for item in camera.inbox if isinstance(item, Task)]
        for task in left:
            task.action()
            task.done.set()

    def _tell_state(self, camera: Camera) -> None:
        pid = self._fleet.pid(camera.config.name)
        with self._changed:
            status = camera.status(pid)
        if status.reason:
            self._tell(f"{status.name}: {status.reason}")
        for listener in self._listeners:
            listener.on_state(status)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _known(self, name: str) -> Camera:
        with self._changed:
            if name not in self._cameras:
                raise InputError(f"there is no camera called {name!r}")
            return self._cameras[name]

    def _do(self, camera: Camera, action: Callable[[], None]) -> None:
        """Have the scoring thread do something between two segments, and wait for it."""
        task = Task(action)
        with self._changed:
            running = self._thread.is_alive()
            if running:
                camera.inbox.appendleft(task)
                self._changed.notify_all()
        if not running:
            action()
            return
        while self._thread.is_alive() and not task.done.wait(_LOOK_S):
            pass

    def _shelve(self) -> None:
        with self._changed:
            used = {camera.base.digest for camera in self._cameras.values()}
        self._shelf.keep(used)

    def _job(self, camera: CameraConfig, model: LiveModel) -> WorkerJob:
        options = self.options
        ring_s = camera.pre_roll_s + model.rule.delay_s + _RING_SLACK_S if self.media is not None else 0.0
        return WorkerJob(
            address=camera.source,
            needs=model.encoder.needs,
            rule=model.segment_rule,
            fast=options.fast,
            stall_s=options.stall_s,
            preview_hz=options.preview_hz,
            preview_long_side=options.preview_long_side,
            ring_s=ring_s,
        )


class _Voice:
    """Carries one track's news to whoever listens, and its commands to the camera's process."""

    def __init__(
        self, camera: str, listeners: Callable[[], Sequence[Listener]], command: Callable[[str, Command], None]
    ) -> None:
        self._camera, self._listeners, self._command = camera, listeners, command

    def scores(self, model: LiveModel, rows: tuple[ScoreRow, ...]) -> None:
        batch = ScoreBatch(self._camera, model.run, model.categories, rows)
        for listener in self._listeners():
            listener.on_scores(batch)

    def event(self, envelope: Envelope) -> None:
        for listener in self._listeners():
            listener.on_event(envelope)

    def command(self, command: Command) -> None:
        self._command(self._camera, command)
