"""Which cells of the picture a segment's score came from: parts of it are left out in turn, and the score looked at.

An encoder pools what it sees over the picture, so no channel belongs to a cell, and a cell's part cannot be read off a
model's weights. So windows of cells are left out (left_out.py), the segment is encoded anew each time, and what its
logit loses is the window's part. For a path that is linear in single segments (`direct`, `--head linear`) that loss is
the window's own to the last digit, as nothing else has changed. A cell's weight is the mean loss of the windows that
hold it times how much changes in it: a person fills part of a window, and what stands still beside them did nothing.
The loss alone marked worse where it is known (benchmarks/where.py).

A path that looks at neighbours is asked with the `CONTEXT` segments before the one in question, which recordings and
streams have alike, whatever their window: so both say the same of one segment.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from refinevad.encoders.choice import EncoderChoice
from refinevad.features.encoding import clips_at_once, in_chunks
from refinevad.scoring.paths import PATHS, names_of_paths
from refinevad.scoring.scores import as_scores, score_windows
from refinevad.scoring.where import Located, Where, Why, shares_of_gains
from refinevad.segment_model import SegmentModel
from refinevad.video.frames import Clip
from refinevad.video.left_out import CellGrid, leave_out

CONTEXT = 8  # segments before


@dataclass(frozen=True)
class Peak:
    """A segment to be asked about.

    Attributes:
        clip: its pictures, by what the encoder needs.
        vectors: of the segments before it, as many as there are up to CONTEXT, and last its own.
    """

    clip: Clip
    vectors: Float[np.ndarray, "segment channel"]

    @classmethod
    def of(
        cls, clip: Clip, values: Float[np.ndarray, "segment channel"], place: int, stretches: Sequence[tuple[int, int]]
    ) -> "Peak":
        """Segment `place` of a recording's; nothing from before a hole is of its context."""
        begins = next(first for first, last in stretches if first <= place < last)
        return cls(clip, values[max(begins, place - CONTEXT) : place + 1])


def locate(model: SegmentModel, encoder: EncoderChoice, peak: Peak) -> Located | None:
    """Where the score of a segment came from; None where no cell carries any of it."""
    work = steps(model, encoder, peak)
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: Located | None = end.value
            return found


def steps(model: SegmentModel, encoder: EncoderChoice, peak: Peak) -> Generator[None, None, Located | None]:
    """`locate` in pieces, each the encoder's work on a few segments, for who has other things to do meanwhile."""
    grid = CellGrid.of(peak.clip, encoder.needs)
    if grid is None:
        return None
    own = _rows(model, peak, peak.vectors[-1:])[0]
    lost, held = np.zeros((grid.rows, grid.columns)), np.zeros((grid.rows, grid.columns))
    for windows in in_chunks(grid.windows(), clips_at_once(encoder.needs)):
        rows = _rows(model, peak, _without(encoder, peak, grid, windows))
        for window, row in zip(windows, rows, strict=True):
            lost[window] += max(float(own[0] - row[0]), 0.0)
            held[window] += 1
        yield
    weights = lost / held * grid.changes(peak.clip)
    if not weights.sum() > 0:
        return None
    where = Where(weights / weights.sum())
    without = _rows(model, peak, _without(encoder, peak, grid, [where.region]))[0]
    return Located(where, _why(model, own, without))


def _without(
    encoder: EncoderChoice, peak: Peak, grid: CellGrid, many: Sequence[Bool[np.ndarray, "row column"]]
) -> Float[np.ndarray, "left_out channel"]:
    """The segment's vector without some cells, for each of many; what is read or heard stays as it is."""
    seen = encoder.encode_clips([leave_out(peak.clip, grid, cells) for cells in many])
    beside = peak.vectors[-1, seen.shape[1] :]
    return np.concatenate([seen, np.tile(beside, (len(seen), 1))], axis=1)


def _rows(model: SegmentModel, peak: Peak, vectors: Float[np.ndarray, "_one channel"]) -> Float[np.ndarray, "_one row"]:
    """The segment's row (`WindowScores.rows`), with each of these vectors in the place of its own."""
    before = peak.vectors[:-1]
    scored = score_windows(model, [np.concatenate([before, vector[None]]) for vector in vectors])
    return np.stack([one.rows[-1] for one in scored])


def _why(model: SegmentModel, own: Float[np.ndarray, "row"], without: Float[np.ndarray, "row"]) -> Why:
    names = names_of_paths(model.config)
    lost = (own - without)[-len(PATHS) :]
    (score,), (shares,) = as_scores(own[None])
    left = float(as_scores(without[None])[0][0])
    categories = dict(zip(model.config.categories, (shares / max(float(score), 1e-12)).tolist(), strict=True))
    gains = lost[[PATHS.index(name) for name in names]]
    return Why(shares_of_gains(tuple(names), gains), categories, float(score), left)
