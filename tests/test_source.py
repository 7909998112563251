"""Files and streams as they come: at their pace, stalls and breaks are noticed; clips as video/reading.py cuts."""

import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from fakes import MeanEncoder
from patience import wait_until
from refinevad.apps.live.capture.messages import Gap, Message, Picture, Segment
from refinevad.apps.live.capture.preview import PreviewMaker
from refinevad.apps.live.capture.segment_maker import SegmentMaker
from refinevad.apps.live.capture.source import Source, SourceLostError
from refinevad.apps.live.settings.addresses import Address, parse_address
from refinevad.apps.service.probing import _look
from refinevad.errors import InputError
from refinevad.timeline import SegmentRule
from refinevad.video.reading import ClipReader, probe
from servers import RtspServer
from videos import flat, nobodys_codec, spoil_packets, write_headers_only, write_video
from watch_cases import write_film

Rtsp = Callable[..., RtspServer]
RULE = SegmentRule.default()
NEEDS = MeanEncoder.needs


def maker(source: Source, sent: list[Message], preview_hz: float = 0.0) -> SegmentMaker:
    return SegmentMaker(
        source, NEEDS, RULE, hole_s=5.0, preview=PreviewMaker(32), preview_hz=preview_hz, send=sent.append
    )


def play(source: Source, preview_hz: float = 0.0) -> list[Message]:
    """Everything a recording brings."""
    sent: list[Message] = []
    one = maker(source, sent, preview_hz)
    for packet, arrived in source:
        for frame in packet.decode():
            assert one.push(frame, arrived)
    one.end()
    source.close()
    return sent


def fast(path: Path) -> Source:
    return Source(parse_address(str(path)), stall_s=5.0, fast=True)


@pytest.mark.parametrize("suffix", [".nut", ".y4m"])
def test_a_container_that_cameras_are_not_read_from_is_told(suffix: str, tmp_path: Path) -> None:
    """Nothing is wrong with the file: `detect` reads it."""
    codec = "wrapped_avframe" if suffix == ".y4m" else "libx264"
    path = write_video(tmp_path / f"v{suffix}", codec=codec)
    assert probe(path).width == 48
    with pytest.raises(InputError, match="in a container that cameras are not read from; convert it to MP4 or MKV"):
        Source(parse_address(str(path)), stall_s=5.0)
    with pytest.raises(InputError, match="in a container that uploads are not read from; convert it to MP4"):
        _look(path, 8192 * 8192)


