"""H.264 files to measure on: real footage where it is at hand, else drawn scenes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from refinevad.encoders.quantization import dead_leaves

RATE = 25
Pictures = Iterator[UInt8[np.ndarray, "height width 3"]]


def film(path: Path, size: tuple[int, int], seconds: int, data: Path) -> Path:
    """An H.264 file of so many seconds: real footage from `data`, or drawn."""
    sources = sorted((data / "survfights" / "test").glob("*/*.mp4"))
    pictures = footage(sources, size) if len(sources) >= 9 else drawn(size)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "23", "g": str(2 * RATE)})
        stream.thread_type = "FRAME"  # one slice a picture, as ffmpeg writes them; PyAV's default cuts each in slices
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _, picture in zip(range(RATE * seconds), pictures, strict=False):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def footage(sources: Sequence[Path], size: tuple[int, int]) -> Pictures:
    """Real pictures without end: one camera after another, or, where one is too small, nine side by side."""
    width, height = size
    nine = [_endless(sources[start::9]) for start in range(9)]
    for first in nine[0]:
        if first.shape[0] >= height:
            yield first[:height, :width]
            continue
        tiles = [first, *(next(camera) for camera in nine[1:])]
        rows = [np.concatenate(tiles[i : i + 3], axis=1) for i in (0, 3, 6)]
        yield np.concatenate(rows)[:height, :width]


def _endless(sources: Sequence[Path]) -> Pictures:
    while True:
        for source in sources:
            with av.open(str(source)) as container:
                for frame in container.decode(video=0):
                    yield frame.to_ndarray(format="rgb24")


def drawn(size: tuple[int, int]) -> Pictures:
    """A still background, three patches that move over it, and a sensor's noise."""
    width, height = size
    rng = np.random.default_rng(0)
    still = dead_leaves(width, 0)[:height]
    patches = [dead_leaves(height // 3, seed) for seed in (1, 2, 3)]
    noise = rng.integers(-3, 4, (2 * height, width, 1))
    number = 0
    while True:
        picture = still.astype(np.int16)
        for place, patch in enumerate(patches):
            left = (number * (place + 1) * 2) % (width - len(patch))
            top = place * height // 3
            picture[top : top + len(patch), left : left + len(patch)] = patch
        shift = int(rng.integers(height))
        yield np.clip(picture + noise[shift : shift + height], 0, 255).astype(np.uint8)
        number += 1
