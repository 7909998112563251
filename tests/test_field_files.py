"""Files as they come from recorders, phones and downloads: each kind built here, and those kept from the field.

The kept ones are refinevad's own rendered clip in the shapes that people report; without ../shared they are skipped.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from av.packet import Packet
from av.stream import Disposition

from fakes import MeanEncoder, replaced
from refinevad.apps.cli import main
from refinevad.apps.live.addresses import parse_address
from refinevad.apps.live.messages import Message, Segment
from refinevad.apps.live.preview import PreviewMaker
from refinevad.apps.live.reel import Reel
from refinevad.apps.live.source import Source
from refinevad.apps.report.keyframes import extract_keyframes
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.detector import Detector
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.events import Event, EventRule, calibrate, find_events
from refinevad.extraction import extract
from refinevad.features import Features, load_features, save_features
from refinevad.model import RefineVAD, RefineVADConfig
from refinevad.presentation import PlanError
from refinevad.shares import SharePlan, clips_of
from refinevad.streaming import StreamingDetector
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training.alerts import Curve, extract_events
from refinevad.training.truth import TimedEvent, folder_truth
from refinevad.video import ClipReader, FrameReader, probe
from refinevad.windows import WindowRule
from videos import NTSC, assert_same_clips, film, flat, sliding, turn, write_video

torch.set_num_threads(1)
RULE = SegmentRule.default()
NEEDS = MeanEncoder.needs
CASES = Path(os.environ.get("REFINEVAD_DATA", Path(__file__).parents[2] / "shared" / "data")) / "field-cases"
told = pytest.mark.filterwarnings("ignore::refinevad.video.DamagedVideoWarning")


def case(name: str) -> Path:
    path = CASES / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


def features_of(path: Path) -> Features:
    return extract(path, EncoderChoice("lite", MeanEncoder(), None), RULE)


def read(path: Path) -> ClipReader:
    """After all its clips were read, which shares of it and a camera's reader give too."""
    reader = ClipReader(path, NEEDS, RULE)
    clips = list(reader)
    every = ClipReader(path, NEEDS, RULE, every_frame=True)
    assert_same_clips(list(every), clips)
    assert every.notes == reader.notes
    plan = SharePlan(path, NEEDS, RULE, lambda start_s, stated_s: 1.5)
    try:
        shares = list(plan)
        shared = [clip for share in shares for clip in clips_of(path, share)]
    except PlanError:
        pass
    else:
        assert_same_clips(shared, clips)
        for one in ("time_bounds", "ends_s", "frame_bounds"):
            np.testing.assert_array_equal(getattr(plan.timeline, one), getattr(reader.timeline, one))
        assert plan.tell() == reader.notes
    assert_same_clips([segment.clip for segment in watched(path)], clips)
    return reader


def watched(path: Path) -> list[Segment]:
    """A recording's segments as a camera's process makes them."""
    sent: list[Message] = []
    source = Source(parse_address(str(path)), stall_s=5.0, fast=True)
    reel = Reel(source, NEEDS, RULE, hole_s=5.0, preview=PreviewMaker(32), preview_hz=0.0, send=sent.append)
    for packet, arrived in source:
        for frame in packet.decode():
            assert isinstance(frame, av.VideoFrame)
            assert reel.push(frame, arrived)
    reel.end()
    source.close()
    return [message for message in sent if isinstance(message, Segment)]


def restamped(path: Path, change: Callable[[int, Packet], None]) -> Path:
    """The same packets in a file of the same kind, stamps changed."""
    out = path.with_stem(path.stem + "-restamped")
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                packet.stream = stream
                change(number, packet)
                target.mux(packet)
    return out


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = RefineVAD(RefineVADConfig(channels=4, categories=("fall", "fight"))).eval()
    signature = {"encoder": MeanEncoder().identity.as_dict(), "rule": RULE.as_dict()}
    folder = tmp_path_factory.mktemp("run")
    Checkpoint(model, "lite", signature, Calibration(0.3, 0.2, 6.0, True, 1.0)).save(folder)
    return folder


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


