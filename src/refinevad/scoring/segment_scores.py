"""Scores as a stream gives them: what scores.py hands to tracking.py."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class SegmentScores:
    """Final scores of consecutive segments of a stream, in [0, 1], with their times in seconds."""

    start_s: Float[np.ndarray, "segment"]
    end_s: Float[np.ndarray, "segment"]
    scores: Float[np.ndarray, "segment"]
    categories: Float[np.ndarray, "segment category"]

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls, categories: int) -> "SegmentScores":
        return cls(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros((0, categories)))
