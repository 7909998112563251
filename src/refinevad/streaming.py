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
from collections import deque
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
from refinevad.scoring.events import EventRule
from refinevad.scoring.scores import SegmentScores, StreamScorer
from refinevad.scoring.tracking import EventTracker, EventUpdate
from refinevad.scoring.windows import WindowRule
from refinevad.video.clips import ClipCutter
from refinevad.video.frames import Clip, as_video_frame
from refinevad.video.stamps import HOLE_S, RESTART_S, longest_step_s


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


@dataclass
class StreamCounts:
    """What came, and what became of it.

    Attributes:
        frames: used; segments: made or pushed; late: frames or segments dropped because they do not advance;
        gaps: told by the caller, or holes; restarts: found by a time stamp that jumped back.
    """

    frames: int = 0
    segments: int = 0
    late: int = 0
    gaps: int = 0
    restarts: int = 0


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

    _last_s: float  # of the newest frame, or the end of the newest segment
    _last_arrival: float

    def __init__(
        self,
        checkpoint: Checkpoint,
        rule: WindowRule,
        encoder: EncoderChoice | None = None,
        rate_hz: float = 25.0,
        clock: Callable[[], float] = time.monotonic,
        longest_s: float = math.inf,
    ) -> None:
        if not math.isfinite(rule.window_s):
            raise InputError("a stream needs a window in seconds: give its length")
        if not rate_hz > 0:
            raise InputError(f"a stream needs a nominal rate above 0 frames a second: got {rate_hz}")
        opened = OpenedRun.of(checkpoint, encoder)
        self.segment_rule = checkpoint.segment_rule
        self.checkpoint, self.rule, self.encoder, self.rate_hz = checkpoint, rule, opened.encoder, rate_hz
        self.counts = StreamCounts()
        self._clock = clock
        self._tracker = EventTracker(self.categories, EventRule.of(checkpoint.calibration), longest_s)
        self._begin()

    @classmethod
    def open(
        cls,
        run: str | PathLike[str],
        window: float | None = None,
        delay: float | None = None,
        *,
        threshold: float | None = None,
        device: str | None = None,
        rate_hz: float = 25.0,
        longest_s: float = math.inf,
        allow_download: bool = False,
    ) -> "StreamingDetector":
        """A run's detector for one stream.

        Args:
            run: what `refinevad train` left.
            window: seconds the model sees at a time; None: as in training, 60 for a run trained on whole videos.
            delay: seconds a score waits for what comes after it; None: as in training, 5 for such a run.
            threshold: in [0, 1], in place of the calibrated one.
            device: where the model runs, `cpu` or `cuda`; None: CUDA where there is one.
            rate_hz, longest_s: as for the class.
            allow_download: an encoder that the run names may be fetched from a model hub.

        Raises:
            InputError: no finished run, its encoder is not to be had here, or a number that cannot be.
        """
        opened = OpenedRun.load(run, allow_download).at(threshold).on(device)
        rule = opened.checkpoint.window.live(window, delay)
        return cls(opened.checkpoint, rule, opened.encoder, rate_hz, longest_s=longest_s)

    @property
    def categories(self) -> tuple[str, ...]:
        """Of the model's anomalies, in the order of its category scores."""
        return self.checkpoint.categories

    @property
    def held_segments(self) -> int:
        """Segments in memory."""
        return self._scorer.held

    def push_frame(self, image: Any, time_s: float) -> StreamOutput:
        """Take a frame, as RGB (UInt8[np.ndarray, "height width 3"]) or as PyAV decoded it.

        `time_s`: when it was shown, in seconds on the source's clock.

        Raises:
            InputError: a time that is no number, an image that is none, no encoder, one that needs captions, or one
                that gives NaN.
        """
        if not math.isfinite(time_s):
            raise InputError(f"a frame's time is a number of seconds: got {time_s}")
        time_s = float(time_s)
        output = self._nothing()
        if time_s <= self._last_s:
            if self._last_s - time_s <= RESTART_S:
                self.counts.late += 1
                return output
            self.counts.restarts += 1
            output = self.flush()
        elif time_s - self._last_s > longest_step_s(self.rate_hz) and self._cutter is not None:
            output = self.gap()
        clip = self._open_cutter().push(as_video_frame(image), time_s)
        if clip is not None:
            output = _joined(output, self._clip(clip))
        self.counts.frames += 1
        self._last_s, self._last_arrival = time_s, self._clock()
        return output

    def push_segment(self, features: Float[np.ndarray, "channel"], start_s: float, end_s: float) -> StreamOutput:
        """Take a segment's vector. It must end after the one before it; where it overlaps that one it begins later.

        Raises:
            InputError: a segment that does not last, or a vector that the model cannot take.
        """
        if not (math.isfinite(start_s) and math.isfinite(end_s) and start_s < end_s):
            raise InputError(f"a segment must last: got {start_s} to {end_s} seconds")
        start_s, end_s = float(start_s), float(end_s)  # of numpy's numbers
        output = self._nothing()
        if start_s < self._last_s - RESTART_S:
            self.counts.restarts += 1
            output = self.flush()
        elif end_s <= self._last_s:
            self.counts.late += 1
            return output
        elif math.isfinite(self._last_s) and start_s - self._last_s > HOLE_S:
            output = self.gap()
        self._last_arrival = self._clock()
        return _joined(output, self._segment(features, max(start_s, self._last_s), end_s))

    def gap(self) -> StreamOutput:
        """Pictures are missing from here on; the next push begins a new window."""
        self.counts.gaps += 1
        return self.flush()

    def flush(self) -> StreamOutput:
        """The stream ended: the last segment, the scores that wait, and the end of open events."""
        last = self._cutter.close() if self._cutter is not None else None
        output = self._nothing() if last is None else self._clip(last)
        rest = self._output(self._scorer.flush())
        updates = tuple(self._tracker.flush())
        self._begin()
        output = _joined(output, rest)
        return StreamOutput(output.segments, output.updates + updates, output.arrived, self._clock())

    def _begin(self) -> None:
        self._scorer = StreamScorer(self.checkpoint.model, self.rule)
        self._cutter: ClipCutter | None = None
        self._arrivals: deque[float] = deque()  # of segments without a final score
        self._last_s, self._last_arrival = -math.inf, math.nan

    def _open_cutter(self) -> ClipCutter:
        if self._cutter is None:
            if self.encoder is None:
                raise InputError("this stream was opened without an encoder: push segments of features")
            if self.encoder.text is not None:
                raise InputError(f"encoder '{self.encoder.spec}' needs captions, which frames do not have")
            self._cutter = ClipCutter(self.encoder.needs, self.segment_rule, self.rate_hz)
        return self._cutter

    def _clip(self, clip: Clip) -> StreamOutput:
        assert self.encoder is not None
        return self._segment(self.encoder.encode_clips([clip])[0], clip.start_s, clip.end_s)

    def _segment(self, features: Float[np.ndarray, "channel"], start_s: float, end_s: float) -> StreamOutput:
        channels = self.checkpoint.model.config.channels
        if features.shape != (channels,):
            raise InputError(f"the model takes {channels} numbers a segment: got {features.shape}")
        if not np.isfinite(features).all():
            raise InputError(f"NaN or infinite values in the segment from {start_s:.2f} s; check the encoder's weights")
        self.counts.segments += 1
        self._arrivals.append(self._last_arrival)
        self._last_s = end_s
        return self._output(self._scorer.push(features, start_s, end_s))

    def _output(self, segments: SegmentScores) -> StreamOutput:
        if not np.isfinite(segments.scores).all():  # which is above no threshold: nothing would ever be told
            raise InputError(f"the model gives no number after {segments.start_s[0]:.2f} s; check the run's weights")
        arrived = np.array([self._arrivals.popleft() for _ in range(len(segments))], dtype=np.float64)
        return StreamOutput(segments, tuple(self._tracker.push(segments)), arrived, self._clock())

    def _nothing(self) -> StreamOutput:
        return StreamOutput(SegmentScores.none(len(self.categories)), (), np.zeros(0), self._clock())


def _joined(first: StreamOutput, second: StreamOutput) -> StreamOutput:
    a, b = first.segments, second.segments
    segments = SegmentScores(
        np.concatenate([a.start_s, b.start_s]),
        np.concatenate([a.end_s, b.end_s]),
        np.concatenate([a.scores, b.scores]),
        np.concatenate([a.categories, b.categories]),
    )
    arrived = np.concatenate([first.arrived, second.arrived])
    return StreamOutput(segments, first.updates + second.updates, arrived, second.at)
