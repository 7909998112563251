"""The annotated copy: it decodes, keeps every frame and its time, and shows event, curve and playhead."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from jaxtyping import UInt8

from refinevad.apps.report.annotate import Overlay, curve_strip, write_annotated
from refinevad.apps.report.keyframes import extract_keyframes
from refinevad.detection.found import Detection
from refinevad.errors import InputError
from refinevad.scoring.events import Event
from refinevad.timeline import SegmentRule, Timeline

BASE = Fraction(1, 10_000)
STEADY = [400 * i for i in range(50)]  # 25 frames a second for 2 s
UNEVEN = [0, 400, 500, 2500, 2533, 7000, 7400, 12345, 12366, 19999]  # 40 ms, 10 ms, 200 ms, 3.3 ms, 447 ms ...
ORANGE = np.array([251, 146, 60])


def write_video(
    path: Path, ticks: list[int], size: tuple[int, int] = (161, 91), first: int = 0, codec: str = "libx264rgb"
) -> Path:
    """Left half red, right half blue, frames at `first` + ticks of 1/10000 s; libx264rgb takes odd sizes."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[:, : size[0] // 2, 0] = picture[:, size[0] // 2 :, 2] = 200
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb24" if codec == "libx264rgb" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = BASE
        for tick in ticks:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = first + tick, BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn_right(path: Path) -> Path:
    """Set the display matrix in an MP4's track header to a quarter turn clockwise (ISO 14496-12, 6.2.2)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    one = 0x10000
    matrix = (0, one, 0, -one & 0xFFFFFFFF, 0, 0, 0, 0, 0x40000000)
    data[at : at + 36] = b"".join(value.to_bytes(4, "big") for value in matrix)
    path.write_bytes(data)
    return path


def detection(duration_s: float = 2.0) -> Detection:
    """High in the second half, where the event is."""
    timeline = Timeline.uniform(round(10 * duration_s), 10.0, SegmentRule(seconds=0.5))
    scores = np.where(timeline.time_bounds[:-1] >= duration_s / 2, 0.9, 0.1)
    event = Event(duration_s / 2, duration_s, 0.9, 0.75 * duration_s, "Überfall", {"Überfall": 1.0})
    return Detection(
        video="x.mp4",
        duration_s=duration_s,
        frames=timeline.frames,
        rate_hz=10.0,
        timeline=timeline,
        scores=scores,
        categories=("Überfall",),
        category_scores=scores[:, None],
        events=(event,),
        threshold=0.6,
        low_threshold=0.4,
        alerts_per_hour=1.0,
        video_score=0.9,
        model={},
    )


def decode(path: Path) -> tuple[list[float], list[UInt8[np.ndarray, "height width 3"]]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [float(frame.time) for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames]


@pytest.mark.parametrize(("ticks", "first"), [(STEADY, 0), (UNEVEN, 0), (UNEVEN, 7777)])
def test_every_frame_keeps_its_time(tmp_path: Path, ticks: list[int], first: int) -> None:
    video = write_video(tmp_path / "in.mkv", ticks, first=first)
    write_annotated(detection(), video, tmp_path / "out.mp4")
    times, pictures = decode(tmp_path / "out.mp4")
    assert len(times) == len(ticks)
    # Matroska keeps whole milliseconds, of the first frame's time too
    np.testing.assert_allclose(times, np.array(ticks) / 10_000, atol=0.00101)
    assert (np.diff(times) > 0).all()
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert not container.streams.audio
    assert pictures[0].shape == (92 + 48, 162, 3)  # odd sides rounded up, a strip of 48 pixels below


def test_event_has_a_border_and_the_playhead_moves(tmp_path: Path) -> None:
    video = write_video(tmp_path / "in.mkv", STEADY)
    done: list[int] = []
    write_annotated(detection(), video, tmp_path / "out.mp4", done.append)
    assert done == list(range(1, 51))
    times, pictures = decode(tmp_path / "out.mp4")
    for second, picture in zip(times, pictures, strict=True):
        border = np.abs(picture[40:80, 0].astype(int) - ORANGE).mean()
        assert (border < 40) == (second >= 1.0), second
        brightest = int(np.argmax(picture[100:140].astype(int).sum(axis=(0, 2))))
        assert brightest == pytest.approx(second / 2.0 * 161, abs=2)


def test_rotation_is_applied(tmp_path: Path) -> None:
    video = turn_right(write_video(tmp_path / "in.mp4", STEADY[:5], size=(160, 90), codec="libx264"))
    quiet = detection(4.0)
    write_annotated(quiet, video, tmp_path / "out.mp4")
    _, pictures = decode(tmp_path / "out.mp4")
    assert pictures[0].shape == (160 + 48, 90, 3)
    # a clockwise turn brings the left half to the top
    assert pictures[0][60, 45].argmax() == 0
    assert pictures[0][140, 45].argmax() == 2
    keyframe = extract_keyframes(video, [Event(0.0, 1.0, 0.9, 0.08, "x", {})])[0]
    decoded = cv2.imdecode(np.frombuffer(keyframe, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (160, 90, 3)
    assert decoded[40, 45].argmax() == 2  # blue, green, red
    other = cv2.VideoCapture(str(video)).read()[1]  # OpenCV turns the picture too: an independent reader
    assert np.abs(other.astype(int) - decoded).mean() < 8


def test_the_strip_shows_score_threshold_and_event() -> None:
    strip = curve_strip(detection(), 200, 60)
    curve_rows = [int(np.argmax(strip[:, x, 2].astype(int) - strip[:, x, 0])) for x in (50, 150)]
    # 0.1 lies near the foot (row 59), 0.9 near the top (row 5)
    assert curve_rows[0] == pytest.approx(59 - 54 * 0.1, abs=2)
    assert curve_rows[1] == pytest.approx(59 - 54 * 0.9, abs=2)
    assert np.array_equal(strip[0, 150], ORANGE)
    assert not np.array_equal(strip[0, 50], ORANGE)
    assert np.array_equal(strip[round(59 - 54 * 0.6), 2], ORANGE)


@pytest.mark.parametrize("size", [(16, 16), (33, 480), (700, 20)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    width, height = size
    overlay = Overlay(detection(), width, height)
    drawn = overlay.draw(np.zeros((height, width, 3), np.uint8), 1.5)
    assert drawn.shape == (overlay.size[1], overlay.size[0], 3)
    assert overlay.size[0] % 2 == overlay.size[1] % 2 == 0


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video" * 100)
    with pytest.raises(InputError, match=r"broken\.mp4"):
        write_annotated(detection(), broken, tmp_path / "out.mp4")

    def stop(done: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    video = write_video(tmp_path / "in.mkv", STEADY)
    with pytest.raises(KeyboardInterrupt):
        write_annotated(detection(), video, tmp_path / "out.mp4", stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mp4", "in.mkv"]
