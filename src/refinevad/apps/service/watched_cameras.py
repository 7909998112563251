"""The cameras as people see them: what the engine watches, what is paused, and what was changed in the browser."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from refinevad.apps.live.settings.addresses import Address, parse_address
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.status import CameraStatus
from refinevad.apps.service.camera_edit import stored
from refinevad.apps.service.changes import ChangeLog
from refinevad.apps.service.engine import LiveEngine
from refinevad.errors import InputError
from refinevad.run_folder import read_calibration
from refinevad.scoring.events import Calibration
from refinevad.video.masks import checked_zones, share_hidden
from refinevad.video.zones import Zones

NONE_YET = "none yet"  # no model's fingerprint: nothing was scored with what a camera will be watched with


@dataclass(frozen=True)
class WatchedCamera:
    """A camera now; `paused`: its stream was let go of by hand, and `status` is what was last known."""

    status: CameraStatus
    config: CameraConfig
    paused: bool = False


class WatchedCameras:
    """Keeps engine and change log in step; what it does holds after a restart too. Safe to share between threads.

    A paused camera is removed from the engine, which ends its event and frees the stream, and kept here.
    """

    def __init__(
        self,
        engine: LiveEngine,
        changes: ChangeLog,
        configured: Sequence[CameraConfig],
        model: Path | None,
        make: Callable[[str, Address, Path], CameraConfig] = CameraConfig,
    ) -> None:
        """`configured`: the cameras of cameras.toml; `model`: for those that name none; `make`: of an added one."""
        self.engine, self._changes, self._default, self._make = engine, changes, model, make
        self._configured = {camera.name: camera for camera in configured}
        self._paused: dict[str, tuple[CameraConfig, CameraStatus]] = {}
        self._lock = threading.RLock()

    def start(self, tell: Callable[[str], None]) -> None:
        """Watch what was configured and what was added; a camera that cannot be is told of and left out."""
        changes = self._changes.now
        cameras = [camera for name, camera in self._configured.items() if name not in changes.removed]
        for name, address in changes.added.items():
            try:
                cameras.append(self._made(name, replace(parse_address(address), by_api=True)))
            except InputError as error:
                tell(f"camera {name!r}, added in the browser: {error}; left out")
        for camera in cameras:
            try:
                camera = self._changed(camera)
            except InputError as error:
                tell(f"camera {camera.name!r}, changed in the browser: {error}; left out")
                continue
            if camera.name in changes.paused:
                self._paused[camera.name] = (camera, _at_rest(camera))
                continue
            try:
                self.engine.add(camera)
            except InputError as error:
                tell(f"camera {camera.name!r}: {error}; left out")

    @property
    def model(self) -> Path | None:
        """RUN folder in force for cameras that name none of their own, and for uploaded files."""
        chosen = self._changes.now.model
        return Path(chosen) if chosen is not None else self._default

    def cameras(self) -> list[WatchedCamera]:
        """All cameras, watched ones first."""
        with self._lock:
            known = {camera.name: camera for camera in self.engine.cameras}
            statuses = [status for status in self.engine.statuses() if status.name in known]
            watched = [WatchedCamera(status, known[status.name]) for status in statuses]
            return watched + [WatchedCamera(status, camera, True) for camera, status in self._paused.values()]

    def find(self, name: str) -> WatchedCamera | None:
        return next((camera for camera in self.cameras() if camera.status.name == name), None)

    def calibration(self, name: str) -> Calibration:
        """Of the model a camera is watched with. Raises InputError where the camera or its run is not there."""
        return read_calibration(self._config(name).model)

    def add(
        self,
        name: str,
        address: Address,
        threshold: float | None,
        main: Address | None = None,
        record: bool | None = None,
    ) -> None:
        """Raises InputError where there is no model, the name is taken, or the model cannot be used."""
        with self._lock:
            if self.find(name) is not None:
                raise InputError(f"a camera is already called {name!r}; choose another name")
            camera = replace(self._made(name, address), threshold=threshold, main=main)
            self.engine.add(camera if record is None else replace(camera, record=record))
            large = None if main is None else main.url
            self._changes.change(
                lambda now: (
                    now.with_added(name, address.url)
                    .with_threshold(name, threshold)
                    .with_streams(name, None, large, record)
                )
            )

    def set_streams(self, name: str, source: Address, main: Address | None, record: bool) -> None:
        """Other addresses for a camera, and whether it is recorded all the time; its source is opened again."""
        with self._lock:
            before = self._config(name)
            if name in self._paused:
                camera, status = self._paused[name]
                camera = replace(camera, source=source, main=main, record=record)
                self._paused[name] = (camera, replace(status, source=source.shown))
            else:
                self.engine.set_streams(name, source, main, record)
            address = source.url if source != before.source else None
            large = ("" if main is None else main.url) if main != before.main else None
            recorded = record if record != before.record else None
            self._changes.change(lambda now: now.with_streams(name, address, large, recorded))

    def remove(self, name: str) -> None:
        with self._lock:
            if self._paused.pop(name, None) is None:
                self.engine.remove(name)
            self._changes.change(lambda now: now.with_removed(name, name in self._configured))

    def pause(self, name: str) -> None:
        with self._lock:
            if name in self._paused:
                return
            camera, found = self._config(name), self.find(name)
            self.engine.remove(name)
            self._paused[name] = (camera, _at_rest(camera, found.status if found else None))
            self._changes.change(lambda now: now.with_paused(name, True))

    def resume(self, name: str) -> None:
        with self._lock:
            if name not in self._paused:
                return
            self.engine.add(self._paused[name][0])
            del self._paused[name]
            self._changes.change(lambda now: now.with_paused(name, False))

    def set_threshold(self, name: str, threshold: float | None) -> None:
        """Move a camera's threshold; None: the model's own."""
        with self._lock:
            if name in self._paused:
                camera, status = self._paused[name]
                camera = replace(camera, threshold=threshold)
                self._paused[name] = (camera, replace(status, threshold=_threshold(camera)))
            else:
                self.engine.set_threshold(name, threshold)
            self._changes.change(lambda now: now.with_threshold(name, threshold))

    def own_threshold(self, name: str) -> float | None:
        """What was set for a camera; None: it takes the model's. Raises InputError where there is none of that name."""
        return self._config(name).threshold

    def kept(self) -> dict[str, float]:
        """Alerts a day at which thresholds are kept, of each camera whose is."""
        return dict(self._changes.now.kept)

    def set_kept(self, name: str, alerts_per_day: float | None) -> None:
        """None: its threshold stays where it is."""
        self._config(name)
        self._changes.change(lambda now: now.with_kept(name, alerts_per_day))

    def zones(self, name: str) -> Zones:
        """Masks and zones of a camera. Raises InputError where there is none of that name."""
        return self._config(name).zones

    def set_zones(self, name: str, zones: Zones) -> None:
        """Other masks and zones for a camera."""
        with self._lock:
            if name in self._paused:
                camera, status = self._paused[name]
                self._paused[name] = (
                    replace(camera, zones=zones),
                    replace(status, hidden=share_hidden(zones), scored_by=NONE_YET),
                )
            else:
                self.engine.set_zones(name, zones)
            self._changes.change(lambda now: now.with_zones(name, zones))

    def swap_model(self, run: Path) -> None:
        """Another RUN for all cameras that follow the common one. Raises InputError where it cannot be used."""
        with self._lock:
            before = self.model
            for camera in self.engine.cameras:
                if camera.model == before:
                    self.engine.set_model(camera.name, run)
            for name, (camera, status) in self._paused.items():
                if camera.model == before:
                    self._paused[name] = (
                        replace(camera, model=run),
                        replace(status, model=str(run), scored_by=NONE_YET),
                    )
            self._changes.change(lambda now: replace(now, model=str(run)))

    def _config(self, name: str) -> CameraConfig:
        with self._lock:
            if name in self._paused:
                return self._paused[name][0]
            for camera in self.engine.cameras:
                if camera.name == name:
                    return camera
        raise InputError(f"no camera is called {name!r}")

    def _made(self, name: str, address: Address) -> CameraConfig:
        if self.model is None:
            raise InputError("no model to watch with: start the service with --model RUN")
        return self._make(name, address, self.model)

    def _changed(self, camera: CameraConfig) -> CameraConfig:
        """A camera with what was changed of it in the browser."""
        if self.model is not None and camera.model == self._default:
            camera = replace(camera, model=self.model)
        now = self._changes.now
        drawn = now.zones.get(camera.name)
        zones = camera.zones if drawn is None else checked_zones(drawn, f"camera {camera.name!r}")
        known = [one for one in (camera.source, camera.main) if one is not None]
        source, main = now.sources.get(camera.name), now.mains.get(camera.name)
        return replace(
            camera,
            threshold=now.thresholds.get(camera.name, camera.threshold),
            zones=zones,
            source=camera.source if source is None else stored(source, known),
            main=camera.main if main is None else stored(main, known) if main else None,
            record=now.record.get(camera.name, camera.record),
        )


def _at_rest(camera: CameraConfig, last: CameraStatus | None = None) -> CameraStatus:
    """The status of a camera that is not watched."""
    if last is not None:
        return replace(
            last, state="ended", reason="", pid=None, fps_in=0.0, fps_scored=0.0, open_event=None, notice="", health=()
        )
    return CameraStatus(
        camera.name,
        camera.source.shown,
        str(camera.model),
        "ended",
        since=0.0,
        threshold=_threshold(camera),
        hidden=share_hidden(camera.zones),
    )


def _threshold(camera: CameraConfig) -> float:
    if camera.threshold is not None:
        return camera.threshold
    try:
        return read_calibration(camera.model).threshold
    except InputError:  # told when it is to be watched again
        return 0.0
