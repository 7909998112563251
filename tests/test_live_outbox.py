"""The outbox and its couriers: order, bounds, patience, and what a killed process leaves behind."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_cases import ListSink, envelope
from manual_clock import ManualClock
from patience import wait_until
from refinevad.apps.live.backoff import backoff_s
from refinevad.apps.live.clock import SystemClock
from refinevad.apps.live.delivery.courier import Backlog, Courier, Dispatch
from refinevad.apps.live.delivery.outbox import Outbox
from refinevad.apps.live.delivery.sinks.base import DeliveryError, RefusedError
from refinevad.apps.live.envelope import Envelope
from refinevad.errors import InputError

KINDS = ("new", "update", "end")
# put (sink, event), or acknowledge the n-th head of a sink
PUTS = st.tuples(st.sampled_from("ab"), st.sampled_from(("e1", "e2", "e3")))
STEPS = st.lists(st.one_of(PUTS, st.tuples(st.sampled_from("ab"), st.integers(0, 5))), max_size=40)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.db")


def ids(box: Outbox, sink: str) -> list[str]:
    return [entry.envelope["id"] for entry in box.heads(sink)]


@given(steps=STEPS, capacity=st.integers(1, 12), reopen=st.integers(1, 7))
def test_it_behaves_like_a_list(
    steps: list[tuple[str, str | int]], capacity: int, reopen: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Against a plain list: order within sink and event, the oldest dropped when full, nothing lost by reopening."""
    path = tmp_path_factory.mktemp("outbox") / "outbox.db"
    box, model, dropped = Outbox(path, capacity), list[tuple[str, str, str]](), defaultdict[str, int](int)
    for number, (sink, what) in enumerate(steps):
        if number % reopen == 0:
            box.close()
            box = Outbox(path, capacity)
        if isinstance(what, str):
            item = envelope("update", what)
            box.put(item, [sink])
            model.append((sink, what, item["id"]))
            for lost in model[: max(len(model) - capacity, 0)]:
                dropped[lost[0]] += 1
            model = model[-capacity:]
        elif what < len(heads := box.heads(sink)):
            box.acknowledge(heads[what])
            model.remove((sink, heads[what].envelope["event_id"], heads[what].envelope["id"]))
        for name in "ab":
            first: dict[str, str] = {}
            for owner, event, identity in model:
                if owner == name:
                    first.setdefault(event, identity)
            assert ids(box, name) == list(first.values())
            assert box.waiting().get(name, 0) == sum(owner == name for owner, *_ in model)
    assert box.dropped() == dict(dropped)
    box.close()


def test_each_sink_has_its_own_copy_and_a_double_changes_nothing(outbox: Outbox) -> None:
    item = envelope()
    outbox.put(item, ["a", "b"])
    outbox.put(item, ["a", "b"])
    assert outbox.waiting() == {"a": 1, "b": 1}
    (entry,) = outbox.heads("a")
    assert entry.envelope == item
    outbox.acknowledge(entry)
    assert outbox.waiting() == {"b": 1}


def test_what_waits_for_a_sink_that_is_gone_is_dropped_and_counted(outbox: Outbox) -> None:
    outbox.put(envelope(), ["kept", "gone"])
    outbox.put(envelope(), ["gone"])
    outbox.keep_sinks({"kept"})
    assert outbox.waiting() == {"kept": 1}
    assert outbox.dropped() == {"gone": 2}