def lived(path: Path, off_s: dict[int, float]) -> list[Message]:
    """What a camera's process sends of a live source that shows a file's frames, some with a stamp that is off."""
    sent: list[Message] = []
    source = Source(parse_address(str(path)), stall_s=5.0, fast=True)
    frames = [frame for packet, _ in source for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
    source.recording = False
    reel = Reel(source, NEEDS, RULE, hole_s=5.0, preview=PreviewMaker(32), preview_hz=0.0, send=sent.append)
    for number, frame in enumerate(frames):
        assert frame.pts is not None
        frame.pts += int(off_s.get(number, 0.0) / frame.time_base)
        assert reel.push(frame, number / 25)
    reel.end()
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


@told
def test_two_bad_stamps_of_the_field() -> None:
    reader, clean = read(case("one_bad_pts.mp4")), read(case("video_starts_3s_after_audio.mp4"))
    assert reader.timeline.duration_s == pytest.approx(26.0)
    np.testing.assert_allclose(reader.timeline.time_bounds, clean.timeline.time_bounds, atol=1e-3)
    assert "2 time stamps leave their neighbours" in reader.notes[0]


# --- holes and pauses -------------------------------------------------------------------------------------------------


@told
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".flv", ".ts"])
@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "3"}], ids=str)
def test_a_pause_is_no_frames_time(suffix: str, options: dict[str, str], tmp_path: Path) -> None:
    """Two minutes in the midst: what lies before is the same to the bit, and ends with its last picture."""
    pictures = sliding(200, (96, 64))
    whole = write_video(tmp_path / f"w{suffix}", pictures[:96], size=(96, 64), options=options)
    times = [index / 25 + 120 * (index >= 96) for index in range(200)]
    path = write_video(tmp_path / f"v{suffix}", pictures, size=(96, 64), times_s=times, options=options)
    reader, before = read(path), read(whole)
    line = reader.timeline
    assert line.stretches() == [(0, 6), (6, 13)]
    np.testing.assert_allclose(line.ends_s[5:7], [3.84, 123.84 + 0.64], atol=2e-3)
    assert (line.duration_s, line.shown_s) == (pytest.approx(128.0, abs=2e-3), pytest.approx(8.0, abs=4e-3))
    assert reader.info.rate_hz == pytest.approx(25.0)
    (note,) = reader.notes
    assert note.startswith("no pictures from 3.8 to 123.8 s in ")
    np.testing.assert_array_equal(features_of(path).values[:6], features_of(whole).values)
    assert before.notes == ()


@told
def test_an_event_ends_where_pictures_end(tmp_path: Path) -> None:
    times = [index / 25 + 7200 * (index >= 50) for index in range(100)]
    path = write_video(tmp_path / "v.mp4", flat([100] * 100), times_s=times, size=(32, 32), options={"bf": "0"})
    line = read(path).timeline
    scores = np.full(line.segments, 0.9)
    events = find_events(scores, scores[:, None], ("fall",), line, EventRule(0.5, 0.4, merge_gap_s=1e6))
    assert [(event.start_s, event.end_s) for event in events] == [
        pytest.approx((0.0, 2.0), abs=1e-3),
        pytest.approx((7202.0, 7204.0), abs=1e-3),
    ]
    assert extract_events(Curve.of(scores, line), 0.5) == [pytest.approx((e.start_s, e.end_s, 0.9)) for e in events]
    (truth,) = folder_truth(
        [TimedEvent("v.mp4", 1.0, 7203.0, "fall")], {"v.mp4": line}, {"v.mp4": ("fall",)}, ("normal", "fall")
    ).videos
    np.testing.assert_allclose(truth.events_s, [(1.0, 2.0), (7202.0, 7203.0)], atol=1e-3)


@told
def test_four_seconds_with_a_hole_vouch_for_no_threshold(tmp_path: Path) -> None:
    times = [index / 25 + 7200 * (index >= 50) for index in range(100)]
    path = write_video(tmp_path / "v.mp4", flat([100] * 100), times_s=times, size=(32, 32), options={"bf": "0"})
    line = read(path).timeline
    found = calibrate([(np.linspace(0.1, 0.2, line.segments), line)], 6.0)
    assert found.normal_hours == pytest.approx(4 / 3600)
    assert not found.certified


