"""What a camera's process drops when pictures come too late, by hand-made arrivals; and how long it waits to open."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread

import pytest

from fakes import MeanEncoder
from patience import patience
from refinevad.apps.live.capture import worker as worker_module
from refinevad.apps.live.capture.messages import Command, Ended, Gap, Message, Opened, Pulse, Segment, decode
from refinevad.apps.live.capture.source import Source
from refinevad.apps.live.capture.worker import LATE_S, Worker, WorkerJob
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.timeline import SegmentRule
from videos import flat, write_video

FRAMES, RATE = 100, 25


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Four seconds, a keyframe each second."""
    return write_video(
        tmp_path / "film.mp4", flat(range(0, 200, 2)), options={"g": "25", "bf": "0", "sc_threshold": "0"}
    )


@pytest.fixture
def longer(tmp_path: Path) -> Path:
    """Twelve seconds, a keyframe each second."""
    return write_video(
        tmp_path / "longer.mp4", flat([*range(0, 200, 2)] * 3), options={"g": "25", "bf": "0", "sc_threshold": "0"}
    )


def dropped(
    film: Path, late_s: dict[int, float], fast: bool = False, frames: int = FRAMES
) -> tuple[set[int], list[Segment]]:
    """Numbers of the packets not decoded, and the segments sent, where packet n comes `late_s[n]` after its time."""
    ours, theirs = Pipe()
    address = parse_address(str(film))
    worker = Worker(WorkerJob(address, MeanEncoder.needs, SegmentRule.default(), fast, 5.0, 0.0, 32, 0.0), theirs)
    source = Source(address, stall_s=5.0, fast=True)
    maker = worker._segment_maker(source)
    gone: set[int] = set()
    for number, packet in enumerate(source.container.demux(source.stream)):
        before = worker._counts.dropped
        worker._take(maker, packet, 1000.0 + number / RATE + late_s.get(number, 0.0))
        if worker._counts.dropped > before:
            gone.add(number)
    maker.end()
    source.close()
    assert worker._counts.frames == frames - len(gone)
    sent = []
    while ours.poll():
        message = decode(ours.recv_bytes())
        if isinstance(message, Segment):
            sent.append(message)
    for end in (ours, theirs):
        end.close()
    return gone, sent


def test_late_packets_go_undecoded_up_to_a_keyframe_in_time(film: Path) -> None:
    """30 to 59 come three seconds late; 60 to 74 are in time and cannot be decoded without them."""
    gone, sent = dropped(film, dict.fromkeys(range(30, 60), LATE_S + 1.0))
    assert gone == set(range(30, 75))
    assert sum(segment.frames for segment in sent) == FRAMES - 45
    assert sent[-1].clip.end_s == pytest.approx(FRAMES / RATE)


def test_what_is_a_little_late_is_kept(film: Path) -> None:
    assert dropped(film, dict.fromkeys(range(30, 60), LATE_S - 0.1))[0] == set()
    assert dropped(film, {60: LATE_S + 0.1})[0] == set(range(60, 75))
    assert dropped(film, dict.fromkeys(range(70, FRAMES), LATE_S + 0.1))[0] == set(range(70, FRAMES))


def test_a_recording_read_fast_is_never_dropped_from(film: Path) -> None:
    assert dropped(film, dict.fromkeys(range(10, FRAMES), 60.0), fast=True)[0] == set()


def test_a_source_that_comes_later_for_good_is_watched_as_it_comes(longer: Path) -> None:
    """From packet 30 on, at 1.2 s, all come 3 s late. 5 s on, 155 is the last that is held against what came before.

    156 would do; 175 is the next keyframe.
    """
    gone, sent = dropped(longer, dict.fromkeys(range(30, 300), LATE_S + 1.0), frames=300)
    assert gone == set(range(30, 175))
    assert sum(segment.frames for segment in sent) == 300 - 145


def test_a_recording_whose_network_is_slow_is_watched_too(longer: Path) -> None:
    """It falls behind by a second every second: nothing would ever be in time again."""
    gone, _ = dropped(longer, {number: number / RATE for number in range(300)}, frames=300)
    assert len(gone) < 300 * 2 // 3


@pytest.fixture
def slow_site(film: Path, tmp_path: Path) -> Iterator[str]:
    """A stream that begins 2.5 s after it was asked for, each time."""
    stream = write_video(tmp_path / "film.ts", flat(range(0, 200, 2)), options={"g": "25", "bf": "0"}).read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(2.5)
            try:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(stream)
            except OSError:  # it was not waited for
                return

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/film.ts"
    server.shutdown()
    server.server_close()


class GuestWorker(Worker):
    """Does not end this process, which is not its own."""

    def _leave(self) -> None:
        self._stop.set()


def guest(address: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Worker, Iterator[Message]]:
    """A worker, and what it says until it has said nothing for long."""
    monkeypatch.setattr(worker_module, "backoff_s", lambda *_: 0.0)
    ours, theirs = Pipe()
    rule = SegmentRule.default()
    job = WorkerJob(parse_address(address), MeanEncoder.needs, rule, False, 5.0, 0.0, 32, 0.0)

    def said() -> Iterator[Message]:
        while ours.poll(patience(20.0)):
            message = decode(ours.recv_bytes())
            assert not isinstance(message, Command)
            yield message

    return GuestWorker(job, theirs), said()


def test_a_source_that_is_slow_to_open_gets_more_time_until_it_does(
    slow_site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 s, 2 s, 4 s ... in place of 1 s for ever; the engine hears meanwhile that the process lives."""
    monkeypatch.setattr(worker_module, "OPEN_S", 1.0)
    worker, said = guest(slow_site, monkeypatch)
    Thread(target=worker.run, daemon=True).start()
    gaps, pulses = list[str](), 0
    for message in said:
        assert not isinstance(message, Ended)
        if isinstance(message, Opened):
            break
        if isinstance(message, Gap):
            gaps.append(message.reason)
        pulses += isinstance(message, Pulse) and len(gaps) == 2
    worker._stop.set()
    limits = [reason.rpartition("nothing came within ")[2] for reason in gaps]
    assert limits == [f"{2**count} s" for count in range(len(gaps))]
    assert len(gaps) >= 2
    assert pulses >= 2


def test_pulses_of_one_that_never_opens_come_to_an_end(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would ever notice that it is hung."""
    monkeypatch.setattr(worker_module, "PULSE_S", 0.05)
    worker, said = guest(str(film), monkeypatch)
    with worker._pulsing(0.5):
        time.sleep(2.0)
        worker._send(Gap("mark", 0.0))
        time.sleep(0.5)
    worker._send(Gap("end", 0.0))
    heard = [next(said)]
    while heard[-1] != Gap("end", 0.0):
        heard.append(next(said))
    assert heard[-2:] == [Gap("mark", 0.0), Gap("end", 0.0)]
    assert any(isinstance(message, Pulse) for message in heard)
