"""Live sources that send seconds at once after a pause: no picture is lost, in the process that drops late ones."""

import io
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from http.server import SimpleHTTPRequestHandler
from itertools import pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import av
import pytest

from fakes import MeanEncoder
from manual_clock import ManualClock
from refinevad.apps.live.capture.messages import Message, Segment, decode
from refinevad.apps.live.capture.segment_maker import SegmentMaker
from refinevad.apps.live.capture.source import FREE_S, SPEED, Burst, Source, SourceLostError
from refinevad.apps.live.capture.stream_time import StreamTime
from refinevad.apps.live.capture.worker import Worker, WorkerJob
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.timeline import SegmentRule
from servers import RtspServer
from test_source import Rtsp, stream
from test_source_http import Site, site  # noqa: F401 - a fixture
from videos import flat

RATE, BURST_S, BURSTS = 10, 4, 4


def pictures() -> Iterator[av.VideoFrame]:
    """A grey each, ten a second, for all bursts."""
    for number, grey in enumerate(flat([20 + 2 * (n % 100) for n in range(RATE * BURST_S * BURSTS)])):
        frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format="yuvj420p")
        frame.pts = number
        yield frame


def ts_bursts() -> list[bytes]:
    """MPEG-TS in pieces of `BURST_S`, each of which begins with a keyframe."""
    content = io.BytesIO()
    ends = []
    with av.open(content, "w", format="mpegts") as out:
        video = out.add_stream("libx264", rate=RATE, options={"g": str(RATE * BURST_S), "bf": "0", "sc_threshold": "0"})
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        video.codec_context.options = {"tune": "zerolatency", "preset": "ultrafast"}
        for number, frame in enumerate(pictures()):
            out.mux(video.encode(frame.reformat(format="yuv420p")))
            if (number + 1) % (RATE * BURST_S) == 0:
                ends.append(content.tell())
        out.mux(video.encode(None))
    whole = content.getvalue()
    return [whole[begin:end] for begin, end in pairwise([0, *ends[:-1], len(whole)])]


def jpeg_bursts() -> list[bytes]:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 32, 32, "yuvj420p", Fraction(1, RATE)
    parts = [bytes(packet) for frame in pictures() for packet in encoder.encode(frame)]
    told = [
        b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(part), part) for part in parts
    ]
    each = RATE * BURST_S
    return [b"".join(told[at : at + each]) for at in range(0, len(told), each)]


class WatchedCamera:
    """A camera's process, without the process."""

    def __init__(self, source: Source) -> None:
        self._ours, theirs = Pipe()
        job = WorkerJob(source.address, MeanEncoder.needs, SegmentRule.default(), False, 10.0, 0.0, 32, 0.0)
        self.worker, self.source = Worker(job, theirs), source
        self.maker = self.worker._segment_maker(source)
        self.given: list[float] = []
        self._theirs: Connection = theirs

    def take_all(self, most: int | None = None) -> None:
        for packet, arrived in self.source:
            self.worker._take(self.maker, packet, arrived)
            self.given.append(arrived)
            if len(self.given) == most:
                break

    def sent(self) -> list[Message]:
        self.maker.end()
        self.source.close()
        found = []
        while self._ours.poll():
            found.append(decode(self._ours.recv_bytes()))
        self._ours.close()
        self._theirs.close()
        return [message for message in found if isinstance(message, Segment)]


