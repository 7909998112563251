"""Strict mAP on sets whose videos are drawn again: events are matched once a video, a resample ranks them anew.

A copy of a video is a video of its own: its proposals score what the first one's do and find its own true intervals.
So a resample changes neither a proposal's score nor whether it finds anything, only how many stand before it.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from refinevad.judging.localisation import IOU_THRESHOLDS, ClassRanking, LocalisationVideo, strict_rankings

AVERAGE = "map_average"


def map_samples(
    videos: Sequence[LocalisationVideo], columns: Sequence[str], counts: Float[np.ndarray, "row video"]
) -> dict[str, Float[np.ndarray, "row"]]:
    """`map/0.1` to `map/0.5` and `map_average` in per cent: `map_strict` of sets with `counts` copies of each video.

    NaN where no video with a true interval was drawn.

    Raises:
        InputError: as `map_strict`.
    """
    drawn = counts[:, [place for place, video in enumerate(videos) if not video.normal]]
    rankings = [ranking for ranking in strict_rankings(videos, columns) if ranking is not None]
    precision = np.stack([_precision(ranking, drawn) for ranking in rankings])
    known = np.isfinite(precision)  # a class of which nothing is true does not enter the mean
    defined = known.sum(axis=0)
    means = np.where(known, precision, 0.0).sum(axis=0) / np.where(defined > 0, defined, np.nan)
    by_iou = {f"map/{iou:.1f}": 100 * means[:, place] for place, iou in enumerate(IOU_THRESHOLDS)}
    return {**by_iou, AVERAGE: 100 * means.mean(axis=1)}


def _precision(ranking: ClassRanking, counts: Float[np.ndarray, "row video"]) -> Float[np.ndarray, "row iou"]:
    """AP of one class on each row."""
    total = counts @ ranking.true
    starts = _block_starts(ranking)
    columns = []
    for hits in ranking.hits:
        found = np.zeros(len(ranking.video), dtype=bool)
        found[hits] = True
        area = _area(ranking, starts, found, hits, counts)
        columns.append(np.divide(area, total, out=np.full(len(total), np.nan), where=total > 0))
    return np.stack(columns, axis=1)


def _block_starts(ranking: ClassRanking) -> Int[np.ndarray, "proposal"]:
    """Where the block that each proposal is in begins: proposals of one video with equal scores stand together, and
    its copies put the whole block behind itself."""
    rank = np.arange(len(ranking.video))
    opens = np.ones(len(rank), dtype=bool)
    opens[1:] = (ranking.video[1:] != ranking.video[:-1]) | (ranking.score[1:] != ranking.score[:-1])
    return np.asarray(np.maximum.accumulate(np.where(opens, rank, 0)))


def _area(
    ranking: ClassRanking,
    starts: Int[np.ndarray, "proposal"],
    found: Bool[np.ndarray, "proposal"],
    hits: Int[np.ndarray, "hit"],
    counts: Float[np.ndarray, "row video"],
) -> Float[np.ndarray, "row"]:
    """Sum over hits, and over their copies, of the precision there."""
    area = np.zeros(len(counts))
    if not len(hits):
        return area
    first = starts[hits]
    ends = np.append(np.flatnonzero(np.diff(starts)) + 1, len(starts))
    last = ends[np.searchsorted(ends, first, side="right")]
    passed = np.append(0, np.cumsum(found))  # hits among the first n proposals
    size, size_found = last - first, passed[last] - passed[first]  # of the block
    place, place_found = hits - first + 1, passed[hits + 1] - passed[first]  # in the block, itself included
    videos = counts.shape[1]
    before = np.stack([np.bincount(ranking.video[:start], minlength=videos) for start in first], axis=1)
    weighed = found.astype(np.float64)
    before_found = np.stack(
        [np.bincount(ranking.video[:start], weighed[:start], minlength=videos) for start in first], axis=1
    )
    ranked, ranked_found, copies = counts @ before, counts @ before_found, counts[:, ranking.video[hits]]
    for copy in range(int(copies.max())):
        precision = (ranked_found + copy * size_found + place_found) / (ranked + copy * size + place)
        area += np.where(copies > copy, precision, 0.0).sum(axis=1)
    return area