@pytest.mark.parametrize("kind", ["steady", "variable", "b-frames"])
def test_a_files_segments_are_those_of_the_clip_reader(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    if kind == "variable":
        steps = np.random.default_rng(3).uniform(0.01, 0.3, 60)
        write_video(path, flat(range(0, 240, 4)), times_s=np.cumsum(steps).round(3).tolist())
    else:
        write_video(path, flat(range(0, 240, 4)), options={"bf": "3"} if kind == "b-frames" else {})
    reader = ClipReader(path, NEEDS, RULE)
    expected = list(reader)
    found = [message for message in play(fast(path)) if isinstance(message, Segment)]
    assert len(found) == len(expected)
    for one, two in zip(found, expected, strict=True):
        assert (one.clip.start_s, one.clip.end_s, one.clip.lead) == (two.start_s, two.end_s, two.lead)
        np.testing.assert_array_equal(one.clip.rgb, two.rgb)
        np.testing.assert_array_equal(one.clip.gray, two.gray)
        np.testing.assert_array_equal(one.clip.gray_times, two.gray_times)
    assert sum(message.frames for message in found) == reader.frames == 60


class Sleeper:
    """A clock that goes on only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def nap(self, seconds: float) -> None:
        assert 0 < seconds <= 0.25
        self.now += seconds


def test_a_recording_is_read_at_its_own_pace(tmp_path: Path) -> None:
    """50 frames at 25 a second: one every 0.04 s."""
    clock = Sleeper()
    path = write_video(tmp_path / "film.mp4", flat(range(50)), options={"bf": "0"})
    source = Source(parse_address(str(path)), stall_s=5.0, monotonic=clock.monotonic, nap=clock.nap)
    arrivals = [arrived for packet, arrived in source if packet.size]
    source.close()
    np.testing.assert_allclose(np.diff(arrivals), 0.04, atol=1e-6)
    assert arrivals[0] == 100.0


def test_small_pictures_come_so_often_and_are_the_frames(tmp_path: Path) -> None:
    import av

    path = write_video(tmp_path / "film.mp4", flat(range(0, 200, 2), 128, 64), size=(128, 64))
    pictures = [message for message in play(fast(path), preview_hz=2.0) if isinstance(message, Picture)]
    assert [picture.time_s for picture in pictures] == pytest.approx([0.0, 0.52, 1.04, 1.56, 2.08, 2.6, 3.12, 3.64])
    for picture in pictures:
        decoder = av.CodecContext.create("mjpeg", "r")
        (frame,) = decoder.decode(av.Packet(picture.jpeg))
        assert (frame.width, frame.height) == (32, 16)
        assert frame.to_ndarray(format="gray").mean() == pytest.approx(2 * round(picture.time_s * 25), abs=6)


def test_a_damaged_file_is_read_around_the_damage(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", flat(range(0, 200, 2)), codec="mpeg4", options={"g": "10"})
    spoil_packets(path, range(40, 45))
    sent: list[Message] = []
    source = fast(path)
    one = maker(source, sent)
    import av

    damaged = 0
    for packet, arrived in source:
        try:
            for frame in packet.decode():
                one.push(frame, arrived)
        except av.error.FFmpegError:
            damaged += 1
    one.end()
    source.close()
    segments = [message for message in sent if isinstance(message, Segment)]
    assert segments[-1].clip.end_s == pytest.approx(4.0)
    assert 90 <= sum(segment.frames for segment in segments) <= 100


def test_files_that_are_no_videos_are_refused_in_a_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    for path in (text, playlist):
        with pytest.raises(InputError, match=f"not a video that FFmpeg can read: .*{path.name}"):
            fast(path)
    empty = write_headers_only(tmp_path / "empty.mp4")
    with pytest.raises(InputError, match="no video stream in"):
        fast(empty)
    with pytest.raises(InputError, match=r"no video stream in .*zzzz\.mp4 \(there is no decoder"):
        fast(nobodys_codec(tmp_path / "zzzz.mp4", "libx264", b"avc1"))


# -- streams ----------------------------------------------------------------------------------------------------------


def stream(server: RtspServer, stall_s: float = 10.0) -> Source:
    """The server needs a moment before it serves."""
    opened: list[Source] = []

    def serves() -> bool:
        with suppress(SourceLostError):
            opened.append(Source(parse_address(server.url), stall_s=stall_s))
        return bool(opened)

    wait_until(serves, "the server")
    return opened[0]


def test_a_server_that_is_not_there_or_refuses_is_told_without_the_password(rtsp: Rtsp) -> None:
    server = rtsp(login=("viewer", "right"))
    address = parse_address(server.url.replace("rtsp://", "rtsp://viewer:w%2Fr%40ng@"))
    with pytest.raises(SourceLostError) as refused:
        Source(address, stall_s=5.0)
    server.kill()
    with pytest.raises(SourceLostError) as gone:
        Source(address, stall_s=5.0)
    for error in (refused, gone):
        assert "rtsp://***@127.0.0.1" in str(error.value)
        assert "w%2Fr" not in str(error.value)
        assert error.value.__cause__ is None


@pytest.mark.parametrize("fault", ["killed", "stalled"])
def test_a_stream_that_breaks_off_or_stalls_is_noticed(rtsp: Rtsp, fault: str) -> None:
    server = rtsp()
    source = stream(server, stall_s=2.0)
    assert not source.recording

    def count(source: Source) -> None:
        for number, _ in enumerate(source):
            if number == 10:
                server.kill(signal.SIGKILL) if fault == "killed" else server.pause()

    with pytest.raises(SourceLostError, match=r"127\.0\.0\.1"):
        count(source)
    source.close()


def frames_of(source: Source, sent: list[Message], until: Callable[[], bool]) -> Iterator[object]:
    import av

    one = maker(source, sent)
    for packet, arrived in source:
        try:
            for frame in packet.decode():
                one.push(frame, arrived)
                yield frame
        except av.error.FFmpegError:
            continue
        if until():
            return


def test_pictures_that_change_their_size_and_are_corrupt_go_on(rtsp: Rtsp, tmp_path: Path) -> None:
    """Two sizes in turn, a second each, and access units in the middle of each overwritten."""
    options = {"g": "5", "bf": "0"}
    films = [
        write_video(tmp_path / f"{width}.mp4", flat(range(40, 65), width, 96), size=(width, 96), options=options)
        for width in (128, 192)
    ]
    source = stream(rtsp(films, spoiled=[7, 8, 33]))
    sent: list[Message] = []
    seen: Counter[tuple[int, int]] = Counter()
    for frame in frames_of(source, sent, lambda: seen.total() > 90):
        seen[frame.width, frame.height] += 1
    source.close()
    assert set(seen) == {(128, 96), (192, 96)}
    # a server's clock becomes known with its first report: until then the stream may count from elsewhere
    gaps = [place for place, message in enumerate(sent) if isinstance(message, Gap)]
    assert len(gaps) <= 1
    segments = [message for message in sent[gaps[0] if gaps else 0 :] if isinstance(message, Segment)]
    assert {segment.clip.rgb.shape[1:] for segment in segments} == {(8, 8, 3)}
    starts = [segment.clip.start_s for segment in segments]
    assert len(starts) > 3
    assert np.diff(starts) == pytest.approx(0.64, abs=0.2)


def test_a_server_that_accepts_and_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        taken: list[socket.socket] = []
        threading.Thread(target=lambda: taken.append(silent.accept()[0]), daemon=True).start()
        address = parse_address(f"http://127.0.0.1:{silent.getsockname()[1]}/stream")
        with pytest.raises(SourceLostError, match=r"127\.0\.0\.1"):
            Source(address, stall_s=1.0, open_s=1.0)
        for one in taken:
            one.close()


class PatternDevice(Address):
    """A device as FFmpeg's libavdevice shows one: raw pictures at their own pace. No kernel module is to be had."""

    @property
    def format(self) -> str:
        return "lavfi"

    @property
    def options(self) -> dict[str, str]:
        return {}


def test_a_device_is_a_stream() -> None:
    address = PatternDevice("device", "/dev/video0", "testsrc=size=64x48:rate=25,realtime")
    source = Source(address, stall_s=10.0)
    assert (source.recording, source.stamped, source.rate_hz) == (False, True, 25.0)
    sent: list[Message] = []
    one = maker(source, sent)
    for number, (packet, arrived) in enumerate(source):
        for frame in packet.decode():
            assert one.push(frame, arrived)
        if number == 60:
            break
    source.close()
    starts = [message.clip.start_s for message in sent if isinstance(message, Segment)]
    assert starts[:3] == pytest.approx([0.0, 0.64, 1.28])


def test_a_device_that_is_not_there_may_be_plugged_in_later() -> None:
    with pytest.raises(SourceLostError, match="/dev/video987: No such file"):
        Source(parse_address("/dev/video987"), stall_s=5.0)


def test_films_for_other_tests_have_pictures(tmp_path: Path) -> None:
    assert len(play(fast(write_film(tmp_path / "film.mp4", seconds=2)))) == 4
