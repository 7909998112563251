"""What the engine tells, delivered: events by way of the outbox to each camera's sinks, scores to storage.

store = Store.open(config.storage, config.media)
delivery = Delivery.open(config, store, tell)    # first ends, everywhere, what a killed process left open
engine = Engine(media=config.media, listeners=[delivery])
...
engine.stop(); delivery.stop(); store.close()
"""

from collections.abc import Callable

from refinevad.apps.live.config import CameraConfig, LiveConfig
from refinevad.apps.live.sinks.base import Envelope
from refinevad.apps.live.status import CameraStatus, ScoreBatch
from refinevad.apps.live.store import Store


class Delivery:
    """A Listener (status.py). Events always go to the store too, whatever sinks are configured."""

    @classmethod
    def open(cls, config: LiveConfig, store: Store, tell: Callable[[str], None]) -> "Delivery":
        """Raises InputError where a sink or the outbox is at fault."""
        raise NotImplementedError

    def on_camera(self, camera: CameraConfig, model: str, added: bool) -> None:
        raise NotImplementedError

    def on_scores(self, batch: ScoreBatch) -> None:
        raise NotImplementedError

    def on_event(self, envelope: Envelope) -> None:
        raise NotImplementedError

    def on_state(self, status: CameraStatus) -> None:
        raise NotImplementedError

    def waiting(self) -> dict[str, int]:
        """Envelopes not yet acknowledged, by sink."""
        raise NotImplementedError

    def stop(self, drain_s: float = 5.0) -> None:
        """Give what waits so many seconds to go out, then stop; the rest goes out after the next start."""
        raise NotImplementedError
