"""Envelopes on their way out, kept on disk until they are acknowledged.

An envelope is written before anyone tries to deliver it and removed after its sink has acknowledged it; so nothing is
lost when a broker is away or the process is killed, and something may be delivered twice: envelopes carry an id. Of one
event a sink gets its envelopes in order: only the oldest left is ever handed out, and of several events the one tried
least often, so that no number of events which a receiver cannot take holds up the others. The box is bounded by count;
what goes when it is full is counted (outbox_file.py).

Where the disk takes nothing (full, read-only, gone) delivery goes on from memory: what could not be written is held
there, bounded by the same rule, and written as soon as the disk takes it again. Only that is lost with the process.
"""

import json
import math
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from refinevad.apps.live.delivery.outbox_file import Key, OutboxFile, Row, Writing
from refinevad.apps.live.envelope import Envelope
from refinevad.errors import InputError
from refinevad.files.strict_json import parse_json

DEFAULT_CAPACITY = 10_000
MOST_HELD = 10_000  # envelopes in memory: 20 MB
RETRY_S = 1.0  # between two attempts to write to a disk that takes nothing
RESERVE_AGAIN_S = 10.0  # after so long the reserve is made again, where there is room


@dataclass(frozen=True)
class Entry:
    """An envelope for one sink."""

    sink: str
    envelope: Envelope


