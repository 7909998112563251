"""What every sink is handed (envelope.py), and what it promises.

An envelope is written to the outbox first and handed to each sink at least once: a receiver that minds doubles keeps
the `id`s it has seen. Of one event a sink gets `new`, `update`..., `end` in that order.
"""

from typing import Protocol, runtime_checkable

from refinevad.apps.live.delivery.sinks.arming import Arming
from refinevad.apps.live.envelope import Envelope, Notice
from refinevad.errors import RefineVADError


class DeliveryError(RefineVADError):
    """Not acknowledged; worth another attempt, after `retry_after_s` where the receiver or a rate limit says so."""

    def __init__(self, sentence: str, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class RefusedError(RefineVADError):
    """The receiver will never take this envelope: another attempt is no use."""


@runtime_checkable
class Sink(Protocol):
    """A place events go."""

    name: str

    def deliver(self, envelope: Envelope) -> None:
        """Return once the receiver has acknowledged it.

        Raises:
            DeliveryError: try again later.
            RefusedError: never.
        """

    def close(self) -> None:
        """Let go of connections. Nothing is delivered afterwards."""


@runtime_checkable
class NoticeSink(Protocol):
    """A sink that also takes what is wrong with a camera; as `deliver` does events."""

    def tell(self, notice: Notice) -> None: ...


@runtime_checkable
class PeopleSink(Protocol):
    """A sink that reaches people, who may want to be left alone for a while."""

    @property
    def snoozed_until(self) -> float:
        """Unix second until which nothing is sent; 0: it is not snoozed."""

    def snooze(self, until: float) -> None:
        """Send nothing until a Unix second; one that is over ends the snooze."""

    def test(self) -> str:
        """Send a message now; what came back where it was not taken, else empty."""

    @property
    def arming(self) -> Arming:
        """When messages are wanted."""

    @property
    def armed(self) -> bool:
        """Whether they are wanted now, by that; snoozed or not."""

    def arm(self, hours: str | None, days: tuple[str, ...] | None) -> None:
        """Other hours and days; `hours` None: those of cameras.toml. Raises InputError for what is none."""


@runtime_checkable
class ScoreSink(Protocol):
    """A sink that also shows the running score and whether a camera is there. Best effort: not kept in the outbox."""

    def show_score(self, camera: str, score: float) -> None:
        """The newest segment's score; may be dropped."""

    def show_camera(self, camera: str, online: bool) -> None:
        """Whether the camera delivers pictures."""
