"""file -> clips: decoded and cut into segments (clips.py), with presentation times."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refinevad.errors import InputError
from refinevad.files.remote import RemotePath
from refinevad.machine.cores import usable_cores
from refinevad.timeline import SegmentRule, Timeline
from refinevad.video.clips import FramePicker, RecordingCutter
from refinevad.video.edit_lists import open_film
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.needed_frames import SPARING_CODECS, NeededFrames
from refinevad.video.presentation import PlanError
from refinevad.video.stamps import FilmTimes, StampCounts, wrap_s
from refinevad.video.streams import (
    MOST_STUMBLES,
    list_of_files,
    nominal_rate_hz,
    picture_stream,
    start_after_sound_s,
    stated_duration_s,
    why_no_picture,
)
from refinevad.video.vectors import References

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("mp4", "m4v", "mov", "mkv", "webm", "avi", "ts", "mts", "m2ts", "mpg", "mpeg", "wmv", "flv", "3gp", "ogv"),
        *("mjpeg", "mjpg", "h264", "h265", "hevc", "264", "265", "avc", "h261", "h263", "ivf", "obu", "y4m", "dv"),
        *("m1v", "m2v", "mpv", "mpe", "m2t", "tp", "trp", "vob", "vro", "evo", "mod", "tod", "mj2", "mxf", "gxf"),
        *("asf", "wm", "wtv", "dvr-ms", "f4v", "3g2", "qt", "ogm", "divx", "xvid", "rm", "rmvb", "nut", "amv", "mk3d"),
        *("dav", "insv"),
    )
)
_SMALL_PICTURE = 640 * 480
_THREADS_A_CORE, _MOST_THREADS = 3, 16
_LATE_S = 0.5  # sound leads by less in most files: encoders' priming
_MISSING_S, _MISSING_SHARE = 1.0, 0.05  # containers round; what is missing beyond both was cut off


@dataclass(frozen=True)
class VideoInfo:
    """What a container says of its video stream.

    Attributes:
        rate_hz: frames a second, on average but for pauses.
        start_s: seconds from the container's beginning, where its sound begins, to the first picture.
        frames: how many there are; 0: it does not say.
    """

    path: str
    width: int
    height: int
    rate_hz: float
    duration_s: float
    codec: str
    start_s: float = 0.0
    frames: int = 0

    @property
    def expected_frames(self) -> int:
        """About how many frames there are, to tell progress by."""
        return self.frames or max(round(self.duration_s * self.rate_hz), 1)

    def as_dict(self) -> dict[str, float | int | str]:
        late = {"start_s": round(self.start_s, 6)} if self.start_s else {}
        return {
            "width": self.width,
            "height": self.height,
            "rate_hz": round(self.rate_hz, 6),
            "duration_s": round(self.duration_s, 6),
            "codec": self.codec,
            **late,
        }


class DamagedVideoWarning(UserWarning):
    """A video is not as it should be: parts that cannot be decoded, time stamps that cannot be; the rest is used."""


def open_container(path: Path) -> "InputContainer":
    """Open a video file.

    Raises:
        InputError: missing, unreadable, empty, not a video, without a video stream, or with an edit list that cannot
            be shown.
    """
    import av

    try:
        if not path.exists():
            raise InputError(f"video not found: {path}")
        if path.is_dir():
            raise InputError(f"{path} is a folder, not a video; name the files or use extract on the folder")
        if not path.is_file():
            raise InputError(f"{path} is no file (a pipe, or a device); name a video's file")
        if path.stat().st_size == 0:
            raise InputError(f"video is empty (0 bytes): {path}; copy it again")
        container = open_film(path, str(path.absolute()))  # a bare name may look like a protocol
    except PermissionError as error:
        raise InputError(f"video cannot be read: {path}; check its permissions") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(path, RemotePath) and not isinstance(error, av.error.FFmpegError):
            raise InputError(f"video cannot be read: {path} ({_reason(error)}); is its store reached?") from error
        raise InputError(
            f"not a video that FFmpeg can read, or cut short: {path} ({_reason(error)}); copy or convert it again"
        ) from error
    if wanted := list_of_files(container, path.name):
        container.close()
        raise InputError(f"{path} is a list of other files, and no video; name those, or call it {wanted}")
    if picture_stream(container) is None:
        what = why_no_picture(container)
        container.close()
        raise InputError(f"no video stream in {path} ({what}); choose a file with moving pictures")
    return container


def video_of(container: "InputContainer") -> "VideoStream":
    """The video stream of a container that `open_container` opened."""
    stream = picture_stream(container)
    assert stream is not None
    return stream


def probe(path: Path) -> VideoInfo:
    """Read size, rate and duration from a video's header. Raises InputError as `open_container` does."""
    with open_container(path) as container:
        return _info(path, container)


def _threaded(container: "InputContainer") -> "VideoStream":
    """The video stream, ready to be decoded by as many threads as pay."""
    stream = video_of(container)
    stream.thread_type = "AUTO"
    context, cores = stream.codec_context, usable_cores()
    # threads that wait for each other over small pictures take a third more than one alone; over large ones, as many as
    # cores wait too often, for pictures in order and for who takes them
    shared = cores > 1 and context.width * context.height > _SMALL_PICTURE
    context.thread_count = min(_THREADS_A_CORE * cores, _MOST_THREADS) if shared else 1
    return stream


