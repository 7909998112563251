"""video -> features: the one path from pixels to vectors, for training sets and for a single video alike."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np

import refinevad
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.features.encoding import Encoded, clips_at_once, encoded_in_one_go, in_chunks
from refinevad.features.source import source_of
from refinevad.features.store import Features, Provenance, read_provenance
from refinevad.features.workers import Workers
from refinevad.files.whole import sampled_sha256
from refinevad.timeline import UNSTATED_RATE_HZ, SegmentRule
from refinevad.video.clips import RecordingCutter
from refinevad.video.frames import Clip, as_video_frame
from refinevad.video.stamps import FilmTimes

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

FRAMES_FOR_RATE = 9  # looked at where nobody says their rate
CLIPS_AHEAD = 16  # decoded while the encoder works; with the default encoder 0.4 MB each


def extract(
    path: Path,
    encoder: EncoderChoice,
    rule: SegmentRule,
    progress: Callable[[int], None] | None = None,
    ahead: int = CLIPS_AHEAD,
    workers: Workers | None = None,
) -> Features:
    """Features of one video in constant memory but for the vectors; `progress(frames)` after each chunk.

    Args:
        progress: takes a negative number where work is begun anew.
        ahead: clips decoded in another thread before the encoder takes them; 0: each chunk in turn, to the same bit.
        workers: share the video among them where it is long enough and lets itself be shared, to the same bit.

    Raises:
        InputError: the video cannot be read, or the encoder made values that are not finite.
    """
    shared = None
    if workers is not None and encoder.vision is not None:
        shared = workers.encode(path, encoder.vision, rule, progress)
    if shared is None:
        shared = encoded_in_one_go(path, encoder.needs, encoder.encode_clips, rule, progress, ahead)
    return as_features(path, shared, encoder, rule)


def as_features(path: Path, encoded: Encoded, encoder: EncoderChoice, rule: SegmentRule) -> Features:
    """Features of a video whose vision branch is encoded.

    Raises:
        InputError: the encoder made values that are not finite, or the captions or the sound cannot be read.
    """
    timeline = encoded.timeline
    beside = [encoder.encode_captions(path, timeline), encoder.encode_sound(path, timeline)]
    values = np.concatenate([encoded.vectors, *beside], axis=1)
    if not np.isfinite(values).all():
        raise InputError(f"encoder '{encoder.spec}' gave NaN or infinite values for {path}; check its weights")
    return Features(values, timeline, provenance(path, encoder, rule, encoded.notes, encoded.source))


def extract_frames(
    frames: Iterable[tuple[Any, Any]],
    encoder: EncoderChoice,
    rule: SegmentRule,
    name: str,
    rate_hz: float | None = None,
) -> Features:
    """Features of pictures with their times, by the way that a file's take: `Detector.detect_frames` says all else."""
    first: list[float] = []
    timed, nominal_hz = with_rate(_checked(frames, name, first), rate_hz)
    cutter = RecordingCutter(encoder.needs, rule, nominal_hz)
    times: FilmTimes[VideoFrame] = FilmTimes(nominal_hz)

    def clips() -> Iterator[Clip]:
        for stamp, picture in timed:
            yield from _cut(cutter, times.push(stamp, picture))
        yield from _cut(cutter, times.flush())
        last = cutter.close()
        if last is None:
            raise InputError(f"{name} has no frame: give at least one")
        yield last

    values = np.concatenate(
        [encoder.encode_clips(chunk) for chunk in in_chunks(clips(), clips_at_once(encoder.needs))]
    ).astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"encoder '{encoder.spec}' gave NaN or infinite values for {name}; check its weights")
    told = times.counts.sentences(name)
    source = {"name": name, "rate_hz": nominal_hz, "duration_s": cutter.timeline.duration_s, "start_s": first[0]}
    made = Provenance(
        encoder.identity.as_dict(),
        rule.as_dict(),
        source={**source, **({"notes": told} if told else {})},
        parts=encoder.parts,
        version=refinevad.__version__,
    )
    return Features(values, cutter.timeline, made)


def _checked(frames: Iterable[tuple[Any, Any]], name: str, first: list[float]) -> Iterator[tuple[float, "VideoFrame"]]:
    """Times that are numbers, pictures that are some; the first time goes into `first`."""
    for place, (time_s, image) in enumerate(frames):
        if not isinstance(time_s, SupportsFloat) or not math.isfinite(time_s):
            raise InputError(f"the time of frame {place} of {name} is no number of seconds: got {time_s!r}")
        if not first:
            first.append(float(time_s))
        yield float(time_s), as_video_frame(image)


def with_rate(
    frames: Iterator[tuple[float, "VideoFrame"]], rate_hz: float | None
) -> tuple[Iterator[tuple[float, "VideoFrame"]], float]:
    """The frames with their nominal rate; None: by the median step of the first few, which are held until then."""
    if rate_hz is not None:
        if not 0 < rate_hz < math.inf:
            raise InputError(f"a rate is above 0 frames a second: got {rate_hz}")
        return frames, float(rate_hz)
    held = list(islice(frames, FRAMES_FOR_RATE))
    steps = [later[0] - earlier[0] for earlier, later in pairwise(held) if later[0] > earlier[0]]
    return chain(held, frames), 1.0 / median(steps) if steps else UNSTATED_RATE_HZ


def _cut(cutter: RecordingCutter, timed: Iterable[tuple["VideoFrame", float]]) -> Iterator[Clip]:
    for picture, time_s in timed:
        clip = cutter.push(picture, time_s)
        if clip is not None:
            yield clip


def provenance(
    path: Path,
    encoder: EncoderChoice,
    rule: SegmentRule,
    notes: Sequence[str] = (),
    source: Mapping[str, Any] | None = None,
) -> Provenance:
    """Provenance that features of this file by this encoder carry.

    Args:
        notes: what was found when it was read.
        source: what it says of itself (source.py), where that was asked already.
    """
    needs = encoder.needs
    return Provenance(
        encoder=encoder.identity.as_dict(),
        rule=rule.as_dict(),
        sampling={
            "rgb_frames": needs.rgb_frames,
            "rgb_size": list(needs.rgb_size) if needs.rgb_size else None,
            "gray_long_side": needs.gray_long_side,
            "gray_hz": needs.gray_hz,
        },
        source={
            **(source_of(path) if source is None else source),
            **({"notes": list(notes)} if notes else {}),
        },
        parts=encoder.parts,
        version=refinevad.__version__,
    )


def up_to_date(features: Path, video: Path, encoder: EncoderChoice, rule: SegmentRule) -> bool:
    """Whether stored features were made by this encoder and rule from the video as it is now."""
    return same_as_stored(features, video, Provenance(encoder.identity.as_dict(), rule.as_dict()).signature)


def same_as_stored(features: Path, video: Path, signature: Mapping[str, Any]) -> bool:
    """Whether stored features are of this signature and of the video as it is now."""
    if not features.exists():
        return False
    try:
        stored = read_provenance(features)
    except InputError:
        return False
    return stored.signature == signature and _same_file(stored.source, video)


def _same_file(source: Mapping[str, Any], video: Path) -> bool:
    """Whether a video is the one that was read: by its length and time, or after a copy by what is in it."""
    status = video.stat()
    if source.get("bytes") != status.st_size:
        return False
    return source.get("mtime_ns") == status.st_mtime_ns or source.get("sampled_sha256") == sampled_sha256(video)
