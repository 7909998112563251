"""What one camera has to say, carried to whoever listens."""

from collections.abc import Callable, Sequence

from refinevad.apps.live.capture.messages import Command
from refinevad.apps.live.engine.live_model import LiveModel
from refinevad.apps.live.envelope import Envelope
from refinevad.apps.live.status import Listener, ScoreBatch
from refinevad.apps.live.storage.records import ScoreRow


class Announcer:
    """Carries one track's news to whoever listens, and its commands to the camera's process."""

    def __init__(
        self, camera: str, listeners: Callable[[], Sequence[Listener]], command: Callable[[str, Command], None]
    ) -> None:
        self._camera, self._listeners, self._command = camera, listeners, command

    def scores(self, model: LiveModel, rows: tuple[ScoreRow, ...]) -> None:
        batch = ScoreBatch(self._camera, model.run, model.categories, rows, model.fingerprint)
        for listener in self._listeners():
            listener.on_scores(batch)

    def event(self, envelope: Envelope) -> None:
        for listener in self._listeners():
            listener.on_event(envelope)

    def command(self, command: Command) -> None:
        self._command(self._camera, command)
