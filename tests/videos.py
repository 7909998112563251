"""Test videos, written with PyAV: whatever a camera, a phone or a broken copy may hand to refinevad."""

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from refinevad.video.frames import Clip, FrameNeeds

NTSC = Fraction(30000, 1001)
# a display matrix turns the stored picture by so many degrees clockwise: (a, b, c, d) of the MP4 standard's matrix
_MATRIX = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
NEEDS = (  # what encoders may ask for
    FrameNeeds(rgb_frames=1, rgb_size=(8, 8)),
    FrameNeeds(rgb_frames=0, gray_long_side=16, gray_hz=3.0),
    FrameNeeds(rgb_frames=0),
    FrameNeeds(rgb_frames=4, rgb_size=None, gray_long_side=16, gray_hz=25.0),
)
B_FRAMES = {"crf": "23", "preset": "medium", "bf": "3", "b-pyramid": "normal", "b-adapt": "0", "g": "30"}
_LOSSLESS = {"libx264": {"crf": "0", "preset": "ultrafast"}, "mpeg4": {"qscale": "2"}}


def moving_bar(frames: int, width: int, height: int) -> Iterable[np.ndarray]:
    """Grey pictures with a bright bar that moves two pixels a frame."""
    for index in range(frames):
        picture = np.full((height, width, 3), 60, np.uint8)
        left = 2 * index % width
        picture[:, left : left + max(width // 8, 2)] = 220
        yield picture


def flat(levels: Sequence[int], width: int = 32, height: int = 32) -> Iterable[np.ndarray]:
    """One uniform picture for each grey level, so that a decoded frame says which one it is."""
    return (np.full((height, width, 3), level, np.uint8) for level in levels)


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray] | None = None,
    *,
    frames: int = 25,
    rate: Fraction | int = 25,
    size: tuple[int, int] = (48, 32),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    times_s: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    sound: bool = False,
) -> Path:
    """Encode pictures (default: a moving bar); `times_s` gives each its own presentation second (to 1 ms)."""
    width, height = size
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options={**_LOSSLESS.get(codec, {}), **(options or {})})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.thread_count = 1
        if times_s is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        voice = _sound_stream(container, path) if sound else None
        for index, picture in enumerate(pictures if pictures is not None else moving_bar(frames, width, height)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            if times_s is not None:
                frame.pts, frame.time_base = round(times_s[index] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice is not None:
            _write_sound(container, voice, frames / float(rate))
    return path


def sliding(frames: int, size: tuple[int, int]) -> list[np.ndarray]:
    """Noise that slides, so that no two frames are alike."""
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    return [np.roll(picture, (index, 2 * index), axis=(0, 1)) for index in range(frames)]


def film(path: Path, frames: int = 90, rate: Fraction | int = 25, **more: Any) -> Path:
    """H.264 as cameras and converters write it: frames out of order, some of which no other refers to."""
    options = {**B_FRAMES, **more.pop("options", {})}
    return write_video(path, sliding(frames, (96, 64)), rate=rate, size=(96, 64), options=options, **more)


def write_long_video(path: Path, frames: int, rate: Fraction) -> Path:
    """Any number of frames in a second's work: one encoded picture, muxed over and over."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        picture = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 90, np.uint8), format="rgb24")
        (first, *_) = [*stream.encode(picture), *stream.encode(None)]
        payload = bytes(first)
        for index in range(frames):
            packet = av.Packet(payload)
            packet.stream, packet.time_base, packet.is_keyframe = stream, 1 / rate, True
            packet.pts = packet.dts = index
            packet.duration = 1
            container.mux(packet)
    return path


def nobodys_codec(path: Path, codec: str, name: bytes, pixels: str = "yuv420p") -> Path:
    """A film whose codec, `name` in its container, is called `zzzz`, which nobody decodes."""
    write_video(path, frames=10, codec=codec, pixels=pixels)
    path.write_bytes(path.read_bytes().replace(name, b"zzzz"))
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        _write_sound(container, _sound_stream(container, path), seconds)
    return path


def _sound_stream(container: av.container.OutputContainer, path: Path) -> av.AudioStream:
    return container.add_stream("pcm_s16le" if path.suffix in (".wav", ".mkv") else "aac", rate=16000, layout="mono")


def _write_sound(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    for start in range(0, int(16000 * seconds), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_headers_only(path: Path) -> Path:
    """A container that states a video stream and holds not one frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        container.start_encoding()
    return path


def turn(path: Path, clockwise: int) -> Path:
    """Set an MP4's display matrix, as a phone held sideways does: players turn the stored picture clockwise."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = _MATRIX[clockwise]
    width, height = struct.unpack(">II", content[at + 36 : at + 44])
    x = {90: height, 180: width, 270: 0}[clockwise]
    y = {90: 0, 180: height, 270: width}[clockwise]
    one = 1 << 16
    content[at : at + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, x, y, 1 << 30)
    path.write_bytes(content)
    return path


def show_by(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Set an MP4's display matrix: a stored point (x, y) is shown at (a x + c y, b x + d y)."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    content[at : at + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def cut(path: Path, share: float) -> Path:
    """Keep the first `share` of a file's bytes, as a broken copy does."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def spoil_packets(path: Path, chosen: range) -> Path:
    """Overwrite the payload of some packets; the container around them stays whole."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        places = [(packets[i].pos, packets[i].size) for i in chosen]
    content = bytearray(path.read_bytes())
    for position, length in places:
        content[position : position + length] = b"\xff" * length
    path.write_bytes(content)
    return path


def assert_same_clips(found: Sequence[Clip], wanted: Sequence[Clip]) -> None:
    """Pixels, times and borders are equal, to the bit."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        for name in ("rgb", "rgb_times", "gray", "gray_times", "moved"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert (one.start_s, one.end_s, one.lead) == (other.start_s, other.end_s, other.lead)
