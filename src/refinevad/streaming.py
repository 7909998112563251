"""The chain of detector.py, incremental: push frames or segments, get scores and event updates. No I/O of its own.

Under the same window rule it gives what `Detector` gives, however the input is chunked. What it does with input that is
not as it should be:

- a frame that is not later than the one before it (late, twice) is dropped and counted in `counts.late`;
- one that lies more than `RESTART_S` before it is a source that began again: counted in `counts.restarts`, then a gap;
- a source that pauses makes no empty segment: the segment before lasts until the next frame, as in a recording of it;
- one without pictures for longer than `longest_step_s` (stamps.py) has a hole, which is a gap untold;
- `gap()`, for a caller who knows that pictures are missing: the open segment ends one nominal frame after its last one,
  what waits is scored as it stands, open events end, and nothing before is in any window after.

Memory is bounded by the window: one segment's pixels, a window's vectors, and the scores that still wait.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.checkpoint import Checkpoint
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.opened_run import OpenedRun
from refinevad.scoring.segment_scores import SegmentScores
from refinevad.scoring.tracking import EventUpdate
from refinevad.scoring.windows import WindowRule
from refinevad.segment_stream import Scored, SegmentStream
from refinevad.timeline import UNSTATED_RATE_HZ
from refinevad.video.frames import as_video_frame
from refinevad.video.masks import checked_zones
from refinevad.video.stamps import StreamClock, longest_step_s
from refinevad.video.stream_cutter import Break, CutSegment, StreamCutter
from refinevad.video.zones import Zones


@dataclass(frozen=True)
class StreamOutput:
    """What one push brought.

    Attributes:
        segments: scores that became final, with their times.
        updates: what they change in the events.
        arrived: the clock when the last frame of each of these segments was pushed.
        at: the clock when this output was made; `at - arrived` is how long each score took.
    """

    segments: SegmentScores
    updates: tuple[EventUpdate, ...]
    arrived: Float[np.ndarray, "segment"]
    at: float


class StreamingDetector:
    """One stream's detector. Push frames, or segments of features, not both.

    Checkpoint and encoder can be shared by streams of one thread.

    Args:
        rule: window and delay; the window must be finite.
        encoder: for frames; without one only segments can be pushed.
        rate_hz: the source's nominal frames a second (see `ClipCutter`).
        longest_s: what would last longer is told as several events (tracking.py).
        clock: seconds on any scale that rises, for `StreamOutput.arrived` and `at` alone.

    Raises:
        InputError: an unbounded window, or an encoder that is not the model's.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        rule: WindowRule,
        encoder: EncoderChoice | None = None,
        rate_hz: float = UNSTATED_RATE_HZ,
        clock: Callable[[], float] = time.monotonic,
        longest_s: float = math.inf,
    ) -> None:
        self._stream = SegmentStream(checkpoint, rule, longest_s)
        if not rate_hz > 0:
            raise InputError(f"a stream needs a nominal rate above 0 frames a second: got {rate_hz}")
        opened = OpenedRun.of(checkpoint, encoder)
        self.segment_rule, self.rate_hz = checkpoint.segment_rule, rate_hz
        self.checkpoint, self.rule, self.encoder = checkpoint, rule, opened.encoder
        self.counts = self._stream.counts
        self._clock, self._last_arrival = clock, math.nan
        self._cutter: StreamCutter | None = None

    @classmethod
    def open(
        cls,
        run: str | PathLike[str] | None = None,
        window: float | None = None,
        delay: float | None = None,
        *,
        threshold: float | None = None,
        device: str | None = None,
        rate_hz: float = UNSTATED_RATE_HZ,
        longest_s: float = math.inf,
        allow_download: bool = False,
        zones: str | PathLike[str] | Zones | None = None,
    ) -> "StreamingDetector":
        """A run's detector for one stream.

        Args:
            run: what `refinevad train` left, or the name of a model that ships (`refinevad models`); None: the default
                one of these.
            window: seconds the model sees at a time; None: as in training, 60 for a run trained on whole videos.
            delay: seconds a score waits for what comes after it; None: as in training, 5 for such a run.
            threshold: in [0, 1], in place of the calibrated one.
            device: where the model runs, `cpu` or `cuda`; None: CUDA where there is one.
            rate_hz, longest_s: as for the class.
            allow_download: an encoder that the run names may be fetched from a model hub.
            zones: masks and zones of the picture, or their file; None: the whole picture counts.

        Raises:
            InputError: no finished run, its encoder is not to be had here, a number that cannot be, or zones that are
                none.
        """
        opened = OpenedRun.load(run, allow_download).at(threshold).on(device).looking_at(checked_zones(zones))
        rule = opened.checkpoint.window.live(window, delay)
        return cls(opened.checkpoint, rule, opened.encoder, rate_hz, longest_s=longest_s)

    @property
    def categories(self) -> tuple[str, ...]:
        """Of the model's anomalies, in the order of its category scores."""
        return self.checkpoint.categories

    @property
    def held_segments(self) -> int:
        """Segments in memory."""
        return self._stream.held_segments

    def push_frame(self, image: Any, time_s: float) -> StreamOutput:
        """Take a frame, as RGB (UInt8[np.ndarray, "height width 3"]) or as PyAV decoded it.

        `time_s`: when it was shown, in seconds on the source's clock.

        Raises:
            InputError: a time that is no number, an image that is none, no encoder, one that needs captions, or one
                that gives NaN.
        """
        if not math.isfinite(time_s):
            raise InputError(f"a frame's time is a number of seconds: got {time_s}")
        taken = self._open_cutter().push(as_video_frame(image), float(time_s))
        scored = self._stream.nothing()
        if taken.broken is not None:
            scored = self._over(taken.broken)
        if taken.segment is not None:
            scored = scored.then(self._encoded(taken.segment))
        output = self._told(scored)
        if taken.time_s is None:
            self.counts.late += 1
        else:
            self.counts.frames += 1
            self._last_arrival = self._clock()
        return output

    def push_segment(self, features: Float[np.ndarray, "channel"], start_s: float, end_s: float) -> StreamOutput:
        """Take a segment's vector. It must end after the one before it; where it overlaps that one it begins later.

        Raises:
            InputError: a segment that does not last, or a vector that the model cannot take.
        """
        return self._told(self._stream.push(features, start_s, end_s, self._clock()))

    def gap(self) -> StreamOutput:
        """Pictures are missing from here on; the next push begins a new window."""
        self.counts.gaps += 1
        return self.flush()

    def flush(self) -> StreamOutput:
        """The stream ended: the last segment, the scores that wait, and the end of open events."""
        return self._told(self._ended(self._cutter.close() if self._cutter is not None else None))

    def _open_cutter(self) -> StreamCutter:
        if self._cutter is None:
            if self.encoder is None:
                raise InputError("this stream was opened without an encoder: push segments of features")
            if self.encoder.beyond_pictures:
                raise InputError(
                    f"encoder '{self.encoder.spec}' needs {self.encoder.beyond_pictures}, which frames do not have"
                )
            self._cutter = StreamCutter(self.encoder.needs, self.segment_rule, self.rate_hz, self._new_clock)
        return self._cutter

    def _new_clock(self) -> StreamClock:
        return StreamClock(1.0 / self.rate_hz, longest_step_s(self.rate_hz), origin=0.0)

    def _over(self, broken: Break) -> Scored:
        """What came before a jump."""
        if broken.error.step_s < 0:
            self.counts.restarts += 1
        else:
            self.counts.gaps += 1
        return self._ended(broken.last)

    def _ended(self, last: CutSegment | None) -> Scored:
        scored = self._stream.nothing() if last is None else self._encoded(last)
        return scored.then(self._stream.flush())

    def _encoded(self, segment: CutSegment) -> Scored:
        assert self.encoder is not None
        clip = segment.clip
        return self._stream.push(self.encoder.encode_clips([clip])[0], clip.start_s, clip.end_s, self._last_arrival)

    def _told(self, scored: Scored) -> StreamOutput:
        return StreamOutput(scored.segments, scored.updates, scored.arrived, self._clock())