@told
def test_features_with_holes_are_stored_whole(tmp_path: Path) -> None:
    times = [index / 25 + 60 * (index >= 50) for index in range(100)]
    made = features_of(write_video(tmp_path / "v.mkv", flat([100] * 100), times_s=times, size=(32, 32)))
    save_features(tmp_path / "v.safetensors", made)
    found = load_features(tmp_path / "v.safetensors")
    np.testing.assert_array_equal(found.timeline.ends_s, made.timeline.ends_s)
    assert found.timeline.stretches() == made.timeline.stretches() == [(0, 4), (4, 8)]
    assert found.provenance.source["notes"] == made.provenance.source["notes"]


@told
def test_windows_in_seconds_score_each_stretch_by_itself(run: Path, tmp_path: Path) -> None:
    pictures = sliding(200, (96, 64))
    times = [index / 25 + 600 * (index >= 96) for index in range(200)]
    path = write_video(tmp_path / "v.mp4", pictures, size=(96, 64), times_s=times)
    first = write_video(tmp_path / "w.mp4", pictures[:96], size=(96, 64))
    with replaced():
        detector = Detector.open(run, WindowRule(3.2, 0.64))
        np.testing.assert_allclose(detector.detect(path).scores[:6], detector.detect(first).scores, atol=1e-6)


@told
@pytest.mark.parametrize("hole_s", [6, 600])
def test_a_stream_gives_what_a_file_gives(hole_s: int, run: Path, tmp_path: Path) -> None:
    """Segments, scores and events of pictures as they come, and of their recording under the same window."""
    times = [index / 25 + hole_s * (index >= 96) for index in range(200)]
    path = write_video(tmp_path / "v.mp4", sliding(200, (96, 64)), size=(96, 64), times_s=times)
    rule = WindowRule(3.2, 0.64)
    with replaced():
        found = Detector.open(run, rule).detect(path)
    stream = StreamingDetector(Checkpoint.load(run), rule, EncoderChoice("lite", MeanEncoder(), None), found.rate_hz)
    outputs = [stream.push_frame(frame, time_s) for frame, time_s in FrameReader(path)]
    outputs.append(stream.flush())
    parts = [output.segments for output in outputs]
    np.testing.assert_array_equal(np.concatenate([p.start_s for p in parts]), found.timeline.time_bounds[:-1])
    np.testing.assert_array_equal(np.concatenate([p.end_s for p in parts]), found.timeline.ends_s)
    np.testing.assert_allclose(np.concatenate([p.scores for p in parts]), found.scores, atol=1e-6)
    ended = [update.after for output in outputs for update in output.updates if update.kind == "end"]
    spans = [(event.start_s, event.end_s, event.category) for event in found.events]
    assert [(event.start_s, event.end_s, event.category) for event in ended] == spans
    assert len(spans) >= 2
    assert stream.counts.gaps == 1


@told
def test_segments_that_are_pushed_with_a_hole_between_them(run: Path) -> None:
    stream = StreamingDetector(Checkpoint.load(run), WindowRule(3.2, 0.64))
    for start_s in (0.0, 0.64, 600.0, 600.64):
        stream.push_segment(np.full(4, 0.5, np.float32), start_s, start_s + 0.64)
    stream.flush()
    assert (stream.counts.gaps, stream.counts.segments) == (1, 4)


