"""Envelopes and stores for tests of live cameras."""

from pathlib import Path

from manual_clock import ManualClock
from refinevad.apps.live.delivery.sinks.base import DeliveryError
from refinevad.apps.live.envelope import Envelope, Kind, live_facts, make_envelope
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage.store import Store
from refinevad.scoring.events import Event

START = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def envelope(
    kind: Kind = "new",
    event: str = "e1",
    camera: str = "door",
    *,
    clip: str | None = None,
    snapshot: str | None = None,
    reason: str | None = None,
) -> Envelope:
    """An event from START + 10 s to START + 14 s with its peak at START + 12 s."""
    facts = live_facts(Event(10.0, 14.0, 0.9, 12.0, "fall", {"fall": 0.75, "fight": 0.25}), START)
    before = None if kind == "new" else facts
    return make_envelope(
        kind, camera, event, before, facts, model="runs/a", time=START + 14, clip=clip, snapshot=snapshot, reason=reason
    )


def open_store(folder: Path, url: str | None = None, clock: ManualClock | None = None) -> Store:
    """A store with one camera, `door`."""
    clock = clock or ManualClock(wall_s=START)
    store = Store.open(Secret(url or f"sqlite:///{folder / 'live.db'}"), folder / "media", clock)
    store.cameras.register("door", "rtsp://admin:pw@10.0.0.5/stream", "runs/a")
    return store


class ListSink:
    """Keeps what it is given; while `down` holds a sentence it fails with it."""

    def __init__(self, name: str = "list") -> None:
        self.name, self.taken, self.down, self.closed = name, list[Envelope](), "", False

    def deliver(self, envelope: Envelope) -> None:
        if self.down:
            raise DeliveryError(self.down)
        self.taken.append(envelope)

    def close(self) -> None:
        self.closed = True
