"""Streams and recordings over HTTP and TLS, from real servers: files, HLS, MJPEG, and what is not to be followed."""

import base64
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import av
import pytest

from fakes import MeanEncoder
from manual_clock import ManualClock
from patience import wait_until
from refinevad.apps.live.capture.source import Source, SourceLostError
from refinevad.apps.live.capture.worker import Worker, WorkerJob
from refinevad.apps.live.settings.addresses import Address, parse_address
from refinevad.timeline import SegmentRule
from servers import Certificate, RtspServer
from videos import flat, write_video

LEVELS = range(40, 240, 2)  # 100 pictures: a grey each


class Site:
    """A folder over HTTP. `answer(handler)` may answer in its place, and says whether it did."""

    def __init__(self, folder: Path, tls: Certificate | None = None) -> None:
        site, self.folder, self.asked = self, folder, list[tuple[str, str | None]]()
        self.answer: Callable[[SimpleHTTPRequestHandler], bool] = lambda handler: False

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers.get("Authorization")))
                if not site.answer(self):
                    super().do_GET()

            def copyfile(self, source: object, outputfile: object) -> None:
                try:
                    super().copyfile(source, outputfile)  # type: ignore[type-var]
                except OSError:  # whoever asked has gone
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.server.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.file, tls.key)
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    opened = Site(tmp_path)
    yield opened
    opened.close()


def levels(source: Source, most: int | None = None) -> list[int]:
    """The grey of each picture, in order."""
    found: list[int] = []
    for packet, _ in source:
        found += [round(float(frame.to_ndarray(format="gray").mean())) for frame in packet.decode()]
        if most is not None and len(found) >= most:
            break
    return found


def write_hls(folder: Path, video: Path, part_s: int = 1) -> Path:
    """Cut a video at its keyframes into parts of a second, or of more, with a playlist that ends."""
    folder.mkdir()
    options = {"hls_time": str(part_s), "hls_list_size": "0", "hls_segment_filename": str(folder / "part%d.ts")}
    with av.open(str(video)) as film, av.open(str(folder / "film.m3u8"), "w", format="hls", options=options) as parts:
        stream = parts.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                parts.mux(packet)
    return folder / "film.m3u8"


@pytest.fixture
def hls(tmp_path: Path) -> Path:
    film = write_video(tmp_path / "film.mp4", flat(LEVELS), options={"g": "25", "bf": "0"})
    return write_hls(tmp_path / "hls", film)


@pytest.mark.parametrize("name", ["film.mp4", "film.ts"])
def test_a_recording_over_http_is_read_whole_and_ends(site: Site, name: str) -> None:
    write_video(site.folder / name, flat(LEVELS), container_options={"movflags": "faststart"} if "mp4" in name else {})
    source = Source(parse_address(f"{site.url}/{name}"), stall_s=10.0, fast=True)
    assert source.recording
    assert source.rate_hz == 25.0
    assert levels(source) == pytest.approx(list(LEVELS), abs=2)
    source.close()


def test_credentials_go_to_the_server_and_are_not_shown(site: Site) -> None:
    write_video(site.folder / "film.mp4", flat(LEVELS))
    wanted = "Basic " + base64.b64encode(b"viewer:p@ss").decode()

    def ask(handler: SimpleHTTPRequestHandler) -> bool:
        if handler.headers.get("Authorization") == wanted:
            return False
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", 'Basic realm="camera"')
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    site.answer = ask
    right = parse_address(f"{site.url}/film.mp4".replace("//", "//viewer:p%40ss@", 1))
    source = Source(right, stall_s=10.0, fast=True)
    assert source.recording
    source.close()
    with pytest.raises(SourceLostError, match=r"http://\*\*\*@127\.0\.0\.1") as refused:
        Source(parse_address(f"{site.url}/film.mp4".replace("//", "//viewer:wr0ng@", 1)), stall_s=10.0)
    assert "wr0ng" not in str(refused.value)


