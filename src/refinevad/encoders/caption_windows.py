"""A video -> overlapping windows of frames, to be described one by one; times are those of the frames themselves.

By default 64 frames every 16 at 25 frames a second, in seconds: TEVAD's precedent (Chen et al., CVPRW 2023).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from refinevad.errors import InputError
from refinevad.timeline import DEFAULT_SEGMENT_S, SegmentRule
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.recording import Recording

_HOLE_S = 1e-3
_MOST_STEPS = 1000


@dataclass(frozen=True)
class WindowPlan:
    """Where windows lie, and what is seen of each.

    Attributes:
        step: how long after a window the next one begins.
        steps: how many such steps a window lasts.
        frames: frames of a window that are looked at, evenly spaced in time.

    Raises:
        InputError: numbers that cannot be.
    """

    step: SegmentRule = field(default_factory=SegmentRule.default)
    steps: int = 4
    frames: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= _MOST_STEPS or not 1 <= self.frames <= _MOST_STEPS:
            raise InputError(
                f"a window is 1 to {_MOST_STEPS} steps long, and as many of its frames are looked at: "
                f"got {self.steps} steps, {self.frames} frames"
            )

    @classmethod
    def of(
        cls, window_s: float | None, every_s: float | None, window: int | None, every: int | None, frames: int
    ) -> "WindowPlan":
        """A plan in seconds, or in frames; None: the default of that unit. Raises InputError for a mixture."""
        in_frames = window is not None or every is not None
        if in_frames and (window_s is not None or every_s is not None):
            raise InputError("windows are given in seconds or in frames: not both")
        if in_frames:
            step = SegmentRule(frames=16 if every is None else every)
            ratio = (64 if window is None else window) / (step.frames or 1)
        else:
            step = SegmentRule(seconds=DEFAULT_SEGMENT_S if every_s is None else every_s)
            seconds = step.seconds or 1.0
            ratio = 4.0 if window_s is None and every_s is None else (2.56 if window_s is None else window_s) / seconds
        if abs(ratio - round(ratio)) > 1e-6 or round(ratio) < 1:
            raise InputError(f"a window must last a whole number of steps: got {ratio:g}")
        return cls(step, round(ratio), frames)

    def as_dict(self) -> dict[str, Any]:
        """As it is told in files."""
        return {"step": self.step.as_dict(), "steps": self.steps, "frames": self.frames}


@dataclass(frozen=True)
class FrameWindow:
    """The half-open stretch [start_s, end_s) of a video, and some of its frames."""

    start_s: float
    end_s: float
    frames: UInt8[np.ndarray, "frame height width 3"]


def windows_of(path: Path, plan: WindowPlan) -> Iterator[FrameWindow]:
    """A file's windows in order: every one that fits before the end or a hole, and one of what is shorter.

    Raises:
        InputError: the video cannot be read.
    """
    each = -(-plan.frames // plan.steps)
    waiting: list[Clip] = []
    given = False  # whether the stretch that is being read had a window
    for clip in Recording(path, FrameNeeds(rgb_frames=each), plan.step).whole():
        if waiting and clip.start_s - waiting[-1].end_s > _HOLE_S:  # behind a hole a new stretch begins
            if not given:
                yield _window(waiting, plan)
            waiting, given = [], False
        waiting.append(clip)
        if len(waiting) == plan.steps:
            yield _window(waiting, plan)
            del waiting[0]
            given = True
    if waiting and not given:
        yield _window(waiting, plan)


def _window(clips: Sequence[Clip], plan: WindowPlan) -> FrameWindow:
    pictures = [frame for clip in clips for frame in clip.rgb]
    wanted = min(plan.frames, len(pictures))
    places = (np.arange(wanted) + 0.5) * len(pictures) / max(wanted, 1)
    chosen = [pictures[int(place)] for place in places]
    same = [frame for frame in chosen if frame.shape == chosen[-1].shape]  # the stream may have changed its size
    return FrameWindow(clips[0].start_s, clips[-1].end_s, np.stack(same))
