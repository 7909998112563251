"""What the service asks of the engine (apps/live/engine/engine.py), so that its tests can stand in for one."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from refinevad.apps.live.capture.messages import Fragment, ViewBegun
from refinevad.apps.live.settings.addresses import Address
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.status import CameraStatus, Listener, Preview
from refinevad.video.zones import Zones


@runtime_checkable
class LiveEngine(Protocol):
    """The part of `Engine` used here; its texts apply."""

    @property
    def cameras(self) -> tuple[CameraConfig, ...]: ...

    def statuses(self) -> list[CameraStatus]: ...

    def add(self, camera: CameraConfig) -> None: ...

    def remove(self, name: str) -> None: ...

    def set_model(self, name: str, run: Path) -> None: ...

    def set_threshold(self, name: str, threshold: float | None) -> None: ...

    def set_zones(self, name: str, zones: Zones) -> None: ...

    def set_streams(self, name: str, source: Address, main: Address | None, record: bool) -> None: ...

    def preview(self, name: str) -> Preview | None: ...

    def view(self, name: str, take: Callable[[ViewBegun | Fragment], None]) -> Callable[[], None]: ...

    def listen(self, listener: Listener) -> Callable[[], None]: ...
