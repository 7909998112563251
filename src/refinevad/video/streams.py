"""Which stream of a container is the video, at which rate its frames come, and where it begins."""

from fractions import Fraction
from itertools import islice, pairwise
from statistics import median
from typing import TYPE_CHECKING

from refinevad.timeline import UNSTATED_RATE_HZ
from refinevad.video.stamps import FASTEST_HZ

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

MOST_STUMBLES = 100  # reads in a row that fail before a recording counts as over
_RAW = frozenset(("h264", "hevc", "m4v", "mpegvideo", "vvc", "obu", "cavsvideo", "vc1"))  # without times
_STILLS = frozenset(("image2", "ico", "fits"))
_STILL_BRANDS = frozenset(("avif", "mif1", "heic", "heix", "heim", "heis"))
# formats that lead to other files, and what such a file is called
_LISTS = {"concat": (".ffconcat",), "hls": (".m3u8", ".m3u"), "dash": (".mpd",), "sdp": (".sdp",), "imf": (".xml",)}
_ENDS_STATED = frozenset(("matroska", "webm", "nut", "asf"))  # whose duration is where they end, wherever they begin
_LEAST_HZ = 1 / 3600
_SAME_RATE = 1e-3
_PAUSE_STEPS, _PAUSE_S = 4.0, 0.5  # a step of more than both is a pause
_SLOWED = 0.5  # of the frames seen first, where later pauses have gone into the average
_LOOKED_AT = 250  # packets, where a container has no index


def picture_stream(container: "InputContainer") -> "VideoStream | None":
    """The video that players show: the default one, or else the first; no cover, preview or still picture.

    A stream that nothing here can decode has no codec, and is none of them.
    """
    from av.stream import Disposition

    if _is_still(container):
        return None
    beside = Disposition.attached_pic | Disposition.timed_thumbnails
    decoded = [stream for stream in container.streams.video if stream.codec_context is not None]
    moving = [stream for stream in decoded if not stream.disposition & beside]
    return next((stream for stream in moving if stream.disposition & Disposition.default), next(iter(moving), None))


def why_no_picture(container: "InputContainer") -> str:
    """What is there instead, in a container without a `picture_stream`."""
    if not container.streams.video:
        return "audio only?"
    if any(stream.codec_context is None for stream in container.streams.video):
        return "there is no decoder for its pictures here"
    return "a still picture or a cover"


def list_of_files(container: "InputContainer", name: str) -> str:
    """What a list of other files must be called that goes by a video's name; nothing for what is none, or says so."""
    for format_name in container.format.name.split(","):
        if (suffixes := _LISTS.get(format_name)) and not name.lower().endswith(suffixes):
            return f"*{suffixes[0]}"
    return ""


def stated_duration_s(container: "InputContainer", stream: "VideoStream") -> float:
    """Seconds that the pictures last by the container's word: the stream's own length, or the whole's; 0: it is silent.

    Some containers state where they end, which is no length where a recorder's clock began them after hours.
    """
    duration, start = (container.duration or 0) / 1e6, (container.start_time or 0) / 1e6
    if stream.duration and stream.time_base:
        duration, start = (float(number * stream.time_base) for number in (stream.duration, stream.start_time or 0))
    counted = _ENDS_STATED & set(container.format.name.split(",")) and 0 < start <= duration
    return duration - start if counted else duration


def _is_still(container: "InputContainer") -> bool:
    names = container.format.name.split(",")
    if any(name.endswith("_pipe") or name in _STILLS for name in names):
        return True
    if container.metadata.get("major_brand", "").strip() in _STILL_BRANDS:
        return True
    return names == ["gif"] and all(stream.frames == 1 for stream in container.streams.video)


def stated_rate_hz(container: "InputContainer", stream: "VideoStream") -> float:
    """Frames a second by the container's word; that of a raw stream by the stream's own headers."""
    rate = stream.average_rate or stream.guessed_rate
    if _RAW & set(container.format.name.split(",")):
        rate = stream.guessed_rate or rate
    return _believable(float(rate or Fraction(0)))


def _believable(rate_hz: float) -> float:
    """A rate that pictures can have: bad stamps make averages of one in years, or of one a tick."""
    return rate_hz if _LEAST_HZ <= rate_hz <= FASTEST_HZ else UNSTATED_RATE_HZ


def is_in_doubt(container: "InputContainer", stream: "VideoStream") -> bool:
    """Whether pauses may have gone into the average: then `nominal_rate_hz` has to look at stamps."""
    average, guessed = stream.average_rate, stream.guessed_rate
    if not average or not guessed or _RAW & set(container.format.name.split(",")):
        return False
    return abs(float(average / guessed) - 1.0) > _SAME_RATE or _in_fragments(container, stream)


def _in_fragments(container: "InputContainer", stream: "VideoStream") -> bool:
    """Whether it is an MP4 in pieces: FFmpeg has one rate of it, frames by length, whatever pauses there are."""
    return "mov" in container.format.name.split(",") and not stream.frames


def nominal_rate_hz(container: "InputContainer", stream: "VideoStream") -> float:
    """Frames a second while there are pictures: the stated average, but where pauses have gone into that.

    In doubt it takes packets out of the container, which is then no longer at its beginning.
    """
    stated = stated_rate_hz(container, stream)
    if not is_in_doubt(container, stream):
        return stated
    steps = _steps_s(container, stream)
    if len(steps) < 2:
        return stated
    usual = median(steps)
    going_on = [step for step in steps if step <= max(_PAUSE_STEPS * usual, _PAUSE_S)]
    if len(going_on) == len(steps) and not (_in_fragments(container, stream) and stated * usual < _SLOWED):
        return stated
    rate, guessed = len(going_on) / sum(going_on), float(stream.guessed_rate or 0.0)
    return guessed if guessed and abs(rate / guessed - 1.0) < 0.01 else _believable(rate)


def _steps_s(container: "InputContainer", stream: "VideoStream") -> list[float]:
    """Seconds between frames: all by the container's index, or else the first ones."""
    import av

    base = float(stream.time_base or 0)
    index = stream.index_entries
    if stream.frames and len(index) == stream.frames:
        stamps = [entry.timestamp for entry in index]
    else:
        stamps = []
        try:
            for packet in islice(container.demux(stream), _LOOKED_AT):
                if packet.pts is not None:
                    stamps.append(packet.pts)
        except av.error.FFmpegError:  # damaged: what came by then
            pass
    return [base * (after - before) for before, after in pairwise(sorted(stamps)) if after > before]


def start_after_sound_s(container: "InputContainer", stream: "VideoStream") -> float:
    """Seconds from where players begin to the first picture, as the container states them."""
    if stream.start_time is None or stream.time_base is None or container.start_time is None:
        return 0.0
    return max(float(stream.start_time * stream.time_base) - container.start_time / 1e6, 0.0)
