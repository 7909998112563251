"""Reading video: good files to the pixel and the frame, bad ones with a sentence."""

import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from patience import patience
from refinevad.apps.report.keyframes import upright_rgb
from refinevad.errors import InputError
from refinevad.timeline import SegmentRule
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.reading import ClipReader, DamagedVideoWarning, FrameReader, open_container, probe
from videos import (
    NTSC,
    cut,
    flat,
    nobodys_codec,
    show_by,
    spoil_packets,
    turn,
    write_headers_only,
    write_long_video,
    write_sound,
    write_video,
)

RULE = SegmentRule.default()
NEEDS = FrameNeeds(rgb_frames=1, rgb_size=(8, 8), gray_long_side=16, gray_hz=25.0)


def clips_of(path: Path, needs: FrameNeeds = NEEDS, rule: SegmentRule = RULE) -> tuple[list[Clip], ClipReader]:
    reader = ClipReader(path, needs, rule)
    return list(reader), reader


def times_of(path: Path) -> list[float]:
    return [time_s for _, time_s in FrameReader(path)]


# --- what cannot be read ---------------------------------------------------------------------------------------


def _cut_index(folder: Path) -> Path:
    """An MP4 keeps its index at the end: cut, nothing in it can be found."""
    return cut(write_video(folder / "v.mp4", frames=50), 0.6)


def _text(folder: Path) -> Path:
    (folder / "v.mp4").write_text("I was renamed to look like a video.\n" * 40)
    return folder / "v.mp4"


def _empty(folder: Path) -> Path:
    (folder / "v.mp4").touch()
    return folder / "v.mp4"


def _noise(folder: Path) -> Path:
    (folder / "v.mkv").write_bytes(np.random.default_rng(0).bytes(5000))
    return folder / "v.mkv"


def _spoilt(folder: Path) -> Path:
    path = write_video(folder / "v.avi", frames=10, codec="mjpeg", pixels="yuvj420p")
    return spoil_packets(path, range(10))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "absent.mp4", "not found"),
        (lambda folder: nobodys_codec(folder / "v.mp4", "libx264", b"avc1"), "no decoder"),
        (lambda folder: nobodys_codec(folder / "v.mov", "mjpeg", b"jpeg", "yuvj420p"), "no decoder"),
        (lambda folder: nobodys_codec(folder / "v.avi", "mpeg4", b"FMP4"), "no decoder"),
        (lambda folder: folder / "no" / "such" / "folder.mp4", "not found"),
        (lambda folder: write_video(folder / "a.mp4", frames=2) / "below.mp4", "not found"),
        (lambda folder: folder, "is a folder"),
        (_empty, "0 bytes"),
        (_text, "not a video"),
        (_noise, "not a video"),
        (_cut_index, "cut short"),
        (lambda folder: cut(write_video(folder / "v.mkv"), 0.02), "copy or convert it again"),
        (lambda folder: write_sound(folder / "v.wav"), "audio only"),
        (lambda folder: write_sound(folder / "v.mp4"), "audio only"),
        (lambda folder: write_headers_only(folder / "v.mkv"), "copy or convert it again"),
        (lambda folder: write_headers_only(folder / "v.avi"), "copy or convert it again"),
        (lambda folder: write_headers_only(folder / "v.mp4"), "no video stream"),
        (_spoilt, "no frame could be decoded"),
    ],
)
def test_unreadable_files_get_one_sentence(make, words: str, tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(InputError) as caught:
        clips_of(path)
    sentence = str(caught.value)
    assert words in sentence
    assert str(path) in sentence
    assert "\n" not in sentence


def test_beside_a_video_that_nobody_decodes_the_other_is_read(tmp_path: Path) -> None:
    path = tmp_path / "v.mov"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(codec, rate=10) for codec in ("mjpeg", "libx264")]
        for stream, pixels in zip(streams, ("yuvj420p", "yuv420p"), strict=True):
            stream.width, stream.height, stream.pix_fmt = 32, 32, pixels
        for level in (60, 120, 180):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), level, np.uint8), format="rgb24")
            for stream in streams:
                container.mux(stream.encode(picture))
        for stream in streams:
            container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"jpeg", b"zzzz"))
    with av.open(str(path)) as container:
        assert [stream.codec_context is None for stream in container.streams.video] == [True, False]
    assert probe(path).codec == "h264"
    assert len(list(FrameReader(path))) == 3


