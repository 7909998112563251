"""N cameras, a process each that decodes; one thread that encodes and scores for all of them.

    engine = Engine(EngineOptions(), media=config.media, listeners=[delivery, hub])
    engine.start()
    for camera in config.cameras:
        engine.add(camera)          # loads its model, starts its process
    engine.status("door"); engine.preview("door")      # any thread, any time
    engine.set_model("door", Path("runs/new"))
    engine.stop()                   # ends open events, finishes clips, tells the listeners, ends the processes

Every method may be called from any thread. What happens when frames come too late, a stream stalls or a process dies:
docs/live.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from refinevad.apps.live.clock import Clock, SystemClock
from refinevad.apps.live.config import CameraConfig
from refinevad.apps.live.status import CameraStatus, Listener, Preview


@dataclass(frozen=True)
class EngineOptions:
    """How all cameras are read and scored.

    Attributes:
        window_s, delay_s: the window rule (windows.py); None: the one the run was trained under, or 60 s and 5 s
            where it was trained without one.
        fast: read recordings as fast as they can be scored, and drop nothing of them; live sources keep their pace.
        queue_segments: segments of one camera that may wait for the encoder; of more the oldest goes.
        stall_s: without a packet for so long a stream counts as stalled, and is opened again.
        preview_hz, preview_long_side: small JPEG pictures of each camera.
    """

    window_s: float | None = None
    delay_s: float | None = None
    fast: bool = False
    queue_segments: int = 8
    stall_s: float = 5.0
    preview_hz: float = 2.0
    preview_long_side: int = 640


class Engine:
    """See the module's text. `tell` is given sentences for the operator, credentials masked."""

    def __init__(
        self,
        options: EngineOptions | None = None,
        *,
        media: Path | None = None,
        listeners: Sequence[Listener] = (),
        clock: Clock | None = None,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """Without `media` there are no snapshots and clips."""
        self.options, self.clock = options or EngineOptions(), clock or SystemClock()
        raise NotImplementedError

    def start(self) -> None:
        """Start the scoring thread. Cameras can be added before and after."""
        raise NotImplementedError

    def stop(self) -> None:
        """End open events, finish their clips, tell the listeners, end the processes. A second call does nothing."""
        raise NotImplementedError

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` from now on; returns the function that ends it."""
        raise NotImplementedError

    def add(self, camera: CameraConfig) -> None:
        """Start watching a camera. Raises InputError: the name is taken, or its run or encoder is not to be had."""
        raise NotImplementedError

    def remove(self, name: str) -> None:
        """Stop watching; an open event of it ends. Raises InputError where the name is not known, as all below."""
        raise NotImplementedError

    def set_model(self, name: str, run: Path) -> None:
        """Score with another run from the next segment on; an open event ends. Raises InputError as `add`."""
        raise NotImplementedError

    def set_threshold(self, name: str, threshold: float | None) -> None:
        """Open events above another threshold, None: the run's own; an open event ends."""
        raise NotImplementedError

    @property
    def cameras(self) -> tuple[CameraConfig, ...]:
        """Those being watched, in the order in which they were added, with their present model and threshold."""
        raise NotImplementedError

    def status(self, name: str) -> CameraStatus:
        """What a camera is doing now."""
        raise NotImplementedError

    def statuses(self) -> list[CameraStatus]:
        """Of all cameras, in the order of `cameras`."""
        raise NotImplementedError

    def preview(self, name: str) -> Preview | None:
        """Its newest picture; None before there is one."""
        raise NotImplementedError

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until every camera has ended or failed and all its scores are told; False where the time was over first."""
        raise NotImplementedError
