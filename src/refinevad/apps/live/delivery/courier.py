"""Carries envelopes from the outbox to one sink, at the sink's pace, and keeps trying.

After a failure the whole sink rests: 1 s, 2 s, 4 s ... up to a minute, each cut by up to a half at random, so that
many couriers do not return together; a receiver that says when (Retry-After, a rate limit) is believed, up to an hour.
The envelope that failed goes behind those of other events, so that bad events, however many, do not hold the rest up
by more than a pause. All durations are monotonic.
"""

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from refinevad.apps.live.backoff import backoff_s
from refinevad.apps.live.clock import Clock
from refinevad.apps.live.delivery.outbox import Entry, Outbox
from refinevad.apps.live.delivery.sinks.base import DeliveryError, NoticeSink, PeopleSink, RefusedError, ScoreSink, Sink
from refinevad.apps.live.envelope import Envelope, Notice, as_notice

LONGEST_ASKED_S = 3600.0
IDLE_S = 1.0  # an idle courier looks again by itself, should a wake-up be missed


class Courier:
    """Delivers one sink's envelopes. `step` does one piece of work; `start` runs steps on a thread."""

    def __init__(
        self,
        sink: Sink,
        outbox: Outbox,
        clock: Clock,
        tell: Callable[[str], None] = lambda sentence: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`tell` is given a sentence at the first of several failures and at each refusal."""
        self.sink, self._outbox, self._clock, self._tell, self._chance = sink, outbox, clock, tell, chance
        self.trouble = ""  # why the last attempt failed; empty once one has succeeded
        self._failures = 0  # in a row
        self._resting_until = clock.monotonic()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def step(self) -> float | None:
        """Deliver one envelope if it is time; seconds until the next step is due, None: nothing waits."""
        rest = self._resting_until - self._clock.monotonic()
        if rest > 0:
            return rest
        heads = self._outbox.heads(self.sink.name, limit=1)
        if not heads:
            return None
        entry = heads[0]
        try:
            self._hand_over(entry)
        except RefusedError as error:
            self._tell(f"{self.sink.name}: {error}; dropped")
            self._outbox.refuse(entry)
        except DeliveryError as error:
            return self._rest(entry, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live on: events would go nowhere
            return self._rest(entry, DeliveryError(f"{type(error).__name__}: {error}"))
        else:
            self._outbox.acknowledge(entry)
        self._failures, self.trouble = 0, ""
        return 0.0

    def _hand_over(self, entry: Entry) -> None:
        notice = as_notice(entry.envelope)
        if notice is None:
            self.sink.deliver(entry.envelope)
        elif isinstance(self.sink, NoticeSink):
            self.sink.tell(notice)

    def _rest(self, entry: Entry, error: DeliveryError) -> float:
        if error.retry_after_s is not None:  # asked to wait: not a failure of the receiver
            pause = min(max(error.retry_after_s, 0.0), LONGEST_ASKED_S)
        else:
            self._failures += 1
            self.trouble = str(error)
            self._outbox.postpone(entry)
            pause = backoff_s(self._failures, self._chance())
            if self._failures == 1:
                self._tell(f"{self.sink.name}: {error}; kept and tried again")
        self._resting_until = self._clock.monotonic() + pause
        return pause

    def start(self) -> None:
        """Run on a thread until `stop`."""
        self._thread = threading.Thread(target=self._run, name=f"courier {self.sink.name}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something new waits."""
        self._wake.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread and close the sink; what is not delivered stays in the outbox."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        self.sink.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            due = self.step()
            if due is None:
                self._wake.wait(IDLE_S)
                self._wake.clear()
            elif due > 0:
                self._stop.wait(due)


@dataclass(frozen=True)
class Backlog:
    """What a sink has not got: envelopes that wait, envelopes it never will, and why it takes none just now.

    `held`: of those that wait, how many are in memory alone, because the disk takes nothing.
    """

    sink: str
    waiting: int
    lost: int
    trouble: str
    held: int = 0


class Dispatch:
    """Every sink with its courier: `send` writes an envelope to disk and returns; delivery happens behind."""

    def __init__(
        self,
        outbox: Outbox,
        sinks: list[Sink],
        clock: Clock,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.outbox, self._tell = outbox, tell
        self.couriers = {sink.name: Courier(sink, outbox, clock, tell) for sink in sinks}
        outbox.keep_sinks(self.couriers)

    def start(self) -> None:
        for courier in self.couriers.values():
            courier.start()

    def send(self, envelope: Envelope, sinks: Iterable[str]) -> None:
        """Put an envelope on its way to the sinks named; one that the disk does not take goes out from memory."""
        names = [name for name in sinks if name in self.couriers]
        self.outbox.put(envelope, names)
        for name in names:
            self.couriers[name].wake()

    def tell(self, notice: Notice, sinks: Iterable[str]) -> None:
        """Put what is wrong with a camera on its way to those of the sinks named that take it."""
        takers = [name for name in sinks if name in self.couriers and isinstance(self.couriers[name].sink, NoticeSink)]
        self.send(cast(Envelope, notice), takers)

    def backlog(self) -> list[Backlog]:
        """Of each sink."""
        waiting, lost, held = self.outbox.waiting(), self.outbox.dropped(), self.outbox.held()
        return [
            Backlog(name, waiting.get(name, 0), lost.get(name, 0), courier.trouble, held.get(name, 0))
            for name, courier in self.couriers.items()
        ]

    def people(self) -> dict[str, PeopleSink]:
        """The sinks that reach people."""
        sinks = {name: courier.sink for name, courier in self.couriers.items()}
        return {name: sink for name, sink in sinks.items() if isinstance(sink, PeopleSink)}

    def show_score(self, camera: str, score: float) -> None:
        """Hand the newest score to the sinks that show it; best effort."""
        for courier in self.couriers.values():
            if isinstance(courier.sink, ScoreSink):
                courier.sink.show_score(camera, score)

    def show_camera(self, camera: str, online: bool) -> None:
        """Hand a camera's availability to the sinks that show it; best effort."""
        for courier in self.couriers.values():
            if isinstance(courier.sink, ScoreSink):
                courier.sink.show_camera(camera, online)

    def stop(self) -> None:
        """Stop delivering; what waits is delivered after the next start."""
        for courier in self.couriers.values():
            courier.stop()
        lost = self.outbox.close()
        if lost:
            self._tell(f"{lost} messages of events were in memory alone and are lost: {self.outbox.trouble}")
