"""An outbox on a disk that takes nothing: events go out from memory, what is lost is counted, nothing comes alone."""

import json
import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_cases import ListSink, envelope
from manual_clock import ManualClock
from refinevad.apps.live.delivery import outbox as outbox_module
from refinevad.apps.live.delivery.courier import Backlog, Courier, Dispatch
from refinevad.apps.live.delivery.outbox import RESERVE_AGAIN_S, RETRY_S, Outbox
from refinevad.apps.live.delivery.outbox_file import RESERVE_BYTES, OutboxFile
from refinevad.apps.live.envelope import Envelope
from small_disk import fill

KINDS = ("new", "update", "end")


def deliver_all(courier: Courier, clock: ManualClock, steps: int = 1000) -> None:
    for _ in range(steps):
        due = courier.step()
        if due is None:
            return
        clock.advance(due)
    raise AssertionError("it never came to an end")


def kinds_of(taken: list[Envelope]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in taken:
        found.setdefault(item["event_id"], []).append(item["kind"])
    return found


def test_events_reach_their_sinks_while_the_disk_is_full(disk: Path) -> None:
    clock, sink, said = ManualClock(), ListSink(), list[str]()
    box = Outbox(disk / "outbox.db", monotonic=clock.monotonic)
    dispatch = Dispatch(box, [sink], clock, said.append)
    courier = dispatch.couriers["list"]
    dispatch.send(envelope("new", "before"), ["list"])
    (disk / "outbox.db.reserve").unlink()
    ballast = fill(disk)
    body = {"note": "x" * 5000}
    for number in range(7):
        for kind in KINDS:
            item = envelope(kind, f"e{number}")  # type: ignore[arg-type]
            item["after"]["category"] = body["note"]
            dispatch.send(item, ["list"])
        clock.advance(13.0)
        deliver_all(courier, clock)
    found = kinds_of(sink.taken)
    assert found == {"before": ["new"], **{f"e{number}": list(KINDS) for number in range(7)}}
    assert dispatch.backlog() == [Backlog("list", 0, 0, "", 0)]
    assert "cannot be written" in box.trouble
    ballast.unlink()
    clock.advance(max(RETRY_S, RESERVE_AGAIN_S))
    assert courier.step() is None
    assert box.trouble == ""
    assert box.close() == 0
    again = Outbox(disk / "outbox.db")  # what was delivered from memory does not come again
    assert again.waiting() == {}
    again.close()


def test_a_reserve_is_kept_for_envelopes_and_taken_again(disk: Path) -> None:
    clock = ManualClock()
    box = Outbox(disk / "outbox.db", monotonic=clock.monotonic)
    reserve = disk / "outbox.db.reserve"
    assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES
    ballast = fill(disk)
    item = envelope()
    item["after"]["category"] = "x" * 100_000
    for _ in range(10):
        box.put({**item, "id": os.urandom(8).hex()}, ["list"])
    assert box.held() == {}  # all of it is on disk: room was kept for it
    assert not reserve.exists()
    assert "nearly full" in box.trouble
    ballast.unlink()
    clock.advance(RESERVE_AGAIN_S)
    box.heads("list")
    assert box.trouble == ""
    assert reserve.exists()
    box.close()


class Faulty:
    """A file that takes nothing while `down` holds an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.down: Exception | None = None
        whole, heads = OutboxFile.write, OutboxFile.heads

        def write(file: OutboxFile, *args: object) -> object:
            if self.down is not None:
                raise self.down
            return whole(file, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(OutboxFile, "write", write)
        monkeypatch.setattr(OutboxFile, "give_reserve", lambda file: False)
        self.heads = heads


ERRORS = [
    sqlite3.OperationalError("database or disk is full"),  # ENOSPC, and EDQUOT: SQLite tells them alike
    sqlite3.OperationalError("attempt to write a readonly database"),
    sqlite3.OperationalError("database is locked"),
    sqlite3.OperationalError("disk I/O error"),
    sqlite3.DatabaseError("database disk image is malformed"),
]


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_what_could_not_be_written_is_written_when_the_disk_takes_it(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, faulty = ManualClock(), Faulty(monkeypatch)
    box = Outbox(tmp_path / "outbox.db", monotonic=clock.monotonic)
    box.put(envelope("new", "e1"), ["a", "b"])
    faulty.down = error
    box.put(envelope("end", "e1"), ["a", "b"])
    box.put(envelope("new", "e2"), ["a"])
    assert str(error) in box.trouble
    assert box.waiting() == {"a": 3, "b": 2}
    assert box.held() == {"a": 2, "b": 1}
    (first,) = [entry for entry in box.heads("a") if entry.envelope["event_id"] == "e1"]
    assert first.envelope["kind"] == "new"  # memory does not overtake the disk
    box.acknowledge(first)
    assert [entry.envelope["kind"] for entry in box.heads("a")] == ["end", "new"]
    box.postpone(box.heads("a")[0])
    assert [entry.envelope["kind"] for entry in box.heads("a")] == ["new", "end"]
    box.refuse(box.heads("a")[0])
    assert box.dropped() == {"a": 1}
    faulty.down = None
    clock.advance(RETRY_S)
    box.heads("a")
    assert box.trouble == ""
    assert (box.held(), box.waiting(), box.dropped()) == ({}, {"a": 1, "b": 2}, {"a": 1})
    box.close()
    again = Outbox(tmp_path / "outbox.db")
    assert (again.waiting(), again.dropped()) == ({"a": 1, "b": 2}, {"a": 1})
    assert [entry.envelope["kind"] for entry in again.heads("b")] == ["new"]
    again.close()


def test_a_disk_that_cannot_be_read_holds_up_only_what_lies_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = Faulty(monkeypatch)
    box = Outbox(tmp_path / "outbox.db")
    box.put(envelope("new", "e1"), ["a"])
    faulty.down = sqlite3.OperationalError("disk I/O error")

    def unreadable(*_: object) -> object:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(OutboxFile, "heads", unreadable)
    box.put(envelope("end", "e1"), ["a"])
    box.put(envelope("new", "e2"), ["a"])
    assert [entry.envelope["event_id"] for entry in box.heads("a")] == ["e2"]
    assert box.waiting() == {"a": 3}


def test_memory_is_bounded_and_what_goes_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = Faulty(monkeypatch)
    monkeypatch.setattr(outbox_module, "MOST_HELD", 5)
    clock = ManualClock()
    box = Outbox(tmp_path / "outbox.db", monotonic=clock.monotonic)
    faulty.down = ERRORS[0]
    for event in ("e1", "e2", "e3"):
        for kind in ("new", "update", "update"):
            box.put(envelope(kind, event), ["a"])  # type: ignore[arg-type]
    assert box.waiting() == {"a": 5}
    assert box.dropped() == {"a": 4}  # the oldest updates: what comes later makes up for them
    for event in ("e4", "e5", "e6"):
        box.put(envelope("new", event), ["a"])
    # the updates of e3 went first, then e1 whole
    assert [entry.envelope["event_id"] for entry in box.heads("a")] == ["e2", "e3", "e4", "e5", "e6"]
    assert box.dropped() == {"a": 7}
    box.put(envelope("update", "e1"), ["a"])
    faulty.down = None
    clock.advance(RETRY_S)
    box.heads("a")
    box.close()
    box = Outbox(tmp_path / "outbox.db", monotonic=clock.monotonic)
    box.put(envelope("end", "e1"), ["a"])  # of e1 nothing comes alone, after a restart neither
    assert box.waiting() == {"a": 5}
    assert box.dropped() == {"a": 9}
    box.put(envelope("new", "e1"), ["a"])  # nor is the number remembered for ever
    box.put(envelope("end", "e1"), ["a"])
    assert box.waiting() == {"a": 7}
    box.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(KINDS), st.sampled_from(("e1", "e2", "e3"))),
        st.tuples(st.sampled_from(("take", "fail", "disk", "wait")), st.just(""), st.just("")),
    ),
    max_size=60,
)


@given(steps=STEPS, capacity=st.integers(2, 12))
def test_whatever_the_disk_does_nothing_comes_alone_twice_or_unseen(
    steps: list[tuple[str, str, str]], capacity: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of each event a sink is told in order from `new` on; each message is taken, waits, or was counted as lost."""
    with pytest.MonkeyPatch.context() as patch:
        faulty, clock = Faulty(patch), ManualClock()
        box = Outbox(tmp_path_factory.mktemp("box") / "outbox.db", capacity, clock.monotonic)
        put, taken, state = 0, list[Envelope](), dict[str, str]()
        for what, kind, event in steps:
            if what == "put" and (kind == "new") == (state.get(event) is None):  # as a camera tells it
                number = sum(item["event_id"].startswith(event) for item in taken)
                state[event] = state.get(event) or f"{event}-{put}-{number}"
                box.put(envelope(kind, state[event]), ["a"])  # type: ignore[arg-type]
                put += 1
                if kind == "end":
                    del state[event]
            elif what == "disk":
                faulty.down = None if faulty.down else ERRORS[0]
            elif what == "wait":
                clock.advance(RETRY_S)
            elif what != "put" and (heads := box.heads("a", limit=1)):
                if what == "take":
                    taken.append(heads[0].envelope)
                    box.acknowledge(heads[0])
                else:
                    box.postpone(heads[0])
            assert len(taken) + box.waiting().get("a", 0) + box.dropped().get("a", 0) == put
            assert box.waiting().get("a", 0) <= 2 * capacity
        faulty.down = None
        clock.advance(RETRY_S)
        while heads := box.heads("a", limit=1):
            taken.append(heads[0].envelope)
            box.acknowledge(heads[0])
        assert len({item["id"] for item in taken}) == len(taken)
        for kinds in kinds_of(taken).values():
            assert kinds[0] == "new"
            assert kinds.count("new") == 1
            assert "end" not in kinds[:-1]
        assert len(taken) + box.dropped().get("a", 0) == put
        box.close()


def test_a_full_box_gives_up_updates_then_whole_events(tmp_path: Path) -> None:
    """A sink that is away for long: as before the oldest goes, but no end is told of what nobody heard of."""
    box = Outbox(tmp_path / "outbox.db", capacity=4)
    for event in ("e1", "e2"):
        for kind in KINDS:
            box.put(envelope(kind, event), ["a"])  # type: ignore[arg-type]
    assert box.dropped() == {"a": 2}
    box.put(envelope("new", "e3"), ["a"])
    assert [entry.envelope["event_id"] for entry in box.heads("a")] == ["e2", "e3"]
    assert box.dropped() == {"a": 4}
    box.close()


def test_a_sink_that_breaks_in_another_way_does_not_end_its_courier(tmp_path: Path) -> None:
    class Broken(ListSink):
        def deliver(self, envelope: Envelope) -> None:
            if self.down:
                raise OSError(28, self.down)
            super().deliver(envelope)

    clock, sink, said = ManualClock(), Broken(), list[str]()
    box = Outbox(tmp_path / "outbox.db")
    courier = Courier(sink, box, clock, said.append, chance=lambda: 0.0)
    sink.down = "No space left on device"
    box.put(envelope(), ["list"])
    assert courier.step() == 1.0
    assert "No space left" in courier.trouble
    sink.down = ""
    clock.advance(1.0)
    deliver_all(courier, clock)
    assert len(sink.taken) == 1
    assert json.loads(json.dumps(sink.taken))
    box.close()