def test_unreadable_permissions(tmp_path: Path) -> None:
    """As somebody who is not root: a file without the right to read, and a folder without the right to enter."""
    closed = write_video(tmp_path / "closed" / "v.mp4", frames=3)
    barred = write_video(tmp_path / "v.mp4", frames=3)
    program = f"""
import os, sys
from pathlib import Path
from refinevad.video.reading import ClipReader, probe
from refinevad.errors import InputError
closed, barred = Path({str(closed)!r}), Path({str(barred)!r})
closed.parent.chmod(0); barred.chmod(0)
if os.getuid() == 0:
    for parent in barred.parents:
        if str(parent).startswith({str(tmp_path.parent)!r}): parent.chmod(0o755)
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for path in (closed, barred):
    try:
        probe(path)
    except InputError as error:
        print(error)
"""
    try:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=patience(60))
    finally:
        closed.parent.chmod(0o755)
        barred.chmod(0o644)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all("cannot be read" in line and "permissions" in line for line in lines)


# --- what can, in part ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".avi"])
def test_a_cut_copy_is_read_as_far_as_it_goes(suffix: str, tmp_path: Path) -> None:
    whole = write_video(tmp_path / f"v{suffix}", frames=100, size=(320, 240), codec="mpeg4", options={"g": "1"})
    path = cut(whole, 0.6)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        clips, reader = clips_of(path)
    assert 50 <= reader.frames <= 62
    assert reader.timeline.duration_s == pytest.approx(reader.frames / 25, abs=0.05)
    assert len(clips) == reader.timeline.segments
    if suffix == ".mkv":  # its header states 4 s; the others have no header that could
        assert [str(w.message).split(" of the ")[1][:5] for w in told] == ["4.0 s"]


@pytest.mark.filterwarnings("ignore:.* damaged packets were skipped")  # the last one is cut in the middle
def test_a_cut_web_copy_says_that_its_end_is_missing(tmp_path: Path) -> None:
    """With the index in front, as on the web, the header still promises the whole length."""
    path = write_video(tmp_path / "v.mp4", frames=200, codec="mpeg4", container_options={"movflags": "faststart"})
    cut(path, 0.5)
    with pytest.warns(DamagedVideoWarning, match=r"8\.0 s"):
        _, reader = clips_of(path)
    assert 30 <= reader.frames <= 140


def test_damaged_packets_in_the_middle_are_skipped_and_the_rest_is_scored(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", frames=100, codec="mjpeg", pixels="yuvj420p")
    spoil_packets(path, range(40, 45))
    with pytest.warns(DamagedVideoWarning, match="5 damaged packets"):
        clips, reader = clips_of(path)
    assert reader.damaged == 5
    assert reader.frames == 95
    assert reader.timeline.duration_s == pytest.approx(4.0, abs=1e-6)  # the gap stays a gap in time
    assert clips[-1].end_s == pytest.approx(4.0, abs=1e-6)


def test_damaged_h264_goes_on_after_the_damage(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=100, options={"g": "10", "bf": "0"})
    spoil_packets(path, range(40, 45))
    with pytest.warns(DamagedVideoWarning):
        _, reader = clips_of(path)
    assert reader.frames >= 85
    assert reader.timeline.duration_s == pytest.approx(4.0, abs=0.05)


# --- unusual and whole ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".webm", ".mpg"])
def test_one_frame(suffix: str, tmp_path: Path) -> None:
    codec = {".webm": "libvpx-vp9", ".mpg": "mpeg2video"}.get(suffix, "mpeg4")
    clips, reader = clips_of(write_video(tmp_path / f"v{suffix}", frames=1, codec=codec))
    assert (len(clips), reader.frames, reader.timeline.segments) == (1, 1, 1)
    assert clips[0].rgb.shape == (1, 8, 8, 3)
    assert clips[0].gray.shape[0] == 1
    assert not clips[0].lead
    assert 0.02 <= reader.timeline.duration_s <= 0.04  # a lone MPEG-2 picture is timed by its fields


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("v.mp4", "libx264", "yuv420p"),
        ("v.mp4", "libx264", "yuv420p10le"),
        ("v.mov", "mjpeg", "yuvj422p"),
        ("v.mkv", "ffv1", "yuv444p"),
        ("v.webm", "libvpx-vp9", "yuv420p"),
        ("v.avi", "mpeg4", "yuv420p"),
        ("v.ts", "mpeg2video", "yuv420p"),
        ("v.wmv", "wmv2", "yuv420p"),
        ("v.flv", "libx264", "yuv420p"),
        ("v.h264", "libx264", "yuv420p"),
        ("v.mjpeg", "mjpeg", "yuvj420p"),
    ],
)
def test_codecs_and_containers_give_the_same_frames_at_the_same_times(
    name: str, codec: str, pixels: str, tmp_path: Path
) -> None:
    options = {"crf": "5"} if "vp9" in codec else {}
    path = write_video(tmp_path / name, frames=50, codec=codec, pixels=pixels, options=options)
    clips, reader = clips_of(path)
    assert reader.frames == 50
    assert reader.timeline.frame_bounds.tolist() == [0, 16, 32, 48, 50]
    np.testing.assert_allclose(reader.timeline.time_bounds, [0, 0.64, 1.28, 1.92, 2.0], atol=2e-3)
    means = [clip.gray[clip.lead :].mean() for clip in clips[:3]]
    assert np.ptp(means) < 12  # the bar moves; the mean stays
    assert all(np.abs(np.diff(clip.gray.astype(int), axis=0)).mean() > 1 for clip in clips[:3])


