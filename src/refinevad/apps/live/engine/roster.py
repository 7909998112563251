"""The cameras that are watched, under one lock; whoever waits is woken when something has changed."""

import threading
from collections.abc import Callable

from refinevad.apps.live.engine.camera import Camera
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.status import CameraStatus
from refinevad.errors import InputError


class Roster:
    """Cameras by name, in the order in which they were added.

    Attributes:
        changed: the lock; what a camera hears, counts and shows is touched under it alone.
        stopping: nothing more is to be scored than what waits.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.stopping = False
        self._cameras: dict[str, Camera] = {}

    def add(self, camera: Camera) -> None:
        """Raises InputError where the name is taken."""
        name = camera.config.name
        with self.changed:
            if name in self._cameras:
                raise InputError(f"there is already a camera called {name!r}; choose another name")
            self._cameras[name] = camera

    def drop(self, name: str) -> None:
        with self.changed:
            self._cameras.pop(name, None)

    def known(self, name: str) -> Camera:
        """Raises InputError where there is none of that name."""
        with self.changed:
            if name not in self._cameras:
                raise InputError(f"there is no camera called {name!r}")
            return self._cameras[name]

    def find(self, name: str) -> Camera | None:
        with self.changed:
            return self._cameras.get(name)

    def cameras(self) -> list[Camera]:
        with self.changed:
            return list(self._cameras.values())

    def configurations(self) -> tuple[CameraConfig, ...]:
        """Each with its present model and threshold."""
        with self.changed:
            return tuple(camera.config for camera in self._cameras.values())

    def statuses(self, pid: Callable[[str], int | None]) -> list[CameraStatus]:
        """`pid`: number of a camera's process."""
        with self.changed:
            return [camera.status(pid(name)) for name, camera in self._cameras.items()]

    def used(self) -> set[tuple[str, int]]:
        """Digests of the models in use."""
        with self.changed:
            return {camera.base.digest for camera in self._cameras.values()}
