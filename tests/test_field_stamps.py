"""Stamps as recorders leave them: garbage, clocks that were set, counters that run over."""

import re
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.packet import Packet

from field_cases import NEEDS, RULE, case, features_of, read, restamped, told
from refinevad.apps.live.capture.messages import Gap, Message, Segment
from refinevad.apps.live.capture.preview import PreviewMaker
from refinevad.apps.live.capture.segment_maker import SegmentMaker
from refinevad.apps.live.capture.source import Source
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.apps.report.keyframes import extract_keyframes
from refinevad.scoring.events import Event
from refinevad.video.reading import probe
from videos import film, flat, write_video

# --- garbage stamps ---------------------------------------------------------------------------------------------------


@told
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mov"])
@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "3"}], ids=str)
@pytest.mark.parametrize(
    ("places", "off_s"), [((100, 150), 2245), ((100, 101), 2245), ((100,), 20), ((100,), 40_000)], ids=str
)
def test_garbage_stamps_move_nothing(
    suffix: str, options: dict[str, str], places: tuple[int, ...], off_s: float, tmp_path: Path
) -> None:
    clean = film(tmp_path / f"v{suffix}", 200, options=options)

    def change(number: int, packet: Packet) -> None:
        if number in places and packet.pts is not None:
            packet.pts += int(off_s / packet.time_base)

    path = restamped(clean, change)
    reader, wanted = read(path), read(clean)
    np.testing.assert_allclose(reader.timeline.time_bounds, wanted.timeline.time_bounds, atol=2e-3)
    assert wanted.notes == ()
    (note,) = reader.notes
    assert f"{len(places)} time stamp" in note
    np.testing.assert_array_equal(features_of(path).values, features_of(clean).values)


@told
def test_bits_that_flipped_in_a_transport_stream(tmp_path: Path) -> None:
    """In the time stamp of one picture's header: it leaves its neighbours by 2^29 and more ticks."""
    clean = film(tmp_path / "v.ts", 100, options={"bf": "0"})
    content = bytearray(clean.read_bytes())
    starts = [found.start() for found in re.finditer(rb"\x00\x00\x01\xe0", content)]
    content[starts[60] + 9] ^= 0b0000_1000  # bits 32 to 30 of the stamp lie in bits 3 to 1
    path = tmp_path / "flipped.ts"
    path.write_bytes(content)
    assert probe(path).codec == "h264"
    reader = read(path)
    assert reader.timeline.duration_s == pytest.approx(4.0, abs=0.05)
    np.testing.assert_array_equal(features_of(path).values, features_of(clean).values)


