"""Clips hold the packets as they came, from a keyframe ahead of the pre-roll on, and are whole or absent."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad.apps.live.capture import recorder as module
from refinevad.apps.live.capture.recorder import ClipRecorder, KeptPacket, PacketRing
from videos import flat, write_video

GROUP = 10  # frames from keyframe to keyframe


def packet(number: int, keyframe: bool, size: int = 10) -> KeptPacket:
    return KeptPacket(bytes(size), number, number, 1, Fraction(1, 25), keyframe, number / 25)


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=20), st.floats(0.1, 4.0), st.integers(40, 4000), st.floats(0, 20)
)
def test_the_ring_holds_what_was_asked_for_and_no_more(
    groups: list[int], seconds: float, most_bytes: int, start_s: float
) -> None:
    ring, sent = PacketRing(seconds, most_bytes), list[KeptPacket]()
    for length in groups:
        for place in range(length):
            sent.append(packet(len(sent), place == 0))
            ring.push(sent[-1])
            assert ring.bytes == 10 * len(ring) <= most_bytes
    held = ring.since(-1.0)
    assert not held or held[0].keyframe
    assert held == sent[len(sent) - len(held) :]
    keyframes = [one for one in held if one.keyframe]
    # one group more than needed at most: the second keyframe lies within the seconds asked for
    assert all(one.time_s > sent[-1].time_s - seconds for one in keyframes[1:])
    chosen = ring.since(start_s)
    if held:
        before = [one for one in keyframes if one.time_s <= start_s]
        assert chosen[0] == (before[-1] if before else held[0])
        assert chosen == held[held.index(chosen[0]) :]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 frames of 4 s, each of another grey, a keyframe every tenth, with B frames between."""
    options = {"g": str(GROUP), "bf": "2", "sc_threshold": "0", "crf": "10", "preset": "veryfast"}
    folder = tmp_path_factory.mktemp("film")
    return write_video(folder / "film.mp4", flat([2 * i for i in range(100)]), options=options)


def run(film: Path, recorder: ClipRecorder, steps: dict[int, tuple], packets: int = 100) -> None:
    """Push a film's packets; before the n-th one do what `steps[n]` says."""
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        recorder.begin_stream(stream)
        for number, one in enumerate(container.demux(stream)):
            kept = KeptPacket.of(one, float(one.pts * one.time_base) if one.pts is not None else 0.0)
            if kept is None or number == packets:
                break
            if number in steps:
                name, *arguments = steps[number]
                getattr(recorder, name)(*arguments)
            recorder.push(kept)


def greys(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [round(float(f.to_ndarray(format="gray").mean()) / 2) for f in container.decode(video=0)]


def test_a_clip_begins_at_the_keyframe_ahead_and_ends_after_its_end(film: Path, tmp_path: Path) -> None:
    """Asked at frame 60 for 1.7 s (frame 42.5) to 3.0 s (frame 75): from keyframe 40 until 75 has come."""
    recorder, path = ClipRecorder(ring_s=3.0), tmp_path / "clips" / "e.mp4"
    run(film, recorder, {60: ("begin", "e", path, 1.7), 65: ("finish", "e", 3.0, False)})
    assert recorder.done == [("e", "")]
    found = greys(path)
    assert found[:30] == pytest.approx(list(range(40, 70)), abs=1)
    assert 75 <= found[-1] <= 79
    assert [one.name for one in path.parent.iterdir()] == ["e.mp4"]


def test_what_is_over_by_then_is_closed_at_once_and_two_clips_may_overlap(film: Path, tmp_path: Path) -> None:
    recorder = ClipRecorder(ring_s=9.0)
    steps = {
        50: ("begin", "a", tmp_path / "a.mp4", 0.0),
        55: ("begin", "b", tmp_path / "b.mp4", 1.0),
        60: ("finish", "a", 1.0, False),
        70: ("finish", "b", 99.0, True),
    }
    run(film, recorder, steps)
    assert recorder.done == [("a", ""), ("b", "")]
    assert greys(tmp_path / "a.mp4")[0] == pytest.approx(0, abs=1)
    assert 56 <= len(greys(tmp_path / "a.mp4")) <= 60
    assert greys(tmp_path / "b.mp4")[0] == pytest.approx(20, abs=1)


def test_a_clip_is_bounded_and_another_stream_ends_it(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CLIP_S", 1.0)
    recorder = ClipRecorder(ring_s=1.0)
    run(
        film,
        recorder,
        {30: ("begin", "long", tmp_path / "long.mp4", 1.0), 95: ("begin", "cut", tmp_path / "cut.mp4", 3.5)},
    )
    assert recorder.done == [("long", "")]
    assert len(greys(tmp_path / "long.mp4")) == pytest.approx(26, abs=3)
    run(film, recorder, {}, packets=5)
    assert recorder.done == [("long", ""), ("cut", "")]
    assert len(recorder.ring) == 5


def test_without_pictures_or_a_folder_there_is_no_clip_and_a_reason(film: Path, tmp_path: Path) -> None:
    recorder = ClipRecorder(ring_s=1.0)
    recorder.begin("none", tmp_path / "none.mp4", 0.0)
    (tmp_path / "file").write_text("")
    run(film, recorder, {20: ("begin", "bad", tmp_path / "file" / "bad.mp4", 0.0), 30: ("finish", "bad", 9.0, True)})
    assert [event for event, reason in recorder.done if reason] == ["none", "bad"]
    assert recorder.done[0][1] == "no pictures are held"


def test_what_does_not_go_into_mp4_gives_a_reason(tmp_path: Path) -> None:
    film = write_video(tmp_path / "raw.avi", frames=5, codec="rawvideo", pixels="bgr24")
    recorder = ClipRecorder(ring_s=1.0)
    run(film, recorder, {2: ("begin", "e", tmp_path / "e.mp4", 0.0)})
    assert recorder.done[0][0] == "e"
    assert "rawvideo does not go into MP4" in recorder.done[0][1]
    np.testing.assert_equal(list(tmp_path.glob("*.mp4")), [])
