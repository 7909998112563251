"""A recording in shares: stretches of whole segments that can be decoded each by itself, to the same clips.

Packets say which frames every segment takes (`needed_frames.py`) and where key frames are. So a file is read through
once without decoding, and cut where a segment begins soon after a key frame. A share's first segment begins with the
last grey frame of the one before it, so each but the first decodes one segment more than it gives.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.timeline import SegmentRule, Timeline
from refinevad.video.clips import ClipCutter, FramePicker
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.needed_frames import NeededFrames
from refinevad.video.presentation import PlanError, Presentation
from refinevad.video.reading import open_container, probe, tell, video_of
from refinevad.video.stamps import StampCounts

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

SHARED_CODECS = frozenset({"h264", "hevc", "mpeg4", "mjpeg", "vp9"})  # a key frame of theirs is a beginning
# What share of its length may be decoded before its first frame: little; more where key frames are so rare that it has
# become twice as long as it should.
_LOST, _MOST_LOST = 0.02, 0.1


@dataclass(frozen=True)
class Share:
    """Some segments of one file, and what it takes to cut them without those before.

    Attributes:
        segments, frames: how many are its own.
        spare: segments decoded before its own, 0 or 1.
        first_s: presentation second of the first frame that is looked at.
        first, key: stamps of that frame, and of the key frame to begin decoding at; None: the file's beginning.
        origin: stamp of the file's first frame; None with the file's beginning.
        picker: as it is before the first frame.
    """

    segments: int
    frames: int
    spare: int
    first_s: float
    first: int | None
    key: int | None
    origin: int | None
    picker: FramePicker


@dataclass
class _Opened:
    """A segment from its first frame on; `picker`: as it was before that, where a share may begin here."""

    frame: int
    stamp: int
    time_s: float
    key: int
    key_s: float
    picker: FramePicker | None
    gray: bool = False


class SharePlan:
    """Iterates over a file's shares, in their order; afterwards `timeline` tells where all segments lie.

    Args:
        length_s: seconds that a share should last at least, of the second it begins at and of the file's stated length.

    Raises:
        InputError: the file cannot be opened.
        PlanError: while iterating: the file must be decoded in one go.
    """

    def __init__(
        self, path: Path, needs: FrameNeeds, rule: SegmentRule, length_s: Callable[[float, float], float]
    ) -> None:
        self.path, self.info = path, probe(path)
        self._needs, self._rule, self._length_s = needs, rule, length_s
        self._picker = FramePicker(needs, rule, self.info.rate_hz)
        self._bounds: list[int] = []
        self._times: list[float] = []
        self._early_ends: dict[int, float] = {}
        self._frames = 0
        self._last_s = 0.0
        self._keys: set[int] = set()  # stamps of key frames whose turn to be shown has not come
        self._key, self._key_s = 0, 0.0  # the last one that was shown
        self._opened: _Opened | None = None  # the segment that is being read
        self._begin: _Opened | None = None  # the share that is being read begins decoding here
        self._first_segment = 0
        self._origin: int | None = None
        self.counts = StampCounts()

    def tell(self) -> tuple[str, ...]:
        """Warn of what was found, once all shares were given."""
        return tell(self.info, self.timeline, self.counts)

    @property
    def timeline(self) -> Timeline:
        end_s = self._last_s + 1.0 / self.info.rate_hz
        return Timeline.of(self._bounds, self._times, self._frames, end_s, self._early_ends)

    def __iter__(self) -> Iterator[Share]:
        import av

        if self.info.codec not in SHARED_CODECS:
            raise PlanError
        try:
            with open_container(self.path) as container:
                stream = video_of(container)
                order = Presentation(stream, self.info.rate_hz)
                self.counts = order.counts
                for packet in container.demux(stream):
                    if packet.size == 0:
                        break
                    order.push(packet)
                    if packet.is_keyframe and packet.pts is not None:
                        self._keys.add(packet.pts)
                    yield from self._take_all(order.settled())
                yield from self._take_all(order.settled(end=True))
        except av.error.FFmpegError as error:
            raise PlanError from error
        if self._opened is None:
            raise PlanError
        yield self._share(len(self._bounds))

    def _take_all(self, shown: Iterator[tuple[int, float]]) -> Iterator[Share]:
        for stamp, time_s in shown:
            share = self._take(stamp, time_s)
            if share is not None:
                yield share

    def _take(self, stamp: int, time_s: float) -> Share | None:
        """The next frame that is shown; the share that ends with the segment before it, if one does."""
        share = None
        if self._origin is None:
            self._origin = self._key = stamp
        if stamp in self._keys:
            self._keys.remove(stamp)
            self._key, self._key_s = stamp, time_s
        since_s = self._times[self._first_segment] if self._times else 0.0
        before = self._picker.copy() if time_s - since_s >= self._length_s(since_s, self.info.duration_s) else None
        pick = self._picker.push(time_s)
        if pick.opens:
            last = self._opened
            if last is not None and self._may_begin(last, since_s):
                share = self._share(len(self._bounds))
                self._begin, self._first_segment = last, len(self._bounds)
            if pick.hole_s is not None:
                self._early_ends[len(self._bounds) - 1] = pick.hole_s
            self._opened = _Opened(self._frames, stamp, time_s, self._key, self._key_s, before)
            self._bounds.append(self._frames)
            self._times.append(time_s)
        assert self._opened is not None
        self._opened.gray |= pick.gray
        self._frames += 1
        self._last_s = time_s
        return share

    def _may_begin(self, segment: _Opened, since_s: float) -> bool:
        """Whether a share may begin decoding with this segment, and give those behind it."""
        if segment.picker is None or not (segment.gray or self._needs.gray_long_side is None):
            return False
        lost_s, length_s = segment.time_s - segment.key_s, segment.time_s - since_s
        late = length_s > 2 * self._length_s(since_s, self.info.duration_s)
        return lost_s <= (_MOST_LOST if late else _LOST) * length_s

    def _share(self, end: int) -> Share:
        """The share that is being read, up to segment `end`."""
        begin, start = self._begin, self._bounds[self._first_segment]
        segments = end - self._first_segment
        frames = (self._bounds[end] if end < len(self._bounds) else self._frames) - start
        if begin is None or begin.picker is None:
            fresh = FramePicker(self._needs, self._rule, self.info.rate_hz)
            return Share(segments, frames, 0, 0.0, None, None, None, fresh)
        return Share(segments, frames, 1, begin.time_s, begin.stamp, begin.key, self._origin, begin.picker)


def clips_of(path: Path, share: Share) -> Iterator[Clip]:
    """A share's own clips, decoded by one thread: other shares have the other cores.

    Raises:
        InputError: the file cannot be opened.
        PlanError: the file is not as its packets say.
    """
    planned, taken = share.picker.copy(), share.picker.copy()
    with open_container(path) as container:
        stream = video_of(container)
        stream.codec_context.thread_count = 1
        if share.key is not None:
            container.seek(share.key, stream=stream)
        frames = NeededFrames(container, stream, planned, share.first, share.origin)
        cutter = ClipCutter(taken.needs, taken.rule, taken.rate_hz, taken)
        yield from _own(iter(frames), cutter, share)


def _own(frames: Iterator[tuple["VideoFrame | None", float]], cutter: ClipCutter, share: Share) -> Iterator[Clip]:
    """The clips behind the spare one."""
    cut, asked = 0, share.spare + share.segments
    for frame, time_s in frames:
        if cutter.frames == 0 and time_s != share.first_s:
            raise PlanError  # the container did not go where it was sent
        clip = cutter.push(frame, time_s)
        if clip is not None:
            cut += 1
            if cut > share.spare:
                yield clip
            if cut == asked:
                return
    last = cutter.close()
    if last is None or cut != asked - 1:
        raise PlanError
    yield last