def test_one_process_has_it_at_a_time(outbox: Outbox, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another refinevad"):
        Outbox(outbox.path)
    (tmp_path / "notes").write_text("no database\n" * 100)
    with pytest.raises(InputError, match="cannot be opened"):
        Outbox(tmp_path / "notes")


def test_pauses_double_up_to_a_minute() -> None:
    assert [backoff_s(n, 0.0) for n in (1, 2, 3, 6, 7, 8, 1000)] == [1.0, 2.0, 4.0, 32.0, 60.0, 60.0, 60.0]
    assert [backoff_s(n, 0.5) for n in (1, 7)] == [0.75, 45.0]


def test_nothing_is_lost_while_a_sink_is_down_for_thirty_seconds(outbox: Outbox) -> None:
    clock, sink, said = ManualClock(), ListSink(), list[str]()
    courier = Courier(sink, outbox, clock, said.append, chance=lambda: 0.0)
    sent = [envelope(kind, event) for event in ("e1", "e2") for kind in KINDS]
    sink.down = "connection refused"
    attempts = []
    while clock.monotonic() < 30.0:
        outbox.put(sent[len(attempts)], ["list"])
        attempts.append(clock.monotonic())
        clock.jump(-7200.0)  # a wall clock set back does not change when it tries
        clock.advance(courier.step() or 0.0)
    assert attempts == [0.0, 1.0, 3.0, 7.0, 15.0]  # pauses of 1, 2, 4, 8, 16 s
    for item in sent:
        outbox.put(item, ["list"])
    sink.down = ""
    while (rest := courier.step()) is not None:
        clock.advance(rest)
    assert sorted(item["id"] for item in sink.taken) == sorted(item["id"] for item in sent)
    for event in ("e1", "e2"):
        assert [item["kind"] for item in sink.taken if item["event_id"] == event] == list(KINDS)
    assert said == ["list: connection refused; kept and tried again"]
    assert outbox.dropped() == {}


def test_a_bad_event_does_not_hold_up_the_others(outbox: Outbox) -> None:
    class Picky(ListSink):
        def deliver(self, envelope: Envelope) -> None:
            if envelope["event_id"] == "bad":
                raise DeliveryError("500")
            super().deliver(envelope)

    clock, sink = ManualClock(), Picky()
    courier = Courier(sink, outbox, clock, chance=lambda: 0.0)
    for kind, event in (("new", "bad"), ("end", "bad"), ("new", "good"), ("end", "good")):
        outbox.put(envelope(kind, event), ["list"])  # type: ignore[arg-type]
    for _ in range(8):
        clock.advance(courier.step() or 0.0)
    assert [(item["event_id"], item["kind"]) for item in sink.taken] == [("good", "new"), ("good", "end")]
    assert outbox.waiting() == {"list": 2}


def test_hundreds_of_bad_events_do_not_hold_up_those_after_them(outbox: Outbox) -> None:
    class Picky(ListSink):
        tried = 0

        def deliver(self, envelope: Envelope) -> None:
            self.tried += 1
            if envelope["event_id"].startswith("bad"):
                raise DeliveryError("500")
            super().deliver(envelope)

    clock, sink = ManualClock(), Picky()
    courier = Courier(sink, outbox, clock, chance=lambda: 0.0)
    for number in range(250):
        outbox.put(envelope(event=f"bad{number}"), ["list"])
    outbox.put(envelope(event="good"), ["list"])
    while not sink.taken:
        clock.advance(courier.step() or 0.0)
    assert sink.tried == 251  # each once before any a second time
    # who comes after they have all been tried comes first, after a restart too
    outbox.put(envelope(event="later"), ["list"])
    outbox.close()
    again = Courier(sink, Outbox(outbox.path), clock, chance=lambda: 0.0)
    again.step()
    assert [item["event_id"] for item in sink.taken] == ["good", "later"]


def test_a_box_of_an_older_version_is_read_on(tmp_path: Path) -> None:
    path, item = tmp_path / "outbox.db", envelope()
    with sqlite3.connect(path) as old:
        old.executescript(
            "CREATE TABLE entry (number INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, event TEXT NOT NULL, "
            "envelope_id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (sink, envelope_id));"
        )
        old.execute(
            "INSERT INTO entry (sink, event, envelope_id, body) VALUES ('list', 'e1', ?, ?)",
            (item["id"], json.dumps(item)),
        )
    old.close()
    box, sink = Outbox(path), ListSink()
    assert Courier(sink, box, ManualClock()).step() == 0.0
    assert sink.taken == [item]
    box.close()
    Outbox(path).close()  # nor does it mind a second time


def test_what_a_sink_has_not_got_is_told_with_the_reason(outbox: Outbox) -> None:
    sink, clock = ListSink(), ManualClock()
    dispatch = Dispatch(outbox, [sink], clock)
    courier = dispatch.couriers["list"]
    assert dispatch.backlog() == [Backlog("list", 0, 0, "")]
    sink.down = "connection refused"
    dispatch.send(envelope(), ["list"])
    clock.advance(courier.step() or 0.0)
    assert dispatch.backlog() == [Backlog("list", 1, 0, "connection refused")]
    sink.down = ""
    assert courier.step() == 0.0
    assert dispatch.backlog() == [Backlog("list", 0, 0, "")]


def test_a_refused_envelope_goes_and_is_counted(outbox: Outbox) -> None:
    class Refusing(ListSink):
        def deliver(self, envelope: Envelope) -> None:
            raise RefusedError("410")

    courier = Courier(Refusing(), outbox, ManualClock())
    outbox.put(envelope(), ["list"])
    assert courier.step() == 0.0
    assert courier.step() is None
    assert outbox.dropped() == {"list": 1}


def test_a_receiver_that_says_when_is_believed(outbox: Outbox) -> None:
    class Busy(ListSink):
        def deliver(self, envelope: Envelope) -> None:
            raise DeliveryError("429", retry_after_s=17.0)

    clock = ManualClock()
    courier = Courier(Busy(), outbox, clock)
    outbox.put(envelope(), ["list"])
    assert courier.step() == 17.0
    clock.advance(16.0)
    assert courier.step() == 1.0
    assert courier.trouble == ""  # to be asked to wait is no failure


def test_threads_deliver_and_stop(outbox: Outbox) -> None:
    sink, other = ListSink("one"), ListSink("two")
    dispatch = Dispatch(outbox, [sink, other], SystemClock())
    dispatch.start()
    sent = [envelope(kind) for kind in KINDS]
    for item in sent:
        dispatch.send(item, ["one"])
    wait_until(lambda: len(sink.taken) == 3, "delivery")
    wait_until(lambda: not outbox.waiting(), "acknowledgement")
    dispatch.stop()
    assert sink.taken == sent
    assert other.taken == []
    assert sink.closed
    assert other.closed


CHILD = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from live_cases import ListSink, envelope
from refinevad.apps.live.clock import SystemClock
from refinevad.apps.live.delivery.courier import Courier
from refinevad.apps.live.delivery.outbox import Outbox

class Slow(ListSink):
    def deliver(self, envelope):
        if {deliver!r}:
            Path({taken!r}).write_text(envelope["id"])
        print("in delivery", flush=True)
        sys.stdin.read()  # killed here

box = Outbox(Path({path!r}))
for kind in ("new", "end"):
    item = envelope(kind)
    box.put(item, ["list"])
    print(item["id"], flush=True)
Courier(Slow(), box, SystemClock()).step()
"""


@pytest.mark.parametrize("delivered", [False, True], ids=["before delivery", "before acknowledgement"])
def test_a_killed_process_loses_nothing(delivered: bool, tmp_path: Path) -> None:
    path, taken = tmp_path / "outbox.db", tmp_path / "taken"
    code = CHILD.format(tests=str(Path(__file__).parent), deliver=delivered, taken=str(taken), path=str(path))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        sent = [child.stdout.readline().strip() for _ in KINDS[:2]]
        assert child.stdout.readline() == "in delivery\n"
        child.send_signal(signal.SIGKILL)
    sink = ListSink()
    courier = Courier(sink, box := Outbox(path), ManualClock())
    while courier.step() is not None:
        pass
    assert [item["id"] for item in sink.taken] == sent  # the first again if it had been taken: by its id a double
    assert taken.exists() == delivered
    if delivered:
        assert taken.read_text() == sent[0]
    assert box.waiting() == {}


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b"[]", b"null", b'{"id": 1}', b"[" * 100_000])
def test_a_damaged_envelope_is_given_up_and_counted_and_holds_up_no_other(tmp_path: Path, body: bytes) -> None:
    """Else its sink's thread would die of it, or wait for it for ever."""
    box = Outbox(tmp_path / "outbox.db")
    for event in ("e1", "e2"):
        box.put(envelope("new", event), ["a"])
    box.close()
    with sqlite3.connect(tmp_path / "outbox.db") as connection:
        connection.execute("UPDATE entry SET body = CAST(? AS TEXT) WHERE event = 'e1'", (body,))
    connection.close()
    box = Outbox(tmp_path / "outbox.db", capacity=2)
    sink = ListSink("a")
    courier = Courier(sink, box, ManualClock())
    while box.waiting():
        courier.step()
    assert [given["event_id"] for given in sink.taken] == ["e2"]
    assert box.dropped() == {"a": 1}
    for event in ("e3", "e4", "e5"):  # more than it holds: kinds are looked at
        box.put(envelope("new", event), ["a"])
    assert sum(box.waiting().values()) == 2
    box.close()
