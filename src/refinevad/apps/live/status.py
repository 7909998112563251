"""What can be read of a running camera at any moment, and what the engine tells those who listen."""

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from refinevad.apps.live.envelope import Envelope
from refinevad.apps.live.health import Trouble
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.storage.records import ScoreRow

CameraState = Literal["starting", "connecting", "live", "waiting", "ended", "failed"]
"""starting: its process starts; connecting: the address is being opened; live: pictures come; waiting: between two
attempts; ended: the recording is over; failed: it cannot be opened and will not be tried again."""


@dataclass(frozen=True)
class Latency:
    """Seconds from the arrival of a segment's last frame, over the newest segments; NaN before there are any.

    Attributes:
        encoded_p50, encoded_p99: until its vector was made: what the machine takes.
        scored_p50, scored_p99: until its score was final: with the wait that the window rule asks for.
    """

    encoded_p50: float
    encoded_p99: float
    scored_p50: float
    scored_p99: float


@dataclass(frozen=True)
class Learning:
    """A camera's threshold, learnt or being learnt of so many of its own quiet hours (learning.py)."""

    state: Literal["learning", "learnt"]
    threshold: float
    quiet_hours: float


@dataclass(frozen=True)
class CameraStatus:
    """One camera now. Counts are since it was added and only rise, restarts of its process included.

    Attributes:
        source: its address with credentials masked; model: its run; scored_by: the model's fingerprint, where it
            is known.
        state, reason: what it is doing, and in `waiting` and `failed` why, in one sentence.
        since: Unix second at which it came into this state.
        fps_in: frames decoded a second, over the last few seconds; fps_scored: those that were scored.
        frames_in: frames decoded; frames_scored: those in segments that were scored.
        frames_dropped: frames that came too late to be decoded or whose segment waited too long (docs/live.md).
        packets_damaged: that could not be decoded.
        segments_scored: scores that became final; queued: segments that wait for the encoder.
        reconnects: times the source was opened again; restarts: times its process was started again.
        events: begun; open_event: the id of the one that is going on.
        on_s: how long it has been above its threshold without a break; notice: what an operator should look at.
        health: what is wrong with the camera just now, notice included.
        hidden: share of its picture that masks and zones leave out.
        post_roll_s: of a clip, behind the event's end.
        learning: what is learnt of its own hours; None: a person set its threshold, or nobody has looked yet.
        score: newest final score, None before there is one; score_time: its Unix second.
    """

    name: str
    source: str
    model: str
    state: CameraState
    since: float
    reason: str = ""
    pid: int | None = None
    width: int = 0
    height: int = 0
    fps_in: float = 0.0
    fps_scored: float = 0.0
    frames_in: int = 0
    frames_scored: int = 0
    frames_dropped: int = 0
    packets_damaged: int = 0
    segments_scored: int = 0
    queued: int = 0
    reconnects: int = 0
    restarts: int = 0
    events: int = 0
    open_event: str | None = None
    score: float | None = None
    score_time: float | None = None
    threshold: float = 0.0
    scored_by: str = ""
    on_s: float = 0.0
    notice: str = ""
    hidden: float = 0.0
    post_roll_s: float = 5.0
    learning: Learning | None = None
    health: tuple[Trouble, ...] = ()
    latency: Latency = field(default_factory=lambda: Latency(*[float("nan")] * 4))


@dataclass(frozen=True)
class Preview:
    """A camera's picture, small: JPEG bytes and the Unix second it was shown."""

    jpeg: bytes
    time: float


@dataclass(frozen=True)
class ScoreBatch:
    """Scores of one camera that have just become final. `row.categories` are in the order of `categories`.

    `fingerprint`: the model's (live_model.py).
    """

    camera: str
    model: str
    categories: tuple[str, ...]
    rows: tuple[ScoreRow, ...]
    fingerprint: str = ""


@runtime_checkable
class Listener(Protocol):
    """Someone the engine tells. Called on the engine's scoring thread, in order: must return at once and not raise.

    A hub that hands on to an event loop uses `loop.call_soon_threadsafe`.
    """

    def on_camera(self, camera: CameraConfig, model: str, added: bool) -> None:
        """A camera was added (or its model changed), or removed. Called on the thread that did so."""

    def on_scores(self, batch: ScoreBatch) -> None: ...

    def on_event(self, envelope: Envelope) -> None: ...

    def on_state(self, status: CameraStatus) -> None:
        """`status.state` changed."""
