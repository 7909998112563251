"""What the engine tells, delivered: events through the outbox to each camera's sinks and storage, scores to storage.

    store = Store.open(config.storage, config.media)
    delivery = Delivery.open(config, store, tell)    # first ends, everywhere, what a killed process left open
    engine = Engine(media=config.media, listeners=[delivery])
    ...
    engine.stop(); delivery.stop(); store.close()

Events go to storage whether or not a sink of type `database` is configured, because a restart looks there for what it
has to end.
"""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from refinevad.apps.live.delivery.courier import Backlog, Dispatch
from refinevad.apps.live.delivery.outbox import Outbox
from refinevad.apps.live.delivery.sinks.base import PeopleSink
from refinevad.apps.live.delivery.sinks.choice import open_sinks
from refinevad.apps.live.delivery.sinks.stdout import StdoutSink
from refinevad.apps.live.disk import read_only, too_full
from refinevad.apps.live.envelope import RESTART, Envelope, LiveFacts, live_facts, make_envelope, make_notice
from refinevad.apps.live.health import Trouble
from refinevad.apps.live.settings.config import CameraConfig, LiveConfig
from refinevad.apps.live.settings.sink_options import DatabaseOptions
from refinevad.apps.live.status import CameraStatus, ScoreBatch
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.records import EventRecord
from refinevad.apps.live.storage.score_log import ScoreBuffer
from refinevad.apps.live.storage.store import CLIPS, Store
from refinevad.errors import InputError
from refinevad.scoring.events import Event

FLUSH_EVERY_S = 2.0
_FIGURES = re.compile(r"\d[\d.]*")
_RECOVERY_S = 10.0  # what the last run's last envelopes are given to reach storage
_LOOK_S = 0.02