def test_sound_beside_the_picture_does_not_disturb(tmp_path: Path) -> None:
    _, reader = clips_of(write_video(tmp_path / "v.mp4", frames=50, sound=True))
    assert (reader.frames, reader.timeline.duration_s) == (50, pytest.approx(2.0))


def test_variable_rate_keeps_each_frames_own_time(tmp_path: Path) -> None:
    """5 s at 10 Hz, then 5 s at 30 Hz, then a stall of 3 s, then 1 s at 10 Hz."""
    times = [i / 10 for i in range(50)] + [5 + i / 30 for i in range(150)] + [13 + i / 10 for i in range(10)]
    path = write_video(tmp_path / "v.mkv", flat([100] * len(times)), times_s=times, size=(32, 32), options={"bf": "0"})
    np.testing.assert_allclose(times_of(path), times, atol=1.1e-3)
    _, reader = clips_of(path)
    timeline = reader.timeline
    assert timeline.frames == len(times)
    np.testing.assert_allclose(timeline.time_bounds[:-1], np.array(times)[timeline.frame_bounds[:-1]], atol=1.1e-3)
    wanted = np.array(times)
    # Inside a segment times are linear: right to one frame but where the rate changes in it (frames 45 to 53) and where
    # it waits through the stall (frames 188 to 199).
    off = np.abs(timeline.frame_times() - wanted)
    assert off[54:188].max() <= 1 / 30
    assert off[np.r_[0:45, 200:210]].max() <= 1 / 10
    # the event "13 s to the end" is the last ten frames, whatever the nominal rate says
    assert np.flatnonzero(timeline.truth([(13.0, 99.0)])).tolist() == list(range(200, 210))


