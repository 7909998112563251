"""The large view's stream: the packets as they came, as fragmented MP4; who joins late, and who takes it too slowly."""

import asyncio
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest

from patience import wait_until
from refinevad.apps.live.capture.kept_stream import KeptStream
from refinevad.apps.live.capture.live_view import avc_name
from refinevad.apps.live.capture.messages import (
    Command,
    Fragment,
    Message,
    Opened,
    Pulse,
    View,
    ViewBegun,
    decode,
    encode,
)
from refinevad.apps.live.capture.recorder import ClipRecorder, KeptPacket
from refinevad.apps.live.capture.source import Source
from refinevad.apps.live.engine import viewers as viewers_module
from refinevad.apps.live.engine.viewers import Viewers
from refinevad.apps.live.settings.addresses import parse_address
from videos import flat, write_video

GROUP, FRAMES = 10, 60


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 frames, each of another grey, a keyframe every tenth, with B frames between."""
    options = {"g": str(GROUP), "bf": "2", "sc_threshold": "0", "crf": "10", "preset": "veryfast"}
    return write_video(tmp_path_factory.mktemp("film") / "a.mp4", flat([4 * i for i in range(FRAMES)]), options=options)


def shown(film: Path, joins: int, leaves: int = FRAMES) -> list[ViewBegun | Fragment]:
    """What is sent where somebody watches from packet `joins` to packet `leaves`."""
    sent: list[Message] = []
    kept = KeptStream(ClipRecorder(ring_s=5.0), sent.append)
    source = Source(parse_address(str(film)), stall_s=5.0, fast=True)
    kept.claim(source)
    for number, packet in enumerate(source.container.demux(source.stream)):
        if number == joins:
            kept.view(True)
        if number == leaves:
            kept.view(False)
        time_s = float(packet.pts * packet.time_base) if packet.pts is not None else 0.0
        if (one := KeptPacket.of(packet, time_s)) is not None:
            kept.push(source, one, time_s)
    kept.view(False)
    source.close()
    return [decode(encode(message)) for message in sent if isinstance(message, ViewBegun | Fragment)]  # type: ignore[misc]


def greys(pieces: list[ViewBegun | Fragment]) -> list[int]:
    content = b"".join(piece.data for piece in pieces if isinstance(piece, Fragment))
    with av.open(BytesIO(content)) as container:
        return [round(float(np.mean(frame.to_ndarray(format="gray"))) / 4) for frame in container.decode(video=0)]


def test_what_is_shown_begins_with_the_newest_keyframe_and_holds_every_picture(film: Path) -> None:
    """Joined at packet 25: from keyframe 20 on. The muxer holds one picture back, the last one here."""
    begun, head, *pieces = shown(film, 25)
    assert isinstance(begun, ViewBegun)
    assert (begun.width, begun.height, begun.reason) == (48, 32, "")
    assert begun.codec.startswith("avc1.")
    assert len(begun.codec) == len("avc1.64001f")
    assert isinstance(head, Fragment)
    seen = greys([head, *pieces])
    assert len(seen) >= FRAMES - 20 - 1
    assert sorted(seen)[: FRAMES - 22] == list(range(20, FRAMES - 2))
    marks = [place for place, piece in enumerate(pieces) if isinstance(piece, Fragment) and piece.keyframe]
    assert marks == [0, 10, 20, 30]
    late = greys([head, *pieces[marks[2] :]])  # a player that joins later gets the head, and goes on from a keyframe
    assert min(late) == 40


def test_nothing_is_made_when_nobody_watches(film: Path) -> None:
    assert shown(film, FRAMES + 1) == []
    pieces = shown(film, 5, 15)
    assert len(greys(pieces)) <= 15


def test_what_browsers_do_not_play_is_said_to_be_so(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.mp4", frames=30, codec="mpeg4")
    (begun,) = shown(film, 3)
    assert isinstance(begun, ViewBegun)
    assert begun.reason == "browsers do not play mpeg4 as it comes"


def test_a_codec_is_named_as_browsers_want_it() -> None:
    assert avc_name(b"....avcC\x01\x64\x00\x1f...") == "avc1.64001f"
    assert avc_name(b"no such box") == ""


# --- who watches -----------------------------------------------------------------------------------------------------

BEGUN = ViewBegun("avc1.64001f", 64, 48, "")


def piece(letter: bytes, keyframe: bool = False) -> Fragment:
    return Fragment(letter, keyframe)


def test_one_stream_serves_all_who_watch_and_ends_with_the_last() -> None:
    told: list[tuple[str, Command]] = []
    viewers = Viewers(lambda camera, command: told.append((camera, command)))
    first, second = list[ViewBegun | Fragment](), list[ViewBegun | Fragment]()
    leave_first = viewers.join("door", first.append)
    head, key, more = piece(b"head"), piece(b"k", True), piece(b"m")
    for news in (BEGUN, head, piece(b"old", True), key, more):
        assert viewers.hear("door", news)
    leave_second = viewers.join("door", second.append)
    assert second == [BEGUN, head, key, more]  # from the newest keyframe on
    viewers.hear("door", piece(b"n"))
    assert (first[-1], second[-1]) == (piece(b"n"), piece(b"n"))
    assert told == [("door", View(True))]
    assert not viewers.hear("door", Opened(64, 48, 25.0, "h264", False))  # perhaps another process: it is told again
    assert told == [("door", View(True))] * 2
    assert not viewers.hear("door", Pulse(1, 0, 0, 0, 64, 48))
    leave_first()
    leave_first()
    assert len(told) == 2
    leave_second()
    assert told[-1] == ("door", View(False))
    viewers.hear("door", piece(b"late"))
    assert second[-1] == piece(b"n")


def test_what_is_held_for_those_who_join_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers_module, "MOST_BYTES", 10)
    viewers, late = Viewers(lambda *_: None), list[ViewBegun | Fragment]()
    viewers.join("door", lambda _: None)
    for news in (BEGUN, piece(b"head"), piece(b"12345", True), piece(b"123456"), piece(b"7")):
        viewers.hear("door", news)
    viewers.join("door", late.append)
    assert late == [BEGUN, piece(b"head")]
    viewers.hear("door", piece(b"k", True))
    assert late[-1] == piece(b"k", True)


# --- over the websocket ----------------------------------------------------------------------------------------------


@pytest.fixture
def watched(house) -> Iterator:  # type: ignore[no-untyped-def]
    yield house
    assert house.engine.views == []  # nobody is left


def test_a_page_is_sent_the_stream_as_it_comes(watched) -> None:  # type: ignore[no-untyped-def]
    with watched.client.websocket_connect("/ws/cameras/door", headers={"host": "localhost:8600"}) as socket:
        wait_until(lambda: bool(watched.engine.views), "the viewer")
        (name, take) = watched.engine.views[0]
        assert name == "door"
        for news in (BEGUN, piece(b"head"), piece(b"abc", True)):
            take(news)
        binary, begun = list[bytes](), list[dict[str, object]]()
        while len(binary) < 2:
            said = socket.receive()
            if said.get("bytes"):
                binary.append(said["bytes"])
            elif '"ping"' not in said["text"]:
                begun.append(json.loads(said["text"]))
        assert binary == [b"head", b"abc"]
        assert begun == [{"type": "begin", "codec": "avc1.64001f", "width": 64, "height": 48, "reason": ""}]
    wait_until(lambda: watched.engine.views == [], "its leaving")


def test_a_client_that_takes_too_little_is_dropped() -> None:
    from refinevad.apps.service.routes.view import Screen

    async def judged() -> tuple[bool, bool, list[ViewBegun | Fragment]]:
        screen = Screen(asyncio.get_running_loop(), most_bytes=10)
        screen.take(piece(b"12345", True))
        await asyncio.sleep(0)
        taken = await screen.next(1.0)
        for _ in range(2):
            screen.take(piece(b"12345"))
        await asyncio.sleep(0)
        before = screen.slow.is_set()
        screen.take(piece(b"1"))
        await asyncio.sleep(0)
        assert await screen.next(1.0) == []  # nothing more is held for it
        return before, screen.slow.is_set(), taken

    before, after, taken = asyncio.run(judged())
    assert (before, after, taken) == (False, True, [piece(b"12345", True)])