def test_a_playlist_that_ends_is_a_recording(site: Site, hls: Path) -> None:
    source = Source(parse_address(f"{site.url}/hls/{hls.name}"), stall_s=10.0, fast=True)
    assert source.recording
    assert source.stamped
    assert levels(source) == pytest.approx(list(LEVELS), abs=2)
    source.close()


def test_a_playlist_that_grows_is_a_stream_and_stalls_when_it_stops(site: Site, hls: Path) -> None:
    """Three parts are there; the fourth is listed once the pictures of the first have come, and then no more."""
    head, parts = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n", 3

    def listed(handler: SimpleHTTPRequestHandler) -> bool:
        if not handler.path.endswith(".m3u8"):
            return False
        body = (head + "".join(f"#EXTINF:1.0,\npart{number}.ts\n" for number in range(parts))).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/vnd.apple.mpegurl")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return True

    site.answer = listed
    source = Source(parse_address(f"{site.url}/hls/{hls.name}"), stall_s=4.0)
    assert not source.recording
    found = levels(source, 20)
    assert found == pytest.approx(list(LEVELS)[:20], abs=2)
    parts = 4
    with pytest.raises(SourceLostError, match=r"127\.0\.0\.1"):
        found += levels(source)
    source.close()
    assert ("/hls/part3.ts", None) in site.asked