def test_ntsc_times_are_right_at_the_end_of_twenty_minutes(tmp_path: Path) -> None:
    frames = int(20 * 60 * NTSC)
    path = write_long_video(tmp_path / "v.mp4", frames, NTSC)
    needs = FrameNeeds(rgb_frames=0, rgb_size=(2, 2), gray_long_side=None)
    _, reader = clips_of(path, needs)
    times = reader.timeline.frame_times()
    assert reader.timeline.frames == frames
    for index in (1, frames // 2, frames - 1):
        assert abs(times[index] - float(index / NTSC)) < float(1 / NTSC)
    assert reader.timeline.duration_s == pytest.approx(float(frames / NTSC), abs=1e-3)
    assert abs(times[-1] - (frames - 1) / 30) > 1.1  # a nominal 30 would be 36 frames off


def test_a_stream_that_does_not_begin_at_zero_is_counted_from_its_first_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.ts", frames=30, codec="mpeg2video")  # MPEG-TS starts at 1.4 s by custom
    np.testing.assert_allclose(times_of(path), np.arange(30) / 25, atol=1e-4)


def test_time_stamps_that_jump_back_keep_rising(tmp_path: Path) -> None:
    """Two transport streams joined end to end, as recorders do at midnight."""
    path = write_video(tmp_path / "v.ts", frames=30, codec="mpeg2video")
    path.write_bytes(path.read_bytes() * 2)
    times = times_of(path)
    assert len(times) >= 55
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
def test_turned_pictures_come_upright(clockwise: int, tmp_path: Path) -> None:
    """Upright, the picture is 48 wide and 32 high with a bright top left quarter; the camera stored it turned."""
    upright = np.full((32, 48, 3), 40, np.uint8)
    upright[:16, :24] = 210
    stored = np.rot90(upright, clockwise // 90)  # counter-clockwise; the player turns it back clockwise
    path = write_video(tmp_path / "v.mp4", [stored] * 4, size=(stored.shape[1], stored.shape[0]))
    if clockwise:
        turn(path, clockwise)
    native, _ = clips_of(path, FrameNeeds(rgb_frames=1, rgb_size=None, gray_long_side=48))
    scaled, _ = clips_of(path, FrameNeeds(rgb_frames=1, rgb_size=(24, 16), gray_long_side=24))
    np.testing.assert_allclose(native[0].rgb[0].astype(int), upright, atol=8)
    np.testing.assert_allclose(native[0].gray[0].astype(int), upright[..., 0], atol=8)
    assert scaled[0].rgb.shape[1:3] == (16, 24)
    assert scaled[0].gray.shape[1:] == (16, 24)
    quarters = scaled[0].gray[0].reshape(2, 8, 2, 12).mean((1, 3))
    assert quarters[0, 0] > 190
    assert max(quarters[0, 1], quarters[1, 0], quarters[1, 1]) < 60


@pytest.mark.parametrize(
    "matrix",
    [(a, b, c, d) for a, d in ((1, 1), (-1, 1), (1, -1), (-1, -1)) for b, c in ((0, 0),)]
    + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)],
    ids=str,
)
def test_mirrored_pictures_are_seen_as_players_show_them(matrix: tuple[int, int, int, int], tmp_path: Path) -> None:
    """Every mix of mirror and rotation: each quarter of the stored picture goes where the matrix sends its middle."""
    a, b, c, d = matrix
    levels = np.array([[40, 90], [150, 220]])
    stored = np.repeat(np.kron(levels, np.ones((16, 24))).astype(np.uint8)[..., None], 3, axis=2)
    wanted = np.zeros((2, 2))
    for row in (0, 1):
        for column in (0, 1):
            x, y = 2 * column - 1, 2 * row - 1
            wanted[(b * x + d * y + 1) // 2, (a * x + c * y + 1) // 2] = levels[row, column]
    path = show_by(write_video(tmp_path / "v.mp4", [stored] * 4, size=(48, 32)), *matrix)
    clips, _ = clips_of(path, FrameNeeds(rgb_frames=1, rgb_size=None, gray_long_side=48))
    (frame, _), *_ = FrameReader(path)
    for picture in (clips[0].rgb[0][..., 0], clips[0].gray[0], upright_rgb(frame)[..., 0]):
        assert picture.shape == ((48, 32) if b else (32, 48))
        tall, wide = picture.shape[0] // 2, picture.shape[1] // 2
        np.testing.assert_allclose(picture.reshape(2, tall, 2, wide).mean((1, 3)), wanted, atol=3)


@pytest.mark.parametrize("size", [(33, 17), (47, 31), (1, 1), (3, 200)])
def test_odd_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", frames=20, size=size, codec="ffv1", pixels="yuv444p")
    clips, _ = clips_of(path, FrameNeeds(rgb_frames=2, rgb_size=None, gray_long_side=16))
    assert clips[0].rgb.shape == (2, size[1], size[0], 3)
    long, short = max(clips[0].gray.shape[1:]), min(clips[0].gray.shape[1:])
    assert long == 16
    assert short == max(2, round(16 * min(size) / max(size) / 2) * 2)


# --- which frames an encoder gets -------------------------------------------------------------------------------


def _ramp(path: Path, frames: int, rate: Fraction | int = 25) -> Path:
    """Frame i is of grey level 20 + 2 i: a picture says which frame it is."""
    pictures = flat([20 + 2 * i for i in range(frames)])
    return write_video(path, pictures, rate=rate, size=(32, 32), codec="ffv1", pixels="gray")


def _indices(pictures: np.ndarray) -> list[int]:
    return [round((float(picture.mean()) - 20) / 2) for picture in pictures]


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [
        # 16 frames a segment; n colour frames stand at the middles of n equal parts, rounded up to a frame
        (1, [8], [49]),  # the last segment is short: its half is not reached, so its last frame stands in
        (2, [4, 12], [49]),
        (4, [2, 6, 10, 14], [49]),
        (16, list(range(1, 16)), [49]),
    ],
)
def test_colour_frames_are_evenly_spaced(count: int, first: list[int], last: list[int], tmp_path: Path) -> None:
    path = _ramp(tmp_path / "v.mkv", 50)
    clips, _ = clips_of(path, FrameNeeds(rgb_frames=count, rgb_size=(8, 8)))
    assert _indices(clips[0].rgb) == first[:count]
    np.testing.assert_allclose(clips[0].rgb_times, np.array(first) / 25, atol=1e-6)
    assert _indices(clips[1].rgb) == [index + 16 for index in first]
    assert _indices(clips[-1].rgb)[-1:] == last
    assert all(clip.gray.shape[0] == 0 for clip in clips)


