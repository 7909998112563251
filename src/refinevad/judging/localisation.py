"""Temporal localisation: mAP at IoU 0.1 to 0.5 of the events that class-wise curves propose.

Proposals, the same in both protocols (Wu et al., VadCLIP, AAAI 2024): for each video and class, segments above
max - 0.6 (max - min) of that curve; maximal runs of them, at least 2 frames long; a run scores its peak plus 0.7 x
the mean of the class's top F // 16 frames of that video (F frames in all). The published code suppresses
overlapping proposals (NMS 0.6); with its single threshold runs never overlap, so there is nothing to suppress.
In order of falling score each proposal takes the free true interval of its video and class with the largest IoU,
if that reaches the threshold. AP = sum over hits of the precision there / number of true intervals.
Frames are integers and intervals half-open, [start, end).

`legacy` equals the published code:
- every video takes part, normal ones too, and so does the normal class: the mean runs over all columns;
- true intervals are taken as written, even past the last evaluated frame, under the label written: UCF-Crime's normal
  videos say "A", which is none of its classes, so its normal class is always 0 and the mean loses 1 / 14; XD-Violence's
  normal videos do count as true intervals of class "A";
- a class without true intervals has AP 0; a class without any proposal makes the whole figure 0.

`strict`:
- anomalous videos and anomaly categories alone;
- true intervals end at the last evaluated frame, empty ones are dropped;
- a category without a true interval has no AP and does not enter the mean; one without proposals has AP 0 and
  leaves the others alone.

Equal scores keep the order of videos, then of time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from refinevad.errors import InputError

IOU_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)
_DEPTH = 0.6  # how far below the maximum a proposal's threshold lies, in ranges of the curve
_VIDEO_WEIGHT = 0.7  # what the video's own top mean adds to a run's peak
_TOP_SHARE = 16  # the top mean takes one frame in 16
_SHORTEST = 2  # frames


@dataclass(frozen=True)
class TrueSpan:
    """An annotated event: half-open frames [start, end) of one category."""

    start: int
    end: int
    category: str


@dataclass(frozen=True)
class LocalisationVideo:
    """One video to localise in: a column a class, segment borders in frames, and what is true.

    `normal`: nothing anomalous happens in it (strict leaves it out).
    """

    values: Float[np.ndarray, "segment column"]
    frame_bounds: Integer[np.ndarray, "bound"]
    spans: tuple[TrueSpan, ...]
    normal: bool


@dataclass(frozen=True)
class LocalisationResult:
    """mAP in percent by IoU ("0.1" .. "0.5"), its mean, and AP in percent by class and IoU (None: no true interval)."""

    map: Mapping[str, float]
    average: float
    per_class: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class _Proposals:
    """Proposals of all videos and classes, one entry each, in order of class, video and time."""

    column: Int[np.ndarray, "proposal"]
    video: Int[np.ndarray, "proposal"]
    start: Int[np.ndarray, "proposal"]
    end: Int[np.ndarray, "proposal"]
    score: Float[np.ndarray, "proposal"]


@dataclass(frozen=True)
class ClassRanking:
    """The proposals of one class by falling score, and which of them find a true interval.

    A proposal competes for the true intervals of its own video alone, so what it finds does not depend on which other
    videos there are.

    Attributes:
        video: whose each proposal is.
        score: of each proposal.
        hits: ranks of the proposals that get a true interval of their own, at each of `IOU_THRESHOLDS`.
        true: how many true intervals each video has.
    """

    video: Int[np.ndarray, "proposal"]
    score: Float[np.ndarray, "proposal"]
    hits: tuple[Int[np.ndarray, "_hit"], ...]
    true: Int[np.ndarray, "video"]


def map_legacy(videos: Sequence[LocalisationVideo], columns: Sequence[str]) -> LocalisationResult:
    """VadCLIP's published mAP; column 0 is normal. See the module's text. Raises InputError without videos."""
    _check(videos, columns)
    proposals = _propose(videos, least=0)
    rankings = [_ranking(proposals, c, name, videos) for c, name in enumerate(columns)]
    precision = [None if ranking is None else _precision(ranking) for ranking in rankings]
    table = np.array([row if row is not None else np.zeros(len(IOU_THRESHOLDS)) for row in precision])
    everywhere = all((proposals.column == c).any() for c in range(len(columns)))
    return _result(table.mean(axis=0) if everywhere else np.zeros(len(IOU_THRESHOLDS)), columns, precision)


def map_strict(videos: Sequence[LocalisationVideo], columns: Sequence[str]) -> LocalisationResult:
    """mAP over anomalous videos and categories alone; column 0 is normal and takes no part. See the module's text.

    Raises:
        InputError: no video, or no anomalous video with a true interval.
    """
    precision = [None if ranking is None else _precision(ranking) for ranking in strict_rankings(videos, columns)]
    table = np.array([row for row in precision if row is not None])
    return _result(table.mean(axis=0), columns[1:], precision)


def strict_rankings(videos: Sequence[LocalisationVideo], columns: Sequence[str]) -> list[ClassRanking | None]:
    """What `map_strict` is counted from: of each column but the first a ranking, whose videos are the anomalous ones.

    None for a class of which nothing is true.

    Raises:
        InputError: as `map_strict`.
    """
    _check(videos, columns)
    kept = [_clipped(video) for video in videos if not video.normal]
    if not any(span.category in columns[1:] for video in kept for span in video.spans):
        raise InputError("no anomalous video with a true interval: mAP is not defined; add temporal truth")
    proposals = _propose(kept, least=1)
    return [_ranking(proposals, c, name, kept) for c, name in enumerate(columns[1:], start=1)]


def _check(videos: Sequence[LocalisationVideo], columns: Sequence[str]) -> None:
    if not any(len(video.values) for video in videos):
        raise InputError("no video with a segment to localise in; name at least one")
    for video in videos:
        if video.values.shape != (len(video.frame_bounds) - 1, len(columns)):
            raise InputError(
                f"probabilities of shape {video.values.shape} do not fit {len(video.frame_bounds) - 1} segments "
                f"and {len(columns)} columns"
            )


def _clipped(video: LocalisationVideo) -> LocalisationVideo:
    first, last = int(video.frame_bounds[0]), int(video.frame_bounds[-1])
    spans = (TrueSpan(max(s.start, first), min(s.end, last), s.category) for s in video.spans)
    values = video.values.astype(np.float64)
    return LocalisationVideo(values, video.frame_bounds, tuple(s for s in spans if s.end > s.start), video.normal)


def _result(
    means: Float[np.ndarray, "iou"], names: Sequence[str], precision: Sequence[Float[np.ndarray, "iou"] | None]
) -> LocalisationResult:
    keys = [f"{iou:.1f}" for iou in IOU_THRESHOLDS]
    per_class: dict[str, dict[str, float | None]] = {
        name: {key: None if row is None else 100 * float(row[k]) for k, key in enumerate(keys)}
        for name, row in zip(names, precision, strict=True)
    }
    return LocalisationResult(
        {key: 100 * float(mean) for key, mean in zip(keys, means, strict=True)}, 100 * float(means.mean()), per_class
    )


def _top_mean(
    values: Float[np.ndarray, "segment column"], frame_bounds: Integer[np.ndarray, "bound"], least: int
) -> Float[np.ndarray, "column"]:
    """Mean of each column's top F // 16 frames, or of `least` where that is more; 0 of none.

    Summed frame by frame in the precision of `values`, as the published code does: in float32 its rounding decides
    the order of a few near-equal proposals (1.6e-5 of XD-Violence's mAP@0.1).
    """
    lengths = np.diff(frame_bounds)
    frames = np.arange(max(int(lengths.sum()) // _TOP_SHARE, least))
    if not len(frames):
        return np.zeros(values.shape[1])
    order = np.argsort(-values, axis=0)
    ends = np.cumsum(lengths[order], axis=0)
    ranks = np.stack([np.searchsorted(end, frames, side="right") for end in ends.T], axis=1)
    top = np.take_along_axis(np.take_along_axis(values, order, axis=0), ranks, axis=0)
    return np.asarray(np.ascontiguousarray(top).mean(axis=0), dtype=np.float64)


def _propose(videos: Sequence[LocalisationVideo], least: int) -> _Proposals:
    """Every proposal of every class at once: videos are laid end to end, one row a class."""
    filled = [(i, v) for i, v in enumerate(videos) if len(v.values)]
    index = np.array([i for i, _ in filled], dtype=np.int64)
    values = np.concatenate([v.values for _, v in filled]).T.astype(np.float64)
    counts = np.array([len(v.values) for _, v in filled])
    first = np.cumsum(counts) - counts
    start = np.concatenate([v.frame_bounds[:-1] for _, v in filled]).astype(np.int64)
    end = np.concatenate([v.frame_bounds[1:] for _, v in filled]).astype(np.int64)
    high, low = np.maximum.reduceat(values, first, axis=1), np.minimum.reduceat(values, first, axis=1)
    above = values > np.repeat(high - (high - low) * _DEPTH, counts, axis=1)
    column, opens, closes = _runs(above, first)
    # reduceat reads borders in pairs (run, gap, run, gap ...); the 0 at the end is the border after the last run
    borders = (column * values.shape[1] + np.stack([opens, closes])).T.ravel()
    peak = np.maximum.reduceat(np.append(values.ravel(), 0.0), borders)[::2] if len(borders) else np.zeros(0)
    owner = np.searchsorted(first, opens, side="right") - 1
    top = np.stack([_top_mean(v.values, v.frame_bounds, least) for _, v in filled])[owner, column]
    # A class that scores nothing anywhere in a video proposes nothing there, as in the published code.
    kept = (end[closes - 1] - start[opens] >= _SHORTEST) & (top > 0)
    return _Proposals(
        column[kept],
        index[owner[kept]],
        start[opens[kept]],
        end[closes[kept] - 1],
        (peak + _VIDEO_WEIGHT * top)[kept],
    )


def _runs(
    above: Bool[np.ndarray, "column place"], first: Int[np.ndarray, "video"]
) -> tuple[Int[np.ndarray, "run"], Int[np.ndarray, "run"], Int[np.ndarray, "run"]]:
    """Column, first place and place after the last of each maximal run that stays inside one video."""
    begins = np.zeros(above.shape[1], dtype=bool)
    begins[first] = True
    ends = np.append(begins[1:], True)
    opening = above & (begins | ~np.roll(above, 1, axis=1))
    closing = above & (ends | ~np.roll(above, -1, axis=1))
    column, opens = np.nonzero(opening)
    return column, opens, np.nonzero(closing)[1] + 1


def _precision(ranking: ClassRanking) -> Float[np.ndarray, "iou"]:
    """AP of one class at each IoU threshold."""
    total = int(ranking.true.sum())
    return np.array([float(np.sum(np.arange(1, len(hits) + 1) / (hits + 1)) / total) for hits in ranking.hits])


def _ranking(proposals: _Proposals, column: int, name: str, videos: Sequence[LocalisationVideo]) -> ClassRanking | None:
    """One class's proposals in order; None where nothing of that class is true."""
    truths = {
        i: np.array([(s.start, s.end) for s in video.spans if s.category == name], dtype=np.int64)
        for i, video in enumerate(videos)
        if any(s.category == name for s in video.spans)
    }
    if not truths:
        return None
    of_class = np.flatnonzero(proposals.column == column)
    order = of_class[np.argsort(-proposals.score[of_class], kind="stable")]  # ties: by video, then time
    overlaps = {
        place: ious
        for place, p in enumerate(order)
        if (own := truths.get(int(proposals.video[p]))) is not None
        and (ious := _iou(int(proposals.start[p]), int(proposals.end[p]), own)).any()
    }
    owners = proposals.video[order]
    hits = (np.array(_greedy_hits(overlaps, owners, threshold), dtype=np.int64) for threshold in IOU_THRESHOLDS)
    true = np.array([len(truths.get(i, ())) for i in range(len(videos))], dtype=np.int64)
    return ClassRanking(owners, proposals.score[order], tuple(hits), true)


def _iou(start: int, end: int, truths: Int[np.ndarray, "span 2"]) -> Float[np.ndarray, "span"]:
    """|intersection| / |union| in frames of [start, end) with each true interval."""
    shared = np.maximum(np.minimum(end, truths[:, 1]) - np.maximum(start, truths[:, 0]), 0)
    together = (end - start) + np.maximum(truths[:, 1] - truths[:, 0], 0) - shared
    return np.asarray(shared / together)


def _greedy_hits(
    overlaps: Mapping[int, Float[np.ndarray, "_span"]], owners: Int[np.ndarray, "proposal"], threshold: float
) -> list[int]:
    """Ranks of the proposals that get a true interval of their own, in order."""
    free: dict[int, Bool[np.ndarray, span]] = {}
    hits = []
    for place, ious in overlaps.items():
        own = free.setdefault(int(owners[place]), np.ones(len(ious), dtype=bool))
        open_ious = np.where(own, ious, 0.0)
        best = int(np.argmax(open_ious))
        if open_ious[best] >= threshold:
            own[best] = False
            hits.append(place)
    return hits