@pytest.mark.parametrize("part_s", [3, 5])
def test_a_playlist_that_grows_is_watched_without_a_gap(site: Site, tmp_path: Path, part_s: int) -> None:
    """Parts come whole, longer than what counts as late; a camera's process gives their pictures at their own pace."""
    film = write_video(tmp_path / "long.mp4", flat([*range(20, 220)] * 3), options={"g": str(25 * part_s), "bf": "0"})
    write_hls(tmp_path / "hls", film, part_s)
    clock = ManualClock()

    def listed(handler: SimpleHTTPRequestHandler) -> bool:
        """The last three parts that are over; the first three were when the camera comes."""
        if not handler.path.endswith(".m3u8"):
            return False
        over = 3 + int(clock.monotonic() / part_s)
        lines = [f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{part_s}\n#EXT-X-MEDIA-SEQUENCE:{over - 3}"]
        lines += [f"#EXTINF:{part_s}.0,\npart{number}.ts" for number in range(over - 3, over)]
        body = ("\n".join(lines) + "\n").encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/vnd.apple.mpegurl")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return True

    site.answer = listed
    address = parse_address(f"{site.url}/hls/film.m3u8")
    source = Source(address, stall_s=15.0, monotonic=clock.monotonic, nap=clock.advance)
    ours, theirs = Pipe()
    worker = Worker(WorkerJob(address, MeanEncoder.needs, SegmentRule.default(), False, 15.0, 0.0, 32, 0.0), theirs)
    maker = worker._segment_maker(source)
    came: list[float] = []
    for packet, arrived in source:
        worker._take(maker, packet, arrived)
        came.append(arrived)
        if len(came) == 25 * part_s * 4:  # a part more than were there
            break
    source.close()
    assert worker._counts.dropped == 0
    assert worker._counts.frames == len(came)
    assert max(b - a for a, b in itertools.pairwise(came)) < 0.05
    for end in (ours, theirs):
        end.close()


def test_parts_that_were_missed_are_not_waited_for(site: Site, hls: Path) -> None:
    """A camera that lags behind the playlist loses a second: waiting for it as well would keep it there for good."""

    class Skipping:
        def __init__(self, container: av.container.InputContainer) -> None:
            self.container = container

        def demux(self, stream: av.VideoStream) -> Iterator[av.Packet]:
            return (packet for number, packet in enumerate(self.container.demux(stream)) if not 20 <= number < 45)

        def close(self) -> None:
            self.container.close()

    hls.write_text(hls.read_text().replace("#EXT-X-ENDLIST\n", ""))  # as one that goes on
    clock = ManualClock()
    address = parse_address(f"{site.url}/hls/{hls.name}")
    source = Source(address, stall_s=10.0, monotonic=clock.monotonic, nap=clock.advance)
    source.container = Skipping(source.container)  # type: ignore[assignment]
    came = [arrived for _, (_, arrived) in zip(range(40), source, strict=False)]
    source.close()
    assert [after - before for before, after in itertools.pairwise(came)] == pytest.approx(
        [0.04] * 19 + [0.0] + [0.04] * 19
    )


class LatePackets:
    """A container whose network holds packet 60 back for three seconds."""

    def __init__(self, container: av.container.InputContainer, clock: ManualClock) -> None:
        self.container, self.clock = container, clock

    def demux(self, stream: av.VideoStream) -> Iterator[av.Packet]:
        for number, packet in enumerate(self.container.demux(stream)):
            if number == 60:
                self.clock.advance(3.0)
            yield packet

    def __getattr__(self, name: str) -> object:
        return getattr(self.container, name)


@pytest.mark.parametrize("slow", ["the network", "we"])
def test_a_network_that_stalls_delays_a_recording_and_a_slow_machine_drops_from_it(site: Site, slow: str) -> None:
    """Packets are due each 40 ms, with a keyframe each second; 3 s are lost at packet 60: more than counts as late."""
    write_video(
        site.folder / "film.mp4",
        flat(LEVELS),
        options={"g": "25", "bf": "0"},
        container_options={"movflags": "faststart"},
    )
    clock = ManualClock()
    address = parse_address(f"{site.url}/film.mp4")
    source = Source(address, stall_s=10.0, monotonic=clock.monotonic, nap=clock.advance)
    if slow == "the network":
        source.container = LatePackets(source.container, clock)  # type: ignore[assignment]
    ours, theirs = Pipe()
    worker = Worker(WorkerJob(address, MeanEncoder.needs, SegmentRule.default(), False, 10.0, 0.0, 32, 0.0), theirs)
    maker, came = worker._segment_maker(source), list[float]()
    for packet, arrived in source:
        worker._take(maker, packet, arrived)
        came += [arrived] if packet.size else []
        if slow == "we" and len(came) == 60:
            clock.advance(3.0)
    source.close()
    steps = [after - before for before, after in itertools.pairwise(came)]
    if slow == "the network":
        assert steps == pytest.approx([*[0.04] * 59, 3.0, *[0.04] * 39])
        assert (worker._counts.dropped, worker._counts.frames, source.slips) == (0, 100, 1)
    else:
        assert max(steps[60:]) < 0.05  # what follows makes up for it
        assert (worker._counts.dropped, source.slips) == (40, 0)  # 2 s later, at 110, it would be in time again
    for end in (ours, theirs):
        end.close()


@pytest.mark.parametrize(
    "inside", ["file://{folder}/hls/part0.ts", "concat:{folder}/hls/part0.ts", "{folder}/hls/part0.ts"]
)
def test_a_playlist_does_not_reach_this_machines_files(site: Site, hls: Path, inside: str) -> None:
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{inside.format(folder=site.folder)}\n#EXT-X-ENDLIST\n"
    (site.folder / "evil.m3u8").write_text(text)
    with pytest.raises(SourceLostError):
        Source(parse_address(f"{site.url}/evil.m3u8"), stall_s=3.0, open_s=5.0)


def test_motion_jpeg_is_a_stream_timed_by_arrival(site: Site) -> None:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 32, 32, "yuvj420p", Fraction(1, 25)
    pictures = []
    for number, picture in enumerate(flat(LEVELS)):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
        frame.pts = number
        pictures += [bytes(packet) for packet in encoder.encode(frame)]

    def broadcast(handler: SimpleHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        for picture in pictures:
            handler.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture))
            handler.wfile.write(picture + b"\r\n")
        return True

    site.answer = broadcast
    source = Source(parse_address(f"{site.url}/video.mjpg"), stall_s=5.0)
    assert (source.recording, source.stamped) == (False, False)
    found: list[int] = []

    def take() -> None:
        for packet, _ in source:
            found.extend(round(float(frame.to_ndarray(format="gray").mean())) for frame in packet.decode())

    with pytest.raises(SourceLostError, match=r"127\.0\.0\.1"):
        take()
    source.close()
    assert found == pytest.approx(list(LEVELS)[-len(found) :], abs=3)
    assert len(found) >= 95  # FFmpeg may use up a few to learn what comes


