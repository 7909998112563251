"""A stand-in for tests of the service: an engine without cameras."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from refinevad.apps.live.capture.messages import Fragment, ViewBegun
from refinevad.apps.live.health import Trouble
from refinevad.apps.live.settings.addresses import Address
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.status import CameraStatus, Learning, Listener, Preview, ScoreBatch
from refinevad.apps.live.storage.records import ScoreRow
from refinevad.checkpoint import CALIBRATION, CONFIG, WEIGHTS, write_json
from refinevad.errors import InputError
from refinevad.video.masks import share_hidden
from refinevad.video.zones import Zones

CATEGORIES = ("fall", "fight")
JPEG = b"\xff\xd8picture\xff\xd9"


class StillEngine:
    """Watches nothing; says what it was told, and tells its listeners what a test wants them to hear."""

    def __init__(self) -> None:
        self.watched: dict[str, CameraConfig] = {}
        self.listeners: list[Listener] = []
        self.refused: set[Path] = set()
        self.views: list[tuple[str, Callable[[ViewBegun | Fragment], None]]] = []
        self.scored_by = ""
        self.health: tuple[Trouble, ...] = ()
        self.learning: Learning | None = None

    @property
    def cameras(self) -> tuple[CameraConfig, ...]:
        return tuple(self.watched.values())

    def statuses(self) -> list[CameraStatus]:
        return [
            CameraStatus(
                camera.name,
                camera.source.shown,
                str(camera.model),
                "live",
                since=0.0,
                fps_in=24.96,
                fps_scored=12.5,
                frames_in=250,
                frames_scored=125,
                frames_dropped=3,
                reconnects=2,
                events=1,
                score=0.25,
                scored_by=self.scored_by,
                health=self.health,
                learning=self.learning,
                hidden=share_hidden(camera.zones),
                threshold=0.6 if camera.threshold is None else camera.threshold,
            )
            for camera in self.watched.values()
        ]

    def add(self, camera: CameraConfig) -> None:
        if camera.model in self.refused:
            raise InputError(f"{camera.model} is no finished run")
        self.watched[camera.name] = camera
        for listener in list(self.listeners):
            listener.on_camera(camera, str(camera.model), True)

    def remove(self, name: str) -> None:
        camera = self.watched.pop(name)
        for listener in list(self.listeners):
            listener.on_camera(camera, str(camera.model), False)

    def set_model(self, name: str, run: Path) -> None:
        if run in self.refused:
            raise InputError(f"{run} is no finished run")
        self.watched[name] = replace(self.watched[name], model=run)

    def set_threshold(self, name: str, threshold: float | None) -> None:
        self.watched[name] = replace(self.watched[name], threshold=threshold)

    def set_zones(self, name: str, zones: Zones) -> None:
        self.watched[name] = replace(self.watched[name], zones=zones)

    def set_streams(self, name: str, source: Address, main: Address | None, record: bool) -> None:
        self.watched[name] = replace(self.watched[name], source=source, main=main, record=record)

    def preview(self, name: str) -> Preview | None:
        return Preview(JPEG, 1_700_000_000.0) if name != "dark" else None

    def view(self, name: str, take: Callable[[ViewBegun | Fragment], None]) -> Callable[[], None]:
        self.views.append((name, take))
        return lambda: self.views.remove((name, take))

    def listen(self, listener: Listener) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def say_score(self, camera: str, time_s: float, score: float) -> None:
        batch = ScoreBatch(camera, "run", CATEGORIES, (ScoreRow(time_s, 0.64, score, (0.1, 0.2)),))
        for listener in list(self.listeners):
            listener.on_scores(batch)


def make_run(folder: Path, threshold: float = 0.6, low: float = 0.45) -> Path:
    """A RUN folder with all but real weights."""
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(b"")
    signature = {"encoder": {"name": "lite"}, "rule": {"seconds": 0.64}}
    model = {"channels": 4, "categories": list(CATEGORIES)}
    write_json(folder / CONFIG, {"encoder": "lite", "model": model, "signature": signature})
    calibration = {"threshold": threshold, "low_threshold": low, "alerts_per_hour": 6.0}
    write_json(folder / CALIBRATION, {**calibration, "certified": True, "normal_hours": 2.0})
    return folder
