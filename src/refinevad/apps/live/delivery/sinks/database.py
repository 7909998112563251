"""Events into storage, by way of the outbox like any other sink: a database that is away loses none."""

from refinevad.apps.live.clock import unix
from refinevad.apps.live.delivery.sinks.base import DeliveryError, RefusedError
from refinevad.apps.live.envelope import RESTART, Envelope, Kind, Notice, told_span
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.records import EventRecord, EventState, TroubleRecord
from refinevad.apps.live.storage.store import Store
from refinevad.errors import InputError

_STATES: dict[Kind, EventState] = {"new": "new", "update": "open", "end": "ended"}


def event_record(envelope: Envelope) -> EventRecord:
    """The event as this envelope leaves it."""
    after = envelope["after"]
    start, end = told_span(after)
    restarted = envelope["kind"] == "end" and envelope["reason"] == RESTART
    return EventRecord(
        id=envelope["event_id"],
        camera=envelope["camera"],
        start=unix(start),
        end=unix(end),
        peak=after["peak"],
        peak_time=unix(after["peak_time"]),
        category=after["category"],
        probabilities=after["probabilities"],
        state="closed-by-restart" if restarted else _STATES[envelope["kind"]],
        model=envelope["model"],
        clip=envelope["clip"],
        snapshot=envelope["snapshot"],
        reason=envelope["reason"],
        located={"where": after["where"], "why": after["why"]} if "where" in after and "why" in after else None,
    )


class DatabaseSink:
    """The store's events, and what was wrong with cameras."""

    def __init__(self, name: str, store: Store) -> None:
        self.name, self._store = name, store

    def deliver(self, envelope: Envelope) -> None:
        try:
            if not self._store.cameras.knows(envelope["camera"]):  # storage was away when it was added
                self._store.cameras.register(envelope["camera"], "", envelope["model"])
            self._store.events.upsert(event_record(envelope))
        except StorageError as error:
            raise DeliveryError(str(error)) from error
        except InputError as error:
            raise RefusedError(str(error)) from error

    def tell(self, notice: Notice) -> None:
        texts = notice["event_id"], notice["camera"], notice["trouble"], notice["text"]
        trouble = TroubleRecord(*texts, unix(notice["since"]))
        try:
            if notice["kind"] == "cleared":
                self._store.troubles.end(trouble, unix(notice["time"]))
            else:
                self._store.troubles.begin(trouble)
        except StorageError as error:
            raise DeliveryError(str(error)) from error

    def close(self) -> None:
        pass