def _info(path: Path, container: "InputContainer") -> VideoInfo:
    stream = video_of(container)
    context, duration = stream.codec_context, stated_duration_s(container, stream)
    start_s, rate_hz = start_after_sound_s(container, stream), nominal_rate_hz(container, stream)
    return VideoInfo(str(path), context.width, context.height, rate_hz, duration, context.name, start_s, stream.frames)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text.split("\n")[0]


class FrameReader:
    """Iterates over (frame, presentation second) of one file, first frame at 0 s, times strictly rising.

    A damaged stretch is skipped and counted in `damaged`; what was found in the time stamps is in `counts` (stamps.py).

    Args:
        vectors: frames bear their motion vectors (vectors.py).
    """

    def __init__(self, path: Path, vectors: bool = False) -> None:
        self.path, self._vectors = path, vectors
        self.damaged = 0
        self.counts = StampCounts()
        with open_container(path) as container:
            self.info = _info(path, container)

    def __iter__(self) -> Iterator[tuple["VideoFrame", float]]:
        with open_container(self.path) as container:
            times: FilmTimes[VideoFrame] = FilmTimes(self.info.rate_hz, wrap_s(container.format.name))
            self.counts = times.counts
            for frame in self._decoded(container):
                stamp = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
                yield from times.push(stamp, frame)
            yield from times.flush()

    def _decoded(self, container: "InputContainer") -> Iterator["VideoFrame"]:
        import av

        stream = _threaded(container)
        references = References(stream, self.info.rate_hz) if self._vectors else None
        stumbles = 0  # reads in a row that failed before any packet came
        while stumbles < MOST_STUMBLES:
            try:
                for packet in container.demux(stream):
                    stumbles = 0
                    if references is not None:
                        references.note(packet)
                    yield from self._pictures(packet)
                return
            except av.error.EOFError:
                return
            except av.error.FFmpegError:  # the container is damaged here; reading goes on behind it
                self.damaged += 1
                stumbles += 1

    def _pictures(self, packet: "Packet[Any]") -> list["VideoFrame"]:
        import av

        try:
            return [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self.damaged += 1
            return []


class ClipReader:
    """Iterates over a video's clips; afterwards `timeline` tells where each lies, `notes` what a person should know.

    Args:
        every_frame: decode frames that no clip needs too; the clips are the same (`needed_frames.py`).
    """

    def __init__(self, path: Path, needs: FrameNeeds, rule: SegmentRule, every_frame: bool = False) -> None:
        self.reader = FrameReader(path, needs.vector_cells is not None)
        self.info = self.reader.info
        self.needs, self.rule = needs, rule
        self.frames = self.decoded = 0
        self._sparing = not every_frame and self.info.codec in SPARING_CODECS
        self._cutter = RecordingCutter(needs, rule, self.info.rate_hz)
        self._counts = StampCounts()
        self.notes: tuple[str, ...] = ()

    @property
    def damaged(self) -> int:
        return self.reader.damaged

    @property
    def timeline(self) -> Timeline:
        return self._cutter.timeline

    def __iter__(self) -> Iterator[Clip]:
        given = 0
        if self._sparing:
            try:
                for clip in self._clips(self._needed()):
                    given += 1
                    yield clip
            except PlanError:  # begun anew
                pass
            else:
                self.notes = tell(self.info, self.timeline, self._counts)
                return
        yield from islice(self._clips(self.reader), given, None)
        self.notes = tell(self.info, self.timeline, self.reader.counts, self.damaged)

    def _needed(self) -> Iterator[tuple["VideoFrame | None", float]]:
        with open_container(self.reader.path) as container:
            stream = _threaded(container)
            needed = NeededFrames(container, stream, FramePicker(self.needs, self.rule, self.info.rate_hz))
            self._counts = needed.counts
            yield from needed

    def _clips(self, frames: Iterable[tuple["VideoFrame | None", float]]) -> Iterator[Clip]:
        self._cutter = cutter = RecordingCutter(self.needs, self.rule, self.info.rate_hz)
        self.decoded = 0
        for frame, time_s in frames:
            clip = cutter.push(frame, time_s)
            if clip is not None:
                yield clip
            self.decoded += frame is not None
            self.frames = max(self.frames, cutter.frames)  # begun anew, it does not count back
        last = cutter.close()
        if last is None:
            raise InputError(f"no frame could be decoded: {self.info.path}; copy or convert it again")
        yield last


def tell(info: VideoInfo, timeline: Timeline, counts: StampCounts, damaged: int = 0) -> tuple[str, ...]:
    """Warn of what was found in a video that was read: skipped packets, odd time stamps, an end that is missing.

    Returns the sentences; nothing is told of a clean file.
    """
    told = counts.sentences(info.path)
    if damaged:
        told.append(f"{damaged} damaged packets were skipped in {info.path}; scores there rest on what is left")
    end_s, stated_s = timeline.duration_s, info.duration_s
    missing_s = stated_s - end_s - info.start_s  # some containers count from where the sound begins
    if missing_s > max(_MISSING_S, _MISSING_SHARE * stated_s) and counts.in_order:  # else so is what is stated
        told.append(f"pictures end at {end_s:.1f} s of the {stated_s:.1f} s that {info.path} states; was it cut short?")
    if info.start_s >= _LATE_S:
        told.append(
            f"the first picture of {info.path} comes {info.start_s:.1f} s after its sound begins; "
            "seconds are counted from that picture"
        )
    for sentence in told:
        warnings.warn(sentence, DamagedVideoWarning, stacklevel=3)
    return tuple(told)