def test_no_colour_frames_when_none_are_asked_for(tmp_path: Path) -> None:
    clips, _ = clips_of(_ramp(tmp_path / "v.mkv", 20), FrameNeeds(rgb_frames=0, gray_long_side=16))
    assert all(len(clip.rgb) == len(clip.rgb_times) == 0 for clip in clips)


@pytest.mark.parametrize(
    ("rate", "gray_hz", "step"),
    [(25, 25.0, 1), (25, 12.5, 2), (25, 8.4, 3), (30, 10.0, 3), (NTSC, 15.0, 2), (5, 25.0, 1)],
)
def test_grey_frames_are_every_nth_with_the_last_one_before_the_segment(
    rate, gray_hz: float, step: int, tmp_path: Path
) -> None:
    path = _ramp(tmp_path / "v.mkv", 60, rate)
    clips, reader = clips_of(path, FrameNeeds(rgb_frames=0, gray_long_side=16, gray_hz=gray_hz))
    seen: list[int] = []
    for number, clip in enumerate(clips):
        assert clip.lead == (number > 0)
        if clip.lead:
            np.testing.assert_array_equal(clip.gray[0], clips[number - 1].gray[-1])
            assert clip.gray_times[0] == clips[number - 1].gray_times[-1]
        own = _indices(clip.gray)[int(clip.lead) :]
        first, end = reader.timeline.frame_bounds[number : number + 2]
        assert all(first <= index < end for index in own)
        np.testing.assert_allclose(clip.gray_times[int(clip.lead) :], np.array(own) / float(rate), atol=1.1e-3)
        seen += own
    assert seen == list(range(0, 60, step))


def test_clip_borders_are_the_timelines(tmp_path: Path) -> None:
    clips, reader = clips_of(_ramp(tmp_path / "v.mkv", 50, NTSC))
    np.testing.assert_allclose([clip.start_s for clip in clips], reader.timeline.time_bounds[:-1])
    np.testing.assert_allclose([clip.end_s for clip in clips], reader.timeline.time_bounds[1:])


def test_frames_a_segment_as_the_field_counts(tmp_path: Path) -> None:
    _, reader = clips_of(_ramp(tmp_path / "v.mkv", 50, NTSC), rule=SegmentRule(frames=16))
    assert reader.timeline.frame_bounds.tolist() == [0, 16, 32, 48, 50]


def test_probe(tmp_path: Path) -> None:
    info = probe(write_video(tmp_path / "v.mp4", frames=30, rate=NTSC))
    assert (info.width, info.height, info.codec) == (48, 32, "h264")
    assert info.rate_hz == pytest.approx(29.97003, abs=1e-5)
    assert info.duration_s == pytest.approx(30 * 1001 / 30000, abs=1e-4)


def test_files_are_closed_again(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=5)
    bad = write_sound(tmp_path / "v.wav")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        clips_of(path)
        with pytest.raises(InputError):
            open_container(bad)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