class Delivery:
    """A Listener (status.py). Nothing it is told waits for a receiver."""

    def __init__(self, config: LiveConfig, store: Store, dispatch: Dispatch, tell: Callable[[str], None]) -> None:
        self._config, self._store, self._dispatch, self._tell = config, store, dispatch, tell
        self._storage = next(sink.name for sink in config.sinks if isinstance(sink, DatabaseOptions))
        self._sinks: dict[str, tuple[str, ...]] = {}
        self._troubles: dict[str, tuple[Trouble, ...]] = {}  # of each camera, as they were told
        self._buffers: dict[str, ScoreBuffer] = {}
        self._models: dict[str, tuple[str, str]] = {}
        self._retired: list[ScoreBuffer] = []  # of models and cameras that are gone, until they are written
        self._unregistered: dict[str, tuple[str, str]] = {}  # source and model of cameras storage has not heard of
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._flusher = threading.Thread(target=self._flush_on, name="scores", daemon=True)

    @classmethod
    def open(cls, config: LiveConfig, store: Store, tell: Callable[[str], None] = lambda sentence: None) -> "Delivery":
        """Open the outbox and the sinks, and end what the last run left open.

        Raises:
            InputError: a sink or the outbox is at fault.
            StorageError: the database cannot be reached.
        """
        if not any(isinstance(sink, DatabaseOptions) for sink in config.sinks):
            config = replace(config, sinks=(*config.sinks, DatabaseOptions()))
        outbox = Outbox(config.outbox, config.outbox_envelopes)
        dispatch = Dispatch(outbox, open_sinks(config, store), store.clock, tell)
        delivery = cls(config, store, dispatch, tell)
        people = dispatch.people()
        for name, until in store.snoozes.all().items():
            if name in people:
                people[name].snooze(until)
        for name, (hours, days) in store.schedules.all().items():
            if name in people:
                people[name].arm(hours, days)
        dispatch.start()
        delivery._end_what_was_open()
        delivery._flusher.start()
        return delivery

    def _end_what_was_open(self) -> None:
        """Tell every sink that events of a process that was killed are over."""
        self._drain((self._storage,), _RECOVERY_S)
        self._store.troubles.end_all(self._store.clock.now())
        left = self._store.events.close_open("the program was stopped during the event")
        sinks = {camera.name: self._config.sinks_of(camera) for camera in self._config.cameras}
        every = tuple(sink.name for sink in self._config.sinks)
        for event in left:
            clip = f"{CLIPS}/{event.id}.mp4"
            found = event.clip or (clip if (self._store.media / clip).exists() else None)
            facts = _facts(event)
            envelope = make_envelope(
                "end",
                event.camera,
                event.id,
                facts,
                facts,
                model=event.model,
                time=self._store.clock.now(),
                clip=found,
                snapshot=event.snapshot,
                reason=RESTART,
            )
            self._dispatch.send(envelope, {*sinks.get(event.camera, every), self._storage})

    # -- what the engine tells ----------------------------------------------------------------------------------------

    def on_camera(self, camera: CameraConfig, model: str, added: bool) -> None:
        with self._lock:
            self._retire(camera.name)
            self._sinks[camera.name] = self._config.sinks_of(camera)
            self._unregistered.pop(camera.name, None)
        try:
            if added:
                self._store.cameras.register(camera.name, camera.source.shown, model)
            else:
                self._dispatch.show_camera(camera.name, False)
                self._tell_health(camera.name, ())
                self._store.cameras.remove(camera.name)
        except (StorageError, InputError) as error:
            self._tell(f"{camera.name}: {error}")
            if added:
                with self._lock:
                    self._unregistered[camera.name] = camera.source.shown, model

    def on_scores(self, batch: ScoreBatch) -> None:
        with self._lock:
            scored_by = batch.model, batch.fingerprint
            if self._models.get(batch.camera) != scored_by:
                self._retire(batch.camera)
                self._models[batch.camera] = scored_by
                self._buffers[batch.camera] = ScoreBuffer(
                    self._store.scores, batch.camera, batch.model, batch.categories, batch.fingerprint
                )
            buffer = self._buffers[batch.camera]
        for row in batch.rows:
            buffer.push(row)
        if batch.rows:
            self._dispatch.show_score(batch.camera, batch.rows[-1].score)

    def _retire(self, camera: str) -> None:
        """What its present model has scored is yet to be written; under the lock."""
        self._models.pop(camera, None)
        if buffer := self._buffers.pop(camera, None):
            self._retired.append(buffer)

    def on_event(self, envelope: Envelope) -> None:
        with self._lock:
            sinks = self._sinks.get(envelope["camera"], ())
        self._dispatch.send(envelope, {*sinks, self._storage})

    def on_state(self, status: CameraStatus) -> None:
        self._dispatch.show_camera(status.name, status.state == "live")
        self._tell_health(status.name, status.health)

    def _tell_health(self, camera: str, now: Sequence[Trouble]) -> None:
        """What has begun to be wrong with a camera, and what is over; each once."""
        with self._lock:
            before = self._troubles.pop(camera, ())
            self._troubles[camera] = tuple(now)
            sinks = {*self._sinks.get(camera, ()), self._storage}
        ids, known = {trouble.id for trouble in now}, {trouble.id for trouble in before}
        time = self._store.clock.now()
        for trouble in before:
            if trouble.id not in ids:
                self._dispatch.tell(make_notice("cleared", camera, trouble, time=time), sinks)
        for trouble in now:
            if trouble.id not in known:
                self._dispatch.tell(make_notice("trouble", camera, trouble, time=time), sinks)

    # -- the rest -----------------------------------------------------------------------------------------------------

    @property
    def reader_gone(self) -> bool:
        """Whether what reads our lines on stdout has closed its end."""
        sinks = (courier.sink for courier in self._dispatch.couriers.values())
        return any(isinstance(sink, StdoutSink) and sink.closed for sink in sinks)

    def waiting(self) -> dict[str, int]:
        """Envelopes not yet acknowledged, by sink."""
        return self._dispatch.outbox.waiting()

    def backlog(self) -> list[Backlog]:
        """What each sink has not got."""
        return self._dispatch.backlog()

    def people(self) -> dict[str, PeopleSink]:
        """The sinks that reach people, by name."""
        return self._dispatch.people()

    def dropped(self) -> dict[str, int]:
        """Envelopes lost since the outbox was made, by sink."""
        return self._dispatch.outbox.dropped()

    def troubles(self) -> list[str]:
        """Why events or what belongs to them cannot be kept just now: a sentence each, none where all is well.

        Anyone may read them at /readyz: they name no folder and no host.
        """
        places = {"the outbox": self._config.outbox.parent, "the media folder": self._store.media}
        found = [self._dispatch.outbox.trouble, too_full(self._store.media, self._config.reserve_mb)]
        found += [f"{name} takes nothing: its file system is read-only" for name in places if read_only(places[name])]
        storage = self._dispatch.couriers[self._storage].trouble
        found.append(f"storage takes no events: {_last_part(storage)}" if storage else "")
        with self._lock:
            buffers = dict(self._buffers)
        for camera, buffer in buffers.items():
            if buffer.trouble:
                lost = f", {buffer.dropped} are lost" if buffer.dropped else ""
                found.append(f"{len(buffer)} scores of camera {camera} wait{lost}: {_last_part(buffer.trouble)}")
        return [sentence for sentence in found if sentence]

    def stop(self, drain_s: float = 5.0) -> None:
        """Give what waits so many seconds to go out, then stop; the rest goes out after the next start."""
        self._stopped.set()
        self._flusher.join()
        self._flush()
        self._drain(tuple(sink.name for sink in self._config.sinks), drain_s)
        self._dispatch.stop()

    def _drain(self, sinks: tuple[str, ...], seconds: float) -> None:
        clock = self._store.clock
        until = clock.monotonic() + seconds
        pause = threading.Event()
        while clock.monotonic() < until and any(self.waiting().get(sink) for sink in sinks):
            pause.wait(_LOOK_S)

    def _flush_on(self) -> None:
        known: set[str] = set()
        while not self._stopped.wait(FLUSH_EVERY_S):
            self._flush()
            known = self._tell_new(known)

    def _tell_new(self, known: set[str]) -> set[str]:
        """Tell of each trouble when it begins, whatever its figures are; those there are now, without figures."""
        now = {_FIGURES.sub("", sentence): sentence for sentence in self.troubles()}
        for words in now.keys() - known:
            self._tell(now[words])
        return set(now)

    def _flush(self) -> None:
        with self._lock:
            buffers, waiting = list(self._buffers.values()), dict(self._unregistered)
        for name, (source, model) in waiting.items():
            try:
                self._store.cameras.register(name, source, model)
            except StorageError:
                break
            with self._lock:
                self._unregistered.pop(name, None)
        for buffer in buffers:
            buffer.flush()
        with self._lock:
            retired = list(self._retired)
        for buffer in retired:
            if buffer.flush():
                with self._lock:
                    self._retired.remove(buffer)


def _facts(event: EventRecord) -> LiveFacts:
    times = (event.start, event.end, event.peak, event.peak_time)
    return live_facts(Event(*times, event.category, dict(event.probabilities)), 0.0)


def _last_part(trouble: str) -> str:
    """What is wrong, without where: the sentences of StorageError begin with the storage's URL."""
    return trouble.rpartition(": ")[2]
