"""Runs of equal segments as one: captions say the same for minutes, and a bag of copies teaches nothing."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

EQUAL = 1e-6


@dataclass(frozen=True)
class Tokens:
    """What is left of a video, and where it goes: `place[t]` is segment t's token, -1 where it was empty (zeros)."""

    values: Float[np.ndarray, "token channel"]
    place: Int[np.ndarray, "segment"]

    def expand(
        self, values: Float[np.ndarray, "token *rest"], empty: Float[np.ndarray, "*rest"] | float
    ) -> Float[np.ndarray, "segment *rest"]:
        """Each segment takes its token's value; empty ones take `empty`."""
        out = np.empty((len(self.place), *values.shape[1:]))
        out[:] = empty
        spoken = self.place >= 0
        out[spoken] = values[self.place[spoken]]
        return out


def merge_runs(values: Float[np.ndarray, "segment channel"]) -> Tokens:
    """Merge maximal runs of equal segments and leave empty ones out."""
    if not len(values):
        return Tokens(values, np.zeros(0, dtype=np.int64))
    opens = opens_run(values)
    first = np.flatnonzero(opens)
    kept = values[first].any(axis=1)
    token = np.where(kept, np.cumsum(kept) - 1, -1)
    return Tokens(values[first[kept]], token[np.cumsum(opens) - 1])


def opens_run(values: Float[np.ndarray, "segment channel"]) -> Bool[np.ndarray, "segment"]:
    """Whether a segment differs from the one before it; the first one does."""
    opens = np.ones(len(values), dtype=bool)
    opens[1:] = np.abs(np.diff(values, axis=0)).max(axis=1, initial=0.0) > EQUAL
    return opens