@told
@pytest.mark.parametrize("times", [[0.0, 2e6], [0.0, 2e6, 4e6], [0.0, 1.0, 2e6]], ids=str)
def test_stamps_make_no_rows(times: list[float], run: Path, tmp_path: Path) -> None:
    """Two or three pictures weeks apart: what is written is in proportion to them."""
    path = write_video(tmp_path / "v.mkv", flat([90] * len(times)), times_s=times, size=(32, 32), options={"bf": "0"})
    with replaced():
        assert main(["detect", str(path), "--model", str(run), "--out", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out" / "v.json").read_text())
    assert len(record["seconds"]) <= 5
    assert record["frames"] == len(times)


@told
def test_a_recording_with_pauses_of_the_field() -> None:
    """8 s of pictures, ten minutes without, and so on: up to the first pause all is as in the clip without any."""
    path = case("motion_triggered.mp4")
    line = read(path).timeline
    assert line.shown_s == pytest.approx(26.0)
    assert [line.ends_s[end - 1] for _, end in line.stretches()] == pytest.approx([8.0, 616.0, 1224.0, 1826.0])
    np.testing.assert_allclose(
        features_of(path).values[:12], features_of(case("video_starts_3s_after_audio.mp4")).values[:12], atol=0.02
    )
    hole = read(case("gap_2h.mp4")).timeline
    assert (hole.duration_s, hole.shown_s) == (pytest.approx(7586.0), pytest.approx(26.0))


@pytest.mark.filterwarnings("always::refinevad.video.DamagedVideoWarning")
def test_what_is_told_of_a_hole(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence on stderr, in the report, and in JSON; no row for a second without pictures."""
    times = [index / 25 + 7200 * (index >= 50) for index in range(100)]
    path = write_video(tmp_path / "v.mp4", flat([100] * 100), times_s=times, size=(32, 32), options={"bf": "0"})
    with replaced():
        assert main(["detect", str(path), "--model", str(run), "--out", str(tmp_path / "out"), "--annotate"]) == 0
    record = json.loads((tmp_path / "out" / "v.json").read_text())
    (note,) = record["notes"]
    assert note == f"no pictures from 2.0 to 7202.0 s in {path}; nothing is scored there"
    assert note in (tmp_path / "out" / "v.html").read_text()
    assert [entry["second"] for entry in record["seconds"]] == [0, 1, 7202, 7203]
    assert len((tmp_path / "out" / "v.csv").read_text().splitlines()) == 5
    assert record["duration_s"] == pytest.approx(7204.0)
    assert not [e for e in record["events"] if e["start_s"] < 3000 < e["end_s"]]
    assert capsys.readouterr().err.count(note) == 1


def test_seconds_beside_a_hole_are_means_of_what_is_shown() -> None:
    """Scores 1 and 0 over half a second each, a hole to 9.5 s, then 0.5 for a second."""
    line = Timeline.of([0, 5, 10], [0.0, 0.5, 9.5], 20, 10.5, {1: 1.0})
    assert line.shown_seconds().tolist() == [0, 9, 10]
    np.testing.assert_allclose(line.per_second(np.array([1.0, 0.0, 0.5])), [0.5, 0.5, 0.5])
    assert line.shown_s == pytest.approx(2.0)


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


# --- rates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        *product(["v.h264", "v.hevc", "v.265"], [10, 25, 30, 50, 60, NTSC]),
        *product(["v.m2v"], [25, 30, 50, 60, NTSC]),  # MPEG-2 has so many
    ],
    ids=str,
)
def test_raw_streams_have_their_own_rate(name: str, rate: Fraction | int, tmp_path: Path) -> None:
    codec = {".h264": "libx264", ".m2v": "mpeg2video"}.get(Path(name).suffix, "libx265")
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    made = tmp_path / name.replace(".265", ".hevc")
    pictures = sliding(60, (192, 128))  # x265 writes beyond its memory at smaller sizes
    write_video(made, pictures, size=(192, 128), rate=rate, codec=codec, options=options)
    path = made.rename(tmp_path / name)
    assert probe(path).rate_hz == pytest.approx(float(rate), rel=1e-4)
    reader = ClipReader(path, NEEDS, RULE)
    list(reader)
    assert reader.timeline.duration_s == pytest.approx(float(60 / rate), abs=2 / float(rate))


def test_a_raw_stream_of_the_field() -> None:
    reader = read(case("raw_30fps.h264"))
    assert (reader.frames, reader.timeline.duration_s) == (780, pytest.approx(26.0))
    assert reader.info.rate_hz == 30.0


# --- which stream -----------------------------------------------------------------------------------------------------


def write_with_cover(path: Path, pictures: bool) -> Path:
    """Sound with a cover, and a second of video if asked for; the cover stands last, as players put it."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25) if pictures else None
        if video is not None:
            video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        cover = container.add_stream("png")
        cover.width, cover.height, cover.pix_fmt = 64, 64, "rgb24"
        cover.disposition = Disposition.attached_pic
        for start in range(0, 16000, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for stream, level, count in ((video, 90, 25), (cover, 250, 1)):
            for index in range(count if stream is not None else 0):
                shape = (stream.height, stream.width, 3)
                picture = av.VideoFrame.from_ndarray(np.full(shape, level, np.uint8), format="rgb24")
                picture.pts = index
                container.mux(stream.encode(picture))
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def stills(folder: Path) -> Iterator[Path]:
    picture = np.full((48, 64, 3), 90, np.uint8)
    for kind in ("png", "jpg", "bmp", "webp", "tiff", "gif", "avif"):
        done, coded = cv2.imencode(f".{kind}", picture)
        assert done
        path = folder / f"{kind}.mp4"
        path.write_bytes(coded.tobytes())
        yield path


def test_covers_and_still_pictures_are_no_video(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (write_with_cover(tmp_path / "song.mp4", pictures=False), *stills(tmp_path)):
        with pytest.raises(InputError, match="no video"):
            probe(path)
        with replaced():
            assert main(["detect", str(path), "--model", str(run), "--out", str(tmp_path / "out")]) == 2
        assert "no video" in capsys.readouterr().err
        with pytest.raises(InputError):
            Source(parse_address(str(path)), stall_s=5.0)
    assert not (tmp_path / "out").exists()


def test_beside_a_cover_the_video_is_read(tmp_path: Path) -> None:
    path = write_with_cover(tmp_path / "v.mp4", pictures=True)
    reader = read(path)
    assert (reader.info.width, reader.frames) == (48, 25)


def test_a_song_and_stills_in_a_data_set_are_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from refinevad.training import featurize

    root = tmp_path / "set"
    for label in ("normal", "fall"):
        write_video(root / "train" / label / "v.mp4", frames=40)
    write_with_cover(root / "train" / "fall" / "song.mp4", pictures=False)
    list(stills(root / "train" / "normal"))
    featurize._encoder.cache_clear()
    with replaced():
        assert main(["extract", str(root), "--out", str(tmp_path / "features"), "--workers", "1"]) == 1
    featurize._encoder.cache_clear()
    said = capsys.readouterr()
    assert said.err.count("left out: no video stream in") == 8
    assert "2 videos extracted" in said.out


def test_what_was_found_in_a_data_sets_videos_is_told_once_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from refinevad.training import featurize

    root = tmp_path / "set"
    times = [index / 25 + 60 * (index >= 20) for index in range(40)]
    write_video(root / "train" / "normal" / "v.mp4", frames=40)
    holed = write_video(root / "train" / "fall" / "v.mp4", flat([90] * 40), times_s=times, size=(32, 32))
    for _ in range(2):  # made, and then up to date
        featurize._encoder.cache_clear()
        with replaced():
            arguments = ["extract", str(root), "--out", str(tmp_path / "features"), "--workers", "1"]
            assert main([*arguments, "--json", str(tmp_path / "done.json")]) == 0
        featurize._encoder.cache_clear()
        said = f"no pictures from 0.8 to 60.8 s in {holed}; nothing is scored there"
        assert capsys.readouterr().err.count(said) == 1
        assert json.loads((tmp_path / "done.json").read_text())["notes"] == [said]


def test_a_song_of_the_field() -> None:
    with pytest.raises(InputError, match="no video"):
        read(case("audio_with_cover.mp3"))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("default", [0, 1, 2])
def test_the_default_video_is_read(suffix: str, default: int, tmp_path: Path) -> None:
    path = tmp_path / f"v{suffix}"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25) for _ in range(3)]
        for number, stream in enumerate(streams):
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            stream.disposition = Disposition.default if number == default else Disposition(0)
        for _ in range(25):
            for number, stream in enumerate(streams):
                picture = np.full((32, 48, 3), 40 + 80 * number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode(None))
    read(path)
    (first, _), *_ = FrameReader(path)
    assert first.to_ndarray(format="gray").mean() == pytest.approx(40 + 80 * default, abs=4)
    event = Event(0.0, 1.0, 0.9, 0.5, "fall", {"fall": 1.0})
    jpeg = extract_keyframes(path, [event])[0]
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1).mean() == pytest.approx(40 + 80 * default, abs=6)


# --- names, and where pictures begin ----------------------------------------------------------------------------------

NAMES = [
    "2024-11-14T22:57:44+02:00.mp4",
    "cam:1.mp4",
    "concat:a.mp4",
    "file:x.mp4",
    "http:x.mp4",
    "-v.mp4",
    "a%03d.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_look_like_protocols(name: str, run: Path, tmp_path: Path) -> None:
    film(tmp_path / "v.mp4", 50).rename(tmp_path / name)
    with inside(tmp_path), replaced():
        assert read(Path(name)).frames == 50
        assert main(["detect", "--model", str(run), "--out", "found", "--", name]) == 0
        assert json.loads(Path("found", Path(name).stem + ".json").read_text())["frames"] == 50


def test_a_name_of_the_field() -> None:
    path = case("2024-11-14T22:57:44+02:00.mp4")
    with inside(path.parent):
        assert read(Path(path.name)).frames == 75


def write_late(path: Path, late_s: float) -> Path:
    """Sound from second 0, pictures `late_s` later."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, int(16000 * (late_s + 2)), 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for index in range(50):
            picture = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 90, np.uint8), format="rgb24")
            picture.pts = index + round(25 * late_s)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path


@told
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_pictures_that_begin_after_the_sound(suffix: str, run: Path, tmp_path: Path) -> None:
    """Seconds are of the pictures; a player is sent as much further as its clock is ahead."""
    path = write_late(tmp_path / f"v{suffix}", 3.0)
    assert probe(path).start_s == pytest.approx(3.0, abs=0.1)
    reader = read(path)
    assert reader.timeline.time_bounds[0] == 0.0
    assert reader.timeline.duration_s == pytest.approx(2.0, abs=0.01)
    assert "comes 3.0 s after its sound begins" in reader.notes[0]
    with replaced():
        assert main(["detect", str(path), "--model", str(run), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "v.html").read_text()
    ahead = json.loads(re.findall(r'id="detection-data"[^>]*>(.*?)</script>', page, re.DOTALL)[0])["ahead"]
    assert ahead == pytest.approx(3.0, abs=0.1)


def test_sound_that_leads_as_encoders_make_it_is_not_told(tmp_path: Path) -> None:
    assert read(write_late(tmp_path / "v.mp4", 0.0)).notes == ()


@told
def test_late_pictures_of_the_field() -> None:
    reader = read(case("video_starts_3s_after_audio.mp4"))
    assert (reader.info.start_s, reader.timeline.duration_s) == (pytest.approx(3.0), pytest.approx(26.0))


def test_a_mirrored_clip_of_the_field() -> None:
    """Its pictures are those of the clip that is not mirrored, mirrored."""
    pairs = zip(*(ClipReader(case(n), NEEDS, RULE) for n in ("mirrored_hflip.mp4", "gap_2h.mp4")), strict=False)
    one, other = next(iter(pairs))
    np.testing.assert_allclose(one.gray[:, :, ::-1].astype(int), other.gray, atol=6)
    assert np.abs(one.gray.astype(int) - other.gray).mean() > 6


def test_turned_pictures_are_watched_upright(tmp_path: Path) -> None:
    read(turn(film(tmp_path / "v.mp4", 50), 90))


# --- what a container says of itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".nut", ".asf", ".ts", ".flv"])
def test_a_recording_that_begins_after_hours_is_not_cut_short(suffix: str, tmp_path: Path) -> None:
    """Some containers state where they end, not how long they are: by a recorder's clock 4 s are ten hours."""
    made = film(tmp_path / f"late{suffix}", 100, codec="mpeg4" if suffix == ".asf" else "libx264", options={"bf": "0"})

    def change(number: int, packet: Packet) -> None:
        hours = int(36_000 / packet.time_base)
        packet.pts, packet.dts = (packet.pts or 0) + hours, (packet.dts or 0) + hours

    late = restamped(made, change)
    reader = ClipReader(late, NEEDS, RULE)
    assert len(list(reader)) == 7
    assert reader.timeline.duration_s == pytest.approx(4.0, abs=0.05)
    assert reader.notes == ()
    assert probe(late).duration_s == pytest.approx(4.0, abs=0.2)


@pytest.mark.parametrize("name", ["list.mp4", "list.avi"])
def test_a_list_of_other_files_is_no_video(name: str, tmp_path: Path) -> None:
    """Else a data set, or an upload, would show pictures of another file."""
    film(tmp_path / "other.mp4", 10)
    (tmp_path / name).write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(InputError, match=r"is a list of other files, and no video; .* call it \*\.ffconcat"):
        probe(tmp_path / name)
    (tmp_path / name).rename(tmp_path / "list.ffconcat")
    assert probe(tmp_path / "list.ffconcat").width == 96
