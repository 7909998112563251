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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from refinevad.apps.live.capture.messages import Segment
from refinevad.apps.live.capture.worker import WorkerJob
from refinevad.apps.live.clock import Clock, SystemClock
from refinevad.apps.live.engine.announcer import Announcer
from refinevad.apps.live.engine.camera import Camera
from refinevad.apps.live.engine.fleet import Fleet, News
from refinevad.apps.live.engine.live_model import LiveModel, ModelShelf
from refinevad.apps.live.engine.roster import Roster
from refinevad.apps.live.engine.scoring import Scoring
from refinevad.apps.live.engine.track import CameraTrack
from refinevad.apps.live.engine.viewers import Take, Viewers
from refinevad.apps.live.settings.addresses import Address
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.status import CameraStatus, Learning, Listener, Preview
from refinevad.apps.live.storage.recordings import Recordings
from refinevad.errors import InputError
from refinevad.scoring.events import Calibration
from refinevad.video.zones import Zones

_RING_SLACK_S = 15.0  # of packets, beyond pre-roll and delay: an event is announced after it has begun
_KEYFRAME_S = 20.0  # a clip begins at the keyframe ahead; cameras that send few of them send one every ten seconds


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
        recordings: whether `CameraConfig.record` counts; who sets it deletes what is too old or too much.
        allow_download: an encoder that a run names may be fetched from a model hub.
        where: look for the place in the picture that each event came from (places.py).
    """

    window_s: float | None = None
    delay_s: float | None = None
    fast: bool = False
    queue_segments: int = 8
    stall_s: float = 5.0
    silence_s: float = 60.0
    preview_hz: float = 2.0
    preview_long_side: int = 640
    allow_download: bool = False
    where: bool = True
    recordings: bool = False


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
        self.options, self.clock = options or EngineOptions(), clock or SystemClock()
        self.media, self._tell = media, tell
        self._shelf = ModelShelf(self.options.window_s, self.options.delay_s, self.options.allow_download)
        self._listeners: tuple[Listener, ...] = tuple(listeners)
        self._roster = Roster()
        self._fleet = Fleet(self._hear, self._has_room, self.options.silence_s)
        self._viewers = Viewers(self._fleet.command)
        self._scoring = Scoring(
            self._roster, self._fleet, self.clock, fast=self.options.fast, tell_state=self._tell_state
        )

    # -- what others call ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the scoring thread. Cameras can be added before and after."""
        self._fleet.start()
        self._scoring.start()

    def stop(self) -> None:
        """End open events, finish their clips, tell the listeners, end the processes. A second call does nothing."""
        if self._scoring.stop():
            self._fleet.stop()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` from now on; returns the function that ends it."""
        with self._roster.changed:
            self._listeners = (*self._listeners, listener)

        def end() -> None:
            with self._roster.changed:
                self._listeners = tuple(known for known in self._listeners if known is not listener)

        return end

    def add(self, camera: CameraConfig) -> None:
        """Start watching a camera. Raises InputError: the name is taken, or its run or encoder is not to be had."""
        base = self._shelf.open(camera.model).looking_at(camera.zones)
        track = CameraTrack(
            camera.name,
            base.at(camera.threshold),
            Announcer(camera.name, lambda: self._listeners, self._fleet.command),
            self.clock,
            media=self.media,
            pre_roll_s=camera.pre_roll_s,
            post_roll_s=camera.post_roll_s,
            preview_hz=self.options.preview_hz,
            reserve_mb=camera.reserve_mb,
            longest_event_s=camera.longest_event_s,
            where=self.options.where,
        )
        queue_segments, fast = self.options.queue_segments, self.options.fast
        self._roster.add(Camera(camera, base, track, self.clock, queue_segments=queue_segments, fast=fast))
        for listener in self._listeners:
            listener.on_camera(camera, base.run, True)
        self._fleet.add(camera.name, self._job(camera, base))

    def remove(self, name: str) -> None:
        """Stop watching; an open event of it ends. Raises InputError where the name is not known, as all below."""
        camera = self._roster.known(name)
        self._fleet.remove(name)

        def leave() -> None:
            camera.track.gap()
            camera.track.give_up_clips()
            self._roster.drop(name)

        self._scoring.do(camera, leave)
        for listener in self._listeners:
            listener.on_camera(camera.config, camera.base.run, False)
        self._shelf.keep(self._roster.used())

    def set_model(self, name: str, run: Path) -> None:
        """Score with another run from the next segment on; an open event ends. Raises InputError as `add`."""
        camera = self._roster.known(name)
        base = self._shelf.open(run).looking_at(camera.config.zones)
        before, config = camera.base, replace(camera.config, model=run)

        def use() -> None:
            camera.track.use(base.at(config.threshold))
            camera.base, camera.config, camera.learning = base, config, None
            if (before.encoder.needs, before.segment_rule) != (base.encoder.needs, base.segment_rule):
                self._start_anew(camera)

        self._scoring.do(camera, use)
        for listener in self._listeners:
            listener.on_camera(config, base.run, True)
        self._shelf.keep(self._roster.used())

    def set_threshold(self, name: str, threshold: float | None) -> None:
        """Open events above another threshold, None: the run's own; an open event ends."""
        camera = self._roster.known(name)
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"a threshold lies in [0, 1]: got {threshold}")

        def use() -> None:
            camera.config, camera.learning = replace(camera.config, threshold=threshold), None
            camera.track.use(camera.base.at(threshold))

        self._scoring.do(camera, use)

    def learners(self) -> list[tuple[str, str, Calibration]]:
        """Live cameras whose threshold no person set: name, the model's fingerprint, and its own calibration."""
        return [
            (camera.config.name, camera.base.fingerprint, camera.base.checkpoint.calibration)
            for camera in self._roster.cameras()
            if camera.config.threshold is None and not camera.recording
        ]

    def learn(self, name: str, scored_by: str, found: Learning) -> None:
        """Score by a learnt threshold; an open event ends where it moves. It is of one model's scores alone."""
        camera = self._roster.known(name)

        def use() -> None:
            if camera.config.threshold is not None or camera.base.fingerprint != scored_by:
                return
            camera.learning = found
            if camera.track.model.checkpoint.calibration.threshold != found.threshold:
                camera.track.use(camera.base.at(found.threshold))

        self._scoring.do(camera, use)

    def set_zones(self, name: str, zones: Zones) -> None:
        """Look at other parts of the picture from now on; an open event ends, and its source is opened again."""
        camera = self._roster.known(name)
        base = self._shelf.open(camera.config.model).looking_at(zones)

        def use() -> None:
            camera.base, camera.config, camera.learning = base, replace(camera.config, zones=zones), None
            camera.track.use(base.at(camera.config.threshold))
            self._start_anew(camera)

        self._scoring.do(camera, use)

    def set_streams(self, name: str, source: Address, main: Address | None, record: bool) -> None:
        """Read a camera from other addresses from now on; an open event ends, and its source is opened again."""
        camera = self._roster.known(name)

        def use() -> None:
            camera.config = replace(camera.config, source=source, main=main, record=record)
            camera.track.gap()
            camera.begin_anew()
            self._start_anew(camera)

        self._scoring.do(camera, use)
        for listener in self._listeners:
            listener.on_camera(camera.config, camera.base.run, True)

    @property
    def cameras(self) -> tuple[CameraConfig, ...]:
        """Those being watched, in the order in which they were added, with their present model and threshold."""
        return self._roster.configurations()

    def status(self, name: str) -> CameraStatus:
        """What a camera is doing now."""
        camera, pid = self._roster.known(name), self._fleet.pid(name)
        with self._roster.changed:
            return camera.status(pid)

    def statuses(self) -> list[CameraStatus]:
        """Of all cameras, in the order of `cameras`."""
        return self._roster.statuses(self._fleet.pid)

    def preview(self, name: str) -> Preview | None:
        """Its newest picture; None before there is one."""
        return self._roster.known(name).preview

    def view(self, name: str, take: Take) -> Callable[[], None]:
        """Hand a camera's stream to `take` as it comes, as fragmented MP4; returns the function that ends it.

        `take` is called on the fleet's thread, and must return at once.
        """
        self._roster.known(name)
        return self._viewers.join(name, take)

    @property
    def broken(self) -> str | None:
        """Why nothing is scored any more, in a sentence; None: all is as it should be."""
        return "scoring broke off, and no camera is looked at: start again" if self._scoring.failed else None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until every camera has ended or failed and all its scores are told; False where the time was over first.

        Raises:
            RuntimeError: the scoring thread broke off.
        """
        return self._scoring.wait(timeout_s)

    # -- the fleet's thread -------------------------------------------------------------------------------------------

    def _hear(self, name: str, news: News) -> None:
        if self._viewers.hear(name, news):
            return
        with self._roster.changed:
            camera = self._roster.find(name)
            if camera is not None and not (self._roster.stopping and isinstance(news, Segment)):
                camera.hear(news)
                self._roster.changed.notify_all()

    def _has_room(self, name: str) -> bool:
        with self._roster.changed:
            camera = self._roster.find(name)
            return self._roster.stopping or camera is None or camera.has_room

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _tell_state(self, camera: Camera) -> None:
        pid = self._fleet.pid(camera.config.name)
        with self._roster.changed:
            status = camera.status(pid)
        if status.reason:
            self._tell(f"{status.name}: {status.reason}")
        if status.notice:
            self._tell(f"{status.name}: {status.notice}")
        for listener in self._listeners:
            listener.on_state(status)

    def _start_anew(self, camera: Camera) -> None:
        """Another process for a camera whose pictures are to be made otherwise; what waits is of no use."""
        with self._roster.changed:
            camera.forget_segments()
        camera.track.give_up_clips()
        if not camera.finished:
            self._fleet.add(camera.config.name, self._job(camera.config, camera.base))

    def _job(self, camera: CameraConfig, model: LiveModel) -> WorkerJob:
        options = self.options
        ring_s = camera.pre_roll_s + model.rule.delay_s + _RING_SLACK_S if self.media is not None else 0.0
        return WorkerJob(
            address=camera.source,
            needs=replace(model.encoder.needs, zones=camera.zones),
            rule=model.segment_rule,
            fast=options.fast,
            stall_s=options.stall_s,
            preview_hz=options.preview_hz,
            preview_long_side=options.preview_long_side,
            ring_s=ring_s,
            reserve_mb=camera.reserve_mb,
            most_clip_s=camera.longest_event_s + camera.pre_roll_s + camera.post_roll_s + _KEYFRAME_S,
            main=camera.main,
            recordings=self._recordings(camera),
        )

    def _recordings(self, camera: CameraConfig) -> Path | None:
        """The folder of a camera's continuous recording, where there is to be one."""
        if not (self.options.recordings and camera.record and camera.source.live and self.media is not None):
            return None
        return Recordings(self.media.absolute()).folder(camera.name)
