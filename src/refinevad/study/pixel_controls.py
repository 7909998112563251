"""What people set up without any training: scores from pixels alone, by OpenCV, a segment each.

Both look at grey pictures of `WIDTH` columns, at no more than `RATE_HZ` a second. The score is the mean over a
segment of the share of the picture that has changed: what a threshold is set on.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from refinevad.timeline import Timeline
from refinevad.video.reading import FrameReader

WIDTH, RATE_HZ = 320, 12.5
_HISTORY, _VAR_THRESHOLD = 500, 16  # OpenCV's own defaults
_SHADOW = 127  # what MOG2 marks shadows with: no foreground
_CHANGED = 25  # grey levels between two pictures, the usual threshold of a motion detector

Picture = UInt8[np.ndarray, "height width"]
Changed = Callable[[Picture], float]


@dataclass(frozen=True, eq=False)
class Looked:
    """Scores in [0, 1], and the seconds of CPU that decoding and looking took."""

    scores: Float[np.ndarray, "segment"]
    cpu_s: float


def background() -> Changed:
    """Share of a picture that MOG2, begun anew for each video, takes for foreground."""
    import cv2

    model: Any = cv2.createBackgroundSubtractorMOG2(_HISTORY, _VAR_THRESHOLD, detectShadows=True)
    begun: list[bool] = []

    def changed(picture: Picture) -> float:
        share = float((model.apply(picture) > _SHADOW).mean())
        first = not begun
        begun[:] = [True]
        return 0.0 if first else share  # of the first picture everything is foreground

    return changed


def difference() -> Changed:
    """Share of a picture that differs from the one before by more than 25 grey levels."""
    import cv2

    before: list[Picture] = []

    def changed(picture: Picture) -> float:
        share = float((cv2.absdiff(picture, before[0]) > _CHANGED).mean()) if before else 0.0
        before[:] = [picture]
        return share

    return changed


METHODS: Mapping[str, Callable[[], Changed]] = {"frame difference": difference, "OpenCV MOG2": background}


def look(path: Path, timeline: Timeline, begin: Callable[[], Changed]) -> Looked:
    """Score one video on the segments of its features; a segment of which no picture was looked at has 0.

    Raises:
        InputError: the file cannot be read.
    """
    import cv2

    begun, changed = time.process_time(), begin()
    sums, counts = np.zeros(timeline.segments), np.zeros(timeline.segments)
    next_s = 0.0
    for frame, second in FrameReader(path):
        if second + 1e-6 < next_s:
            continue
        next_s = max(next_s + 1 / RATE_HZ, second)
        height = max(round(frame.height * WIDTH / frame.width), 1)
        grey = cv2.resize(frame.to_ndarray(format="gray"), (WIDTH, height), interpolation=cv2.INTER_AREA)
        place = timeline.segment_at(second)
        sums[place] += changed(grey)
        counts[place] += 1
    return Looked(sums / np.maximum(counts, 1), time.process_time() - begun)
