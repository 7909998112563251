"""Temporal truth: when something anomalous happens in each test video.

Here is its form. Its files are opened by truth_files.py, annotation.py, official_truth.py and set_truth.py, which
training cannot reach: a contract in pyproject.toml. Frames are half-open ranges [start, end); a frame on the annotated
end is normal (VadCLIP's and PEL4VAD's reading).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

from refinevad.judging.localisation import TrueSpan
from refinevad.timeline import FIELD_SEGMENT_FRAMES, SegmentRule, Timeline

FIELD_RULE = SegmentRule(frames=FIELD_SEGMENT_FRAMES)

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class VideoTruth:
    """One test video: its labels (none: normal), its segments, and its anomalous frames.

    `spans` are the events as annotated, with their categories; they may overlap or run past the last frame.
    `anomalous` are disjoint, rising and inside the video.
    """

    name: str
    labels: tuple[str, ...]
    timeline: Timeline
    spans: tuple[TrueSpan, ...]
    anomalous: Ranges

    @property
    def normal(self) -> bool:
        return not self.labels

    @cached_property
    def events_s(self) -> tuple[tuple[float, float], ...]:
        """Disjoint anomalous stretches in seconds, [start, end)."""
        line = self.timeline
        times = np.append(line.frame_times(), line.duration_s)
        ends = dict(zip(line.frame_bounds[line.breaks].tolist(), line.ends_s[line.breaks - 1].tolist(), strict=True))
        parts = []
        for start, end in self.anomalous:  # none reaches across a hole
            borders = [start, *(frame for frame in ends if start < frame < end), end]
            parts += [(float(times[a]), ends.get(b, float(times[b]))) for a, b in pairwise(borders)]
        return tuple(parts)


@dataclass(frozen=True, eq=False)
class Truth:
    """A test set: column names of its predictions (the first is normal) and its videos, in their order.

    `notes`: what a person should know of truth that was left aside.
    """

    columns: tuple[str, ...]
    videos: tuple[VideoTruth, ...]
    notes: tuple[str, ...] = ()

    @property
    def categories(self) -> tuple[str, ...]:
        return self.columns[1:]

    @property
    def frames(self) -> int:
        return sum(video.timeline.frames for video in self.videos)

    @property
    def anomalous_frames(self) -> int:
        return sum(end - start for video in self.videos for start, end in video.anomalous)


def merged(ranges: Iterable[tuple[int, int]], frames: int) -> Ranges:
    """Ranges clipped to [0, frames), empty ones dropped, touching and overlapping ones joined, in rising order."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted((max(start, 0), min(end, frames)) for start, end in ranges):
        if end <= start:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return tuple(joined)


def ranges_of(mask: Bool[np.ndarray, "frame"]) -> Ranges:
    """Half-open ranges of the frames that are set."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return tuple((int(start), int(end)) for start, end in edges.reshape(-1, 2))