def test_of_cameras_added_by_the_api_neither_redirects_nor_playlists_are_followed(site: Site, hls: Path) -> None:
    def lead_on(handler: SimpleHTTPRequestHandler) -> bool:
        if handler.path != "/elsewhere":
            return False
        handler.send_response(302)
        handler.send_header("Location", "/film.mp4")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    site.answer = lead_on
    for path in ("elsewhere", f"hls/{hls.name}"):
        address = parse_address(f"{site.url}/{path}")
        source = Source(address, stall_s=10.0, fast=True)  # the operator's own is
        assert len(levels(source, 5)) >= 5
        source.close()
        site.asked.clear()
        with pytest.raises(SourceLostError, match=r"only for cameras of the operator's cameras\.toml"):
            Source(replace(address, by_api=True), stall_s=10.0)
        assert {asked for asked, _ in site.asked} == {f"/{path}"}
    plain = Source(parse_address(f"{site.url}/film.mp4", roots=[]), stall_s=10.0, fast=True)
    assert len(levels(plain, 5)) >= 5
    plain.close()


def test_a_name_that_leads_elsewhere_a_moment_later_is_not_followed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It led to this site when it was looked up; nothing but that address is asked for, under the name it goes by."""
    write_video(tmp_path / "film.mp4", flat(LEVELS))
    hosts = list[str | None]()
    site.answer = lambda handler: hosts.append(handler.headers.get("Host")) is not None
    port = site.server.server_port
    real, asked = socket.getaddrinfo, list[str]()

    def answer(host: str, *more: Any, **others: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host == "camera.invalid" else host, *more, **others)

    monkeypatch.setattr(socket, "getaddrinfo", answer)  # FFmpeg's own look-up would not find it
    source = Source(parse_address(f"http://camera.invalid:{port}/film.mp4", roots=[]), stall_s=10.0, fast=True)
    assert len(levels(source)) == len(LEVELS)
    source.close()
    assert set(hosts) == {f"camera.invalid:{port}"}
    assert asked == ["camera.invalid"]


# -- TLS --------------------------------------------------------------------------------------------------------------


def patient(address: Address) -> Source:
    """The server needs a moment before it serves."""
    opened: list[Source] = []

    def serves() -> bool:
        with suppress(SourceLostError):
            opened.append(Source(address, stall_s=10.0))
        return bool(opened)

    wait_until(serves, "the server")
    return opened[0]


def test_https_is_read_and_its_certificate_held_against_the_operators(
    tmp_path: Path, certificate: Certificate, other_certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    write_video(tmp_path / "site" / "film.mp4", flat(LEVELS))
    site = Site(tmp_path / "site", certificate)
    address = parse_address(f"{site.url}/film.mp4")
    for known in (address, replace(address, ca_file=certificate.file)):
        source = Source(known, stall_s=10.0, fast=True)
        assert len(levels(source)) == len(LEVELS)
        source.close()
    with pytest.raises(SourceLostError):
        Source(replace(address, ca_file=other_certificate.file), stall_s=10.0)
    with pytest.raises(SourceLostError):  # vouched for, and of another name
        Source(
            replace(parse_address(address.url.replace("127.0.0.1", "127.0.0.2")), ca_file=certificate.file), stall_s=5.0
        )
    site.close()


def test_rtsps_is_read_and_its_certificate_held_against_the_operators(
    rtsp: Callable[..., RtspServer], certificate: Certificate, other_certificate: Certificate
) -> None:
    server = rtsp(tls=certificate, login=("viewer", "right"))
    assert server.url.startswith("rtsps://")
    address = parse_address(server.url.replace("//", "//viewer:right@", 1))
    for known in (address, replace(address, ca_file=certificate.file)):
        source = patient(known)
        assert len(levels(source, 5)) >= 5
        assert not source.recording
        source.close()
    with pytest.raises(SourceLostError):
        Source(replace(address, ca_file=other_certificate.file), stall_s=10.0)