@pytest.mark.parametrize(
    ("make", "kind"), [(ts_bursts, "video/mp2t"), (jpeg_bursts, "multipart/x-mixed-replace; boundary=frame")]
)
def test_a_server_that_sends_four_seconds_at_once_loses_no_picture(site: Site, make: object, kind: str) -> None:  # noqa: F811
    bursts = make()  # type: ignore[operator]

    def broadcast(handler: SimpleHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        for number, burst in enumerate(bursts):
            time.sleep(BURST_S if number else 0)
            handler.wfile.write(burst)
            handler.wfile.flush()
        return True

    site.answer = broadcast
    watched = WatchedCamera(Source(parse_address(f"{site.url}/live"), stall_s=10.0))
    assert not watched.source.recording
    with pytest.raises(SourceLostError):
        watched.take_all()
    segments = watched.sent()
    assert watched.worker._counts.dropped == 0
    assert watched.worker._counts.frames >= RATE * BURST_S * BURSTS - 5  # FFmpeg may use up a few to learn what comes
    assert sum(segment.frames for segment in segments) == watched.worker._counts.frames
    assert segments[-1].clip.end_s > BURST_S * (BURSTS - 1) - 1


def test_rtsp_that_stood_still_and_catches_up_loses_no_picture(rtsp: Rtsp) -> None:
    """Its server is stopped for 3.5 s, in which the pictures go on, and sends what it missed when it goes on."""
    server: RtspServer = rtsp()
    watched = WatchedCamera(stream(server, stall_s=15.0))
    watched.take_all(25)
    server.pause()
    threading.Timer(3.5, server.resume).start()  # the camera's process waits meanwhile
    watched.take_all(150)
    watched.sent()
    assert watched.worker._counts.dropped == 0


class Timed:
    """A container whose packets come when `wait_s` says, by a clock that only this and the reader move."""

    def __init__(self, container: av.container.InputContainer, clock: ManualClock, wait_s: dict[int, float]) -> None:
        self.container, self.clock, self.wait_s = container, clock, wait_s
        self.format = container.format

    def demux(self, stream: av.VideoStream) -> Iterator[av.Packet]:
        for number, packet in enumerate(self.container.demux(stream)):
            self.clock.advance(self.wait_s.get(number, 0.0))
            yield packet

    def close(self) -> None:
        self.container.close()


@pytest.mark.parametrize(("take_s", "burst_s", "lost"), [(0.01, 4, False), (0.09, 4, False), (0.2, 4, True)])
def test_what_a_slow_machine_is_late_with_still_goes(site: Site, take_s: float, burst_s: int, lost: bool) -> None:  # noqa: F811
    """Ten pictures a second in bursts; each takes `take_s`. Above 0.1 s the machine falls behind, whoever sends how."""
    content = b"".join(ts_bursts())

    def broadcast(handler: SimpleHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", "video/mp2t")
        handler.end_headers()
        handler.wfile.write(content)
        return True

    site.answer = broadcast
    clock = ManualClock()
    address = parse_address(f"{site.url}/live")
    source = Source(address, stall_s=10.0, monotonic=clock.monotonic, nap=clock.advance)
    waits = {number: float(burst_s) for number in range(RATE * burst_s, RATE * BURST_S * BURSTS, RATE * burst_s)}
    if lost:  # who is busy for twice as long as a burst lasts never waits for the next
        waits = {}
    source.container = Timed(source.container, clock, waits)  # type: ignore[assignment]
    watched = WatchedCamera(source)
    take = watched.worker._take

    def slowly(maker: SegmentMaker, packet: av.Packet, arrived: float) -> None:
        before = watched.worker._counts.frames
        take(maker, packet, arrived)
        clock.advance(take_s * (watched.worker._counts.frames - before))

    watched.worker._take = slowly  # type: ignore[method-assign]
    with pytest.raises(SourceLostError):
        watched.take_all()
    watched.sent()
    assert (watched.worker._counts.dropped > 0) == lost


def test_a_pause_is_not_held_against_what_comes_after_it() -> None:
    clock = StreamTime(0.1, stamped=True, recording=False, hole_s=10.0)
    for number in range(20):
        clock.place(number * 0.1, 0.0)
        clock.saw(number * 0.1, 100 + number * 0.1)
    assert clock.lag_s(2.0, 106.0) == pytest.approx(4.0)
    clock.excuse()
    assert clock.lag_s(2.0, 106.0) == 0.0
    clock.saw(2.0, 106.0)  # 4 s later than those before
    assert clock.lag_s(2.1, 106.5) == pytest.approx(0.4)
    assert clock.lag_s(2.1, 109.0) == pytest.approx(2.9)
    assert clock.origin == pytest.approx(100.0)  # where stream seconds lie is told by the promptest, as before


def test_of_a_long_burst_a_part_comes_at_once_and_the_rest_at_twice_its_pace() -> None:
    burst = Burst(5.0)
    burst.waited(100.0)
    due = [burst.due(50.0 + number, 100.0) for number in range(10)]
    assert due == pytest.approx([100.0 + max(number - FREE_S, 0) / SPEED for number in range(10)])
    assert burst.due(1059.0, 105.0) == pytest.approx(due[-1])  # nobody waits through a hole
    burst.waited(120.0)
    assert burst.due(1060.0, 120.0) == 120.0


def test_pictures_without_stamps_keep_a_distance_once_their_rate_is_known() -> None:
    burst = Burst(5.0)
    assert [burst.due(None, 100.0) for _ in range(40)] == [100.0] * 40
    burst.waited(104.0)  # 40 in 4 s: 0.1 s each
    due = [burst.due(None, 104.0) for _ in range(4)]
    assert due == pytest.approx([104.0, 104.075, 104.15, 104.225])
    assert burst.due(None, 140.0) == 140.0  # half a minute on, nothing says how fast it is now