class Outbox:
    """The envelopes not yet acknowledged. Safe to share between threads; one process has it at a time."""

    def __init__(
        self, path: Path, capacity: int = DEFAULT_CAPACITY, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises InputError where the file cannot be made or is none of ours, or another process has it."""
        self.path, self.capacity, self._monotonic = path, capacity, monotonic
        self._lock = threading.Lock()
        self._file = OutboxFile(path)
        self._failure, self._retry_at = "", -math.inf
        self._reserve_spent, self._reserve_at = not self._file.keep_reserve(), self._monotonic() + RESERVE_AGAIN_S
        try:
            self._read_counts()
        except sqlite3.Error as error:
            self._file.close()
            raise InputError(
                f"outbox {path} is damaged ({error}); it is left as it is: move it away to begin anew"
            ) from error
        # what the file does not hold yet, all empty as long as the disk takes it
        self._held: dict[Key, Row] = {}
        self._gone: dict[Key, str] = {}  # acknowledged: their events
        self._tried: Counter[Key] = Counter()
        self._unwritten_drops: Counter[str] = Counter()
        self._untold_more: set[Key] = set()
        self._over: set[Key] = set()

    @property
    def trouble(self) -> str:
        """What is wrong with the disk, in one sentence; empty where nothing is."""
        if self._failure or not self._reserve_spent:
            return self._failure
        return "the outbox's disk is nearly full: what was kept free for events is in use"

    def _read_counts(self) -> None:
        self._stored, self._dropped, self._untold = self._file.counts(), self._file.dropped(), self._file.untold()

    def close(self) -> int:
        """Write what can be written; how many envelopes are lost with the process because the disk took nothing."""
        with self._lock:
            self._write(now=True)
            self._file.close()
            return len(self._held)

    def put(self, envelope: Envelope, sinks: Iterable[str]) -> None:
        """Keep an envelope for each of the sinks: on disk when this returns, or else in memory (`trouble`).

        A second time it changes nothing. What continues an event that a sink never heard of is dropped, and counted.
        """
        body = json.dumps(envelope, ensure_ascii=False, allow_nan=False)
        event, kind = envelope["event_id"], envelope["kind"]
        with self._lock:
            for sink in sinks:
                if (sink, event) in self._untold and kind != "new":
                    self._drop(sink, 1)
                    if kind == "end":
                        self._forget(sink, event)
                    continue
                row = Row(sink, event, envelope["id"], kind, body)
                self._held.setdefault(row.key, row)
            self._write()
            self._hold_to_bounds()

    def heads(self, sink: str, limit: int = 100) -> list[Entry]:
        """The oldest envelope of each event for a sink, which may go out now; least tried first, then oldest."""
        with self._lock:
            self._write()
            gone = [identity for name, identity in self._gone if name == sink]
            try:
                rows = self._file.heads(sink, limit + len(self._tried), gone)
            except sqlite3.Error as error:  # what lies there waits; what is in memory goes out
                rows = []
                self._fail(error)
            rows = [replace(row, attempts=row.attempts + self._tried[row.key]) for row in rows]
            waiting = {event for name, event in self._left() if name == sink} if self._held else set()
            for row in self._held.values():
                if row.sink == sink and row.event not in waiting:
                    waiting.add(row.event)
                    rows.append(row)
            entries = [self._entry(row) for row in sorted(rows, key=_attempts)[:limit]]
            self._write()
        return [entry for entry in entries if entry is not None]

    def acknowledge(self, entry: Entry) -> None:
        """Remove what was delivered."""
        with self._lock:
            self._take_out(entry)
            self._write()

    def postpone(self, entry: Entry) -> None:
        """Put what failed behind the other events that wait; kept over a restart."""
        key = entry.sink, entry.envelope["id"]
        with self._lock:
            if key in self._held:
                self._held[key] = replace(self._held[key], attempts=self._held[key].attempts + 1)
            else:
                self._tried[key] += 1
            self._write()

    def refuse(self, entry: Entry) -> None:
        """Remove what its receiver will never take, and count it as dropped."""
        with self._lock:
            self._drop(entry.sink, 1)
            self._take_out(entry)
            self._write()

    def keep_sinks(self, names: Collection[str]) -> None:
        """Drop, and count, what waits for sinks that are no longer configured."""
        with self._lock:
            try:
                self._file.keep_sinks(names)
                self._read_counts()
            except sqlite3.Error as error:  # they stay, and are handed to nobody
                self._fail(error)

    def waiting(self) -> dict[str, int]:
        """Envelopes not yet acknowledged, by sink."""
        with self._lock:
            found = Counter(row.sink for row in self._held.values())
            for (sink, _), count in self._left().items():
                found[sink] += count
        return dict(found)

    def held(self) -> dict[str, int]:
        """Of these, envelopes that are in memory alone, by sink."""
        with self._lock:
            return dict(Counter(row.sink for row in self._held.values()))

    def dropped(self) -> dict[str, int]:
        """Envelopes lost since the file was made, by sink: the box was full, refused, or the sink is gone."""
        with self._lock:
            return dict(self._dropped)

    # -- under the lock -----------------------------------------------------------------------------------------------

    def _left(self) -> Counter[Key]:
        """What the file holds and nobody has acknowledged, of each sink and event."""
        left = self._stored.copy()
        left.subtract((sink, event) for (sink, _), event in self._gone.items())
        return +left

    def _take_out(self, entry: Entry) -> None:
        key = entry.sink, entry.envelope["id"]
        if self._held.pop(key, None) is None:
            self._gone[key] = entry.envelope["event_id"]

    def _entry(self, row: Row) -> Entry | None:
        """A row as it goes out; one that is no envelope is given up and counted, or nothing would go out behind it."""
        try:
            envelope = parse_json(row.body)
        except ValueError:
            envelope = None
        if isinstance(envelope, dict) and (envelope.get("id"), envelope.get("event_id")) == (
            row.envelope_id,
            row.event,
        ):
            return Entry(row.sink, cast(Envelope, envelope))
        self._drop(row.sink, 1)
        if self._held.pop(row.key, None) is None:
            self._gone[row.key] = row.event
        return None

    def _drop(self, sink: str, count: int) -> None:
        self._dropped[sink] += count
        self._unwritten_drops[sink] += count

    def _forget(self, sink: str, event: str) -> None:
        self._untold.discard((sink, event))
        self._untold_more.discard((sink, event))
        self._over.add((sink, event))

    def _write(self, now: bool = False) -> None:
        """Bring the file up to date, where the disk takes it; after a failure at most every `RETRY_S`."""
        if not now and self._monotonic() < self._retry_at:
            return
        what = Writing(
            tuple(self._held.values()),
            tuple(self._gone.items()),
            tuple(self._tried.items()),
            tuple(self._unwritten_drops.items()),
            frozenset(self._untold_more),
            frozenset(self._over),
        )
        if what != Writing() or self._failure:
            try:
                changed = self._write_or_take_reserve(what)
                self._failure = ""
                for pending in (self._held, self._gone, self._tried, self._unwritten_drops):
                    pending.clear()
                self._untold_more.clear()
                self._over.clear()
                if changed is None:
                    self._read_counts()
                else:
                    self._stored.update(changed)
                    self._stored = +self._stored if len(self._stored) > 2 * self.capacity else self._stored
            except sqlite3.Error as error:
                self._fail(error)
        if self._reserve_spent and self._monotonic() >= self._reserve_at:
            self._reserve_at = self._monotonic() + RESERVE_AGAIN_S
            self._reserve_spent = not self._file.keep_reserve()

    def _write_or_take_reserve(self, what: Writing) -> "Counter[Key] | None":
        try:
            return self._file.write(what, self.capacity)
        except sqlite3.Error:
            if not self._file.give_reserve():
                raise
        self._reserve_spent, self._reserve_at = True, self._monotonic() + RESERVE_AGAIN_S
        return self._file.write(what, self.capacity)

    def _fail(self, error: sqlite3.Error) -> None:
        self._failure = f"the outbox cannot be written ({error}); events go out from memory"
        self._retry_at = self._monotonic() + RETRY_S

    def _hold_to_bounds(self) -> None:
        """In memory as on disk: the oldest updates go first, then the oldest events whole."""
        most = min(self.capacity, MOST_HELD)
        updates = [key for key, row in self._held.items() if row.kind == "update"]
        for key in updates[: max(len(self._held) - most, 0)]:
            self._drop(self._held.pop(key).sink, 1)
        while len(self._held) > most:
            oldest = next(iter(self._held.values()))
            same = [row for row in self._held.values() if (row.sink, row.event) == (oldest.sink, oldest.event)]
            kinds = {row.kind for row in same}
            if "new" in kinds and "end" not in kinds:
                self._untold.add((oldest.sink, oldest.event))
                self._untold_more.add((oldest.sink, oldest.event))
            for row in same:
                del self._held[row.key]
            self._drop(oldest.sink, len(same))


def _attempts(row: Row) -> int:
    return row.attempts
