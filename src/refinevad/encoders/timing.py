"""How fast an encoder is on this machine, on pictures and sentences made for it."""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from refinevad.encoders.base import Clip, FrameNeeds
from refinevad.encoders.caption_windows import FrameWindow
from refinevad.encoders.captioned import CaptionedEncoder
from refinevad.encoders.choice import EncoderChoice
from refinevad.timeline import DEFAULT_SEGMENT_S, SegmentRule, Timeline
from refinevad.video.vectors import cells

SIZE = (480, 270)
_SEGMENTS, _LEAST_S = 8, 1.0
_RATE_HZ = 25.0


@dataclass(frozen=True)
class Speed:
    """Segments a second, decoding aside, and how often real time that is with segments of 0.64 s."""

    segments_hz: float

    @property
    def real_time(self) -> float:
        return self.segments_hz * DEFAULT_SEGMENT_S


def measure(encoder: EncoderChoice, least_s: float | None = None) -> Speed:
    """Encode made-up segments for at least so long, after one round that warms up."""
    clips = [made_clip(encoder.needs, seed) for seed in range(_SEGMENTS)]
    _round(encoder, clips)
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < (_LEAST_S if least_s is None else least_s):
        _round(encoder, clips)
        done += _SEGMENTS
    return Speed(done / (time.perf_counter() - begun))


def made_clip(needs: FrameNeeds, seed: int) -> Clip:
    """A segment of noise as a decoder would give it."""
    random = np.random.default_rng(seed)
    width, height = needs.rgb_size or SIZE
    grey = round(needs.gray_hz * DEFAULT_SEGMENT_S) + 1 if needs.gray_long_side else 0
    side = needs.gray_long_side or 2
    height = round(side * SIZE[1] / SIZE[0] / 2) * 2
    moved = None
    if needs.vector_cells is not None:
        moved = random.normal(0, 20, (grey, *cells((height, side), needs.vector_cells), 2)).astype(np.float32)
    return Clip(
        rgb=random.integers(0, 256, (needs.rgb_frames, height, width, 3), dtype=np.uint8),
        rgb_times=(np.arange(needs.rgb_frames) + 0.5) * DEFAULT_SEGMENT_S / max(needs.rgb_frames, 1),
        gray=random.integers(0, 256, (grey, height, side), dtype=np.uint8),
        gray_times=np.arange(grey) / needs.gray_hz,
        start_s=0.0,
        end_s=DEFAULT_SEGMENT_S,
        lead=False,
        moved=moved,
    )


def _round(encoder: EncoderChoice, clips: list[Clip]) -> None:
    encoder.encode_clips(clips)
    if isinstance(encoder.text, CaptionedEncoder):
        frames = made_clip(FrameNeeds(rgb_frames=encoder.text.plan.frames), 0).rgb
        encoder.text.captioner.describe([FrameWindow(0.0, 2.56, frames)] * len(clips))
    elif encoder.text is not None:
        encoder.text.sentences.encode([f"A man walks past car number {place}." for place in range(len(clips))])
    if encoder.sound is not None:
        with TemporaryDirectory(prefix="refinevad-") as folder:
            film = _noisy_film(Path(folder, "noise.mkv"))
            frames_each = round(DEFAULT_SEGMENT_S * _RATE_HZ)
            encoder.sound.encode(film, Timeline.uniform(len(clips) * frames_each, _RATE_HZ, SegmentRule.default()))


def _noisy_film(path: Path) -> Path:
    import av

    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width = picture.height = 32
        picture.pix_fmt = "yuv420p"
        voice = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(picture.encode(None))
        noise = np.random.default_rng(0).integers(-3000, 3000, (1, 16000 * 6), dtype=np.int16)
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
    return path
