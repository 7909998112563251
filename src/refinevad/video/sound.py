"""A file's sound in mono, cut where the pictures' clock says: second 0 is the first picture, as everywhere.

What comes before sound begins, where it pauses, and behind its end is silence; so is all of a file without a sound
track.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from refinevad.video.reading import open_container, video_of
from refinevad.video.streams import MOST_STUMBLES

if TYPE_CHECKING:
    from av.container import InputContainer

_SLACK_S = 0.05  # stamps are rounded, and the resampler holds a little back: a step of less is none
Samples = Float32[np.ndarray, "_"]


def sound_between(path: Path, spans_s: Sequence[tuple[float, float]], rate_hz: int) -> Iterator[Samples]:
    """The samples of each span [start_s, end_s), in -1 to 1; starts must not decrease.

    No more is held than the longest span and the overlap of spans.

    Raises:
        InputError: the file cannot be opened.
    """
    held = np.zeros(0, np.float32)
    held_from = 0  # the sample, counted from second 0, that `held` begins with
    pieces = _pieces(path, rate_hz)
    over = False
    for start_s, end_s in spans_s:
        start = round(start_s * rate_hz)
        end = start + round((end_s - start_s) * rate_hz)
        while not over and held_from + len(held) < end:
            piece = next(pieces, None)
            if piece is None:
                over = True
            else:
                held, held_from = _joined(held, held_from, *piece, keep_from=start)
        wanted = np.zeros(end - start, np.float32)
        first, last = max(start, held_from), min(end, held_from + len(held))
        if first < last:
            wanted[first - start : last - start] = held[first - held_from : last - held_from]
        yield wanted


def _joined(held: Samples, held_from: int, at: int, new: Samples, keep_from: int) -> tuple[Samples, int]:
    """What is held with a piece behind it: silence between them, and without what nobody asks for any more."""
    end = held_from + len(held)
    if not len(held):
        held_from = end = at
    new = new[max(0, end - at) :]  # what is there already stays
    gap = max(0, at - end)
    if gap and at >= keep_from and end < keep_from:  # a long pause is not held
        held, held_from, gap = held[:0], keep_from, at - keep_from
    held = np.concatenate([held, np.zeros(gap, np.float32), new])
    drop = min(max(0, keep_from - held_from), len(held))
    return held[drop:], held_from + drop


def _track(container: "InputContainer") -> Any:
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    return streams[0] if streams else None


def _pieces(path: Path, rate_hz: int) -> Iterator[tuple[int, Samples]]:
    """(first sample counted from the first picture, samples), in order."""
    import av

    zero_s = _first_picture_s(path)
    with open_container(path) as container:
        stream = _track(container)
        if stream is None:
            return
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate_hz)
        expected: int | None = None
        for frame in _decoded(container, stream):
            at = _place(frame, zero_s, rate_hz, expected)
            for part in _resampled(resampler, frame):
                samples = part.to_ndarray().reshape(-1).astype(np.float32)
                yield at, samples
                at += len(samples)
            expected = at
        rest = _resampled(resampler, None)
        for part in rest:
            yield expected or 0, part.to_ndarray().reshape(-1).astype(np.float32)


def _place(frame: Any, zero_s: float, rate_hz: int, expected: int | None) -> int:
    """The sample that a frame begins with: by its stamp, or behind the one before where the stamp is but rounded."""
    if frame.pts is None or frame.time_base is None:
        return expected or 0
    stamped = round((float(frame.pts * frame.time_base) - zero_s) * rate_hz)
    return stamped if expected is None or abs(stamped - expected) > _SLACK_S * rate_hz else expected


def _resampled(resampler: Any, frame: Any) -> list[Any]:
    if frame is not None:
        frame.pts = None  # the resampler would fill pauses by itself, by another rule
    parts: list[Any] = resampler.resample(frame)
    return parts


def _first_picture_s(path: Path) -> float:
    import av

    with open_container(path) as container:
        stream = video_of(container)
        try:
            for frame in container.decode(stream):
                return float(frame.pts * frame.time_base) if frame.pts is not None and frame.time_base else 0.0
        except av.error.FFmpegError:
            pass
        return float((stream.start_time or 0) * (stream.time_base or 0))


def _decoded(container: "InputContainer", stream: Any) -> Iterator[Any]:
    import av

    stumbles = 0
    while stumbles < MOST_STUMBLES:
        try:
            for packet in container.demux(stream):
                stumbles = 0
                try:
                    yield from packet.decode()
                except av.error.EOFError:
                    return
                except av.error.FFmpegError:  # a damaged packet is silence
                    continue
            return
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            stumbles += 1