def lived(path: Path, off_s: dict[int, float], stands: bool = False) -> list[Message]:
    """What a camera's process sends of a live source that shows a file's frames, some with a stamp that is off."""
    sent: list[Message] = []
    source = Source(parse_address(str(path)), stall_s=5.0, fast=True)
    frames = [frame for packet, _ in source for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
    source.recording = False
    maker = SegmentMaker(source, NEEDS, RULE, hole_s=5.0, preview=PreviewMaker(32), preview_hz=0.0, send=sent.append)
    for number, frame in enumerate(frames):
        assert frame.pts is not None
        frame.pts += int(off_s.get(number, 0.0) / frame.time_base)
        assert maker.push(frame, number / 25) or stands
    maker.end()
    source.close()
    return sent


@pytest.mark.parametrize("off_s", [2245.0, -900.0, 30.0, 3.0])
def test_a_cameras_lone_stamps_tear_nothing(off_s: float, tmp_path: Path) -> None:
    path = film(tmp_path / "v.mkv", 200)
    clean, found = lived(path, {}), lived(path, {60: off_s, 100: off_s, 101: off_s})
    assert len(clean) == len(found) == 13
    for one, other in zip(found, clean, strict=True):
        assert isinstance(one, Segment)
        assert isinstance(other, Segment)
        np.testing.assert_array_equal(one.clip.gray, other.clip.gray)
        assert (one.clip.start_s, one.frames) == (pytest.approx(other.clip.start_s, abs=2e-3), other.frames)


def test_a_cameras_clock_that_is_set_is_one_gap(tmp_path: Path) -> None:
    sent = lived(film(tmp_path / "v.mkv", 200), dict.fromkeys(range(100, 200), 7200.0))
    assert [type(message).__name__ for message in sent] == [*["Segment"] * 7, "Gap", *["Segment"] * 7]


def test_a_camera_whose_clock_stands_still_is_watched_all_the_same(tmp_path: Path) -> None:
    """From frame 50 on, at 2 s, all have one stamp: five seconds are lost to find it out, the rest is seen."""
    path = film(tmp_path / "v.mkv", 400)
    sent = lived(path, {number: 2.0 - number / 25 for number in range(50, 400)}, stands=True)
    gap = next(place for place, message in enumerate(sent) if isinstance(message, Gap))
    assert str(path) in sent[gap].reason
    assert "its time stamps stand still" in sent[gap].reason
    assert sent[gap].lasting
    after = [message for message in sent[gap + 1 :] if isinstance(message, Segment)]
    assert sum(segment.frames for segment in after) == pytest.approx(400 - 50 - 126, abs=1)
    assert after[-1].clip.end_s == pytest.approx((400 - 50 - 126) / 25, abs=0.1)
    assert not any(isinstance(message, Gap) for message in sent[gap + 1 :])


@told
def test_two_bad_stamps_of_the_field() -> None:
    reader, clean = read(case("one_bad_pts.mp4")), read(case("video_starts_3s_after_audio.mp4"))
    assert reader.timeline.duration_s == pytest.approx(26.0)
    np.testing.assert_allclose(reader.timeline.time_bounds, clean.timeline.time_bounds, atol=1e-3)
    assert "2 time stamps leave their neighbours" in reader.notes[0]


# --- clocks -----------------------------------------------------------------------------------------------------------


@told
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_clock_that_was_set_with_the_first_picture(suffix: str, tmp_path: Path) -> None:
    clean = film(tmp_path / f"v{suffix}", 100, options={"bf": "0"})

    def change(number: int, packet: Packet) -> None:
        if number and packet.pts is not None:
            packet.pts = packet.dts = packet.pts + int((1.7e9 if suffix == ".mkv" else 50_000) / packet.time_base)

    reader = read(restamped(clean, change))
    assert reader.timeline.duration_s == pytest.approx(4.0, abs=2e-3)
    assert reader.timeline.segments == 7
    assert "1 time stamp leaves its neighbours" in reader.notes[0]


@told
def test_a_first_stamp_of_the_field() -> None:
    reader = read(case("first_frame_then_wallclock.mkv"))
    assert reader.frames == 200
    assert reader.timeline.duration_s == pytest.approx(8.0, abs=2e-3)


@told
@pytest.mark.parametrize("starts_s", [(5000.0, 0.0), (5000.0, 4000.0), (95_440.0, 0.0), (200.0, 0.0)], ids=str)
def test_transport_streams_whose_clock_begins_anew(starts_s: tuple[float, float], tmp_path: Path) -> None:
    parts = [
        film(
            tmp_path / f"{number}.ts",
            150,
            options={"bf": "0"},
            container_options={"output_ts_offset": str(start), "muxdelay": "0"},
        )
        for number, start in enumerate(starts_s)
    ]
    path = tmp_path / "v.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    reader = read(path)
    assert reader.timeline.duration_s == pytest.approx(12.0, abs=0.05)
    assert "the clock begins anew once" in reader.notes[0]


def test_a_counter_that_runs_over_in_a_transport_stream(tmp_path: Path) -> None:
    """33 bits of 90 kHz are full after 95,443.7 s, here in the midst of six seconds."""
    options = {"output_ts_offset": "95440.7", "muxdelay": "0"}
    reader = read(film(tmp_path / "v.ts", 150, options={"bf": "0"}, container_options=options))
    assert reader.notes == ()
    np.testing.assert_allclose(reader.timeline.time_bounds, [*np.arange(10) * 0.64, 6.0], atol=1e-3)


@told
def test_a_transport_stream_of_the_field() -> None:
    reader = read(case("ts_restart_25h.ts"))
    assert reader.timeline.duration_s == pytest.approx(26.0)
    assert "the clock begins anew once" in reader.notes[0]


@told
def test_pictures_of_events_are_found_where_stamps_cannot_be_sought_by(tmp_path: Path) -> None:
    pictures = [list(flat([level] * 50, 64, 48)) for level in (40, 200)]
    parts = []
    for number, (own, start) in enumerate(zip(pictures, (5000, 0), strict=True)):
        options = {"output_ts_offset": str(start)}
        parts.append(write_video(tmp_path / f"{number}.ts", own, size=(64, 48), container_options=options))
    path = tmp_path / "v.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    events = [Event(at - 0.5, at + 0.5, 0.9, at, "fall", {"fall": 1.0}) for at in (1.0, 3.0)]
    found = extract_keyframes(path, events, in_order=False)
    means = [cv2.imdecode(np.frombuffer(found[place], np.uint8), cv2.IMREAD_COLOR).mean() for place in (0, 1)]
    np.testing.assert_allclose(means, [40, 200], atol=6)
