"""What someone who watches the alerts needs: which events are found, how often the detector cries wolf, how late it is.

Events are (start_s, end_s, score), half-open. The detector *opens an alert* at the start of an event it reports.
An alert is true when it opens inside a true event or at most `early_s` before it; every other alert is false, also one
that opens long before an event and lasts into it, so that an alarm that never ends earns nothing. A true event is found
when an alert opens there. Repeated alerts in one event are all true. False alerts are counted on all videos, per hour
of all footage, normal or not.

True events closer than `gap_s + early_s` count as one: an alert that may open `early_s` before the second and
joins runs across `gap_s` cannot tell them apart.

Event-level F1 is about extent instead: one prediction a true event, by overlap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from refinevad.errors import InputError
from refinevad.scoring.events import MERGE_GAP_S
from refinevad.timeline import Timeline

ScoredEvent = tuple[float, float, float]
Interval = tuple[float, float]

EVENT_IOU = 0.3
EARLY_S = 5.0  # as far ahead as a clip with pre-roll begins: an alert this early still shows the event
GAP_S = MERGE_GAP_S  # segments above the threshold that lie closer than this are one event, as the detector has it
SWEEP_THRESHOLDS = 512


@dataclass(frozen=True)
class Curve:
    """One video's segment scores with the T + 1 borders of its T segments in seconds.

    `early_ends`: where each ends, if any ends before the next one begins.
    """

    scores: Float[np.ndarray, "segment"]
    time_bounds: Float[np.ndarray, "bound"]
    early_ends: Float[np.ndarray, "segment"] | None = None

    @classmethod
    def of(cls, scores: Float[np.ndarray, "segment"], timeline: Timeline) -> "Curve":
        return cls(scores, timeline.time_bounds, timeline.early_ends)

    @property
    def ends(self) -> Float[np.ndarray, "segment"]:
        """Where each segment ends, in seconds."""
        return self.time_bounds[1:] if self.early_ends is None else self.early_ends


def extract_events(curve: Curve, threshold: float, gap_s: float = GAP_S) -> list[ScoredEvent]:
    """Runs of segments at or above `threshold`, joined across gaps shorter than `gap_s`; a run's peak is its score."""
    starts, ends = curve.time_bounds[:-1], curve.ends
    breaks = np.flatnonzero(_apart(starts[1:] - ends[:-1], gap_s))
    opens, closes = _joined_runs(curve.scores >= threshold, starts, ends, gap_s, breaks)
    return [
        (float(starts[i]), float(ends[j]), float(curve.scores[i : j + 1].max()))
        for i, j in zip(opens, closes, strict=True)
    ]


def _joined_runs(
    above: Bool[np.ndarray, "segment"],
    starts: Float[np.ndarray, "segment"],
    ends: Float[np.ndarray, "segment"],
    gap_s: float,
    breaks: Int[np.ndarray, "break"],
) -> tuple[Int[np.ndarray, "event"], Int[np.ndarray, "event"]]:
    """First and last segment of each event; `breaks` are the segments that are apart from the next one."""
    # maximal runs of neighbours first: there are far fewer of them than of segments
    joined = above[1:] & above[:-1]
    joined[breaks] = False
    opens, closes = above.copy(), above.copy()
    opens[1:] &= ~joined
    closes[:-1] &= ~joined
    first, last = np.flatnonzero(opens), np.flatnonzero(closes)
    if not len(first):
        return first, last
    apart = _apart(starts[first[1:]] - ends[last[:-1]], gap_s)
    return first[np.append(True, apart)], last[np.append(apart, True)]


def _apart(gap: Float[np.ndarray, "gap"], gap_s: float) -> Bool[np.ndarray, "gap"]:
    """Which gaps keep events apart; neighbours touch: their gap is exactly 0."""
    return np.asarray((gap > 0) & (gap >= gap_s))


def interval_iou(a: Interval, b: Interval) -> float:
    """Shared length over joint length of two half-open intervals; 0 where both are empty."""
    shared = max(min(a[1], b[1]) - max(a[0], b[0]), 0.0)
    joint = (a[1] - a[0]) + (b[1] - b[0]) - shared
    return shared / joint if joint > 0 else 0.0


def match_events(
    predicted: Sequence[ScoredEvent], truth: Sequence[Interval], iou: float = EVENT_IOU
) -> list[tuple[int, int]]:
    """(prediction, true event) pairs of one video, one to one.

    By falling score each prediction takes the free event it overlaps most, if that overlap reaches `iou`.
    """
    free = set(range(len(truth)))
    pairs = []
    for p in sorted(range(len(predicted)), key=lambda p: -predicted[p][2]):
        overlaps = {t: interval_iou(predicted[p][:2], truth[t]) for t in sorted(free)}
        best = max(overlaps, key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= iou:
            free.remove(best)
            pairs.append((p, best))
    return pairs


@dataclass(frozen=True)
class EventScore:
    """Counts over all videos. A ratio without a denominator is 0, so that a silent detector scores 0."""

    matched: int
    predicted: int
    true: int

    @property
    def precision(self) -> float:
        return self.matched / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.matched / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.matched / (self.predicted + self.true) if self.predicted + self.true else 0.0


def event_score(
    predicted: Mapping[str, Sequence[ScoredEvent]], truths: Mapping[str, Sequence[Interval]], iou: float = EVENT_IOU
) -> EventScore:
    """Event-level precision, recall and F1 over videos; a video without an entry has no events."""
    matched = sum(len(match_events(events, truths.get(video, ()), iou)) for video, events in predicted.items())
    return EventScore(matched, sum(map(len, predicted.values())), sum(map(len, truths.values())))


def detection_delays(
    alerts: Sequence[ScoredEvent], truth: Sequence[Interval], early_s: float = EARLY_S
) -> list[float | None]:
    """For each true event of one video: seconds from its start to the first alert that opens there.

    0 for an alert up to `early_s` before the start; None where the event is missed.
    """
    starts = sorted(start for start, _, _ in alerts)
    delays: list[float | None] = []
    for true_start, true_end in truth:
        first = next((s for s in starts if true_start - early_s <= s < true_end), None)
        delays.append(None if first is None else max(first - true_start, 0.0))
    return delays


def join_close(truth: Sequence[Interval], gap_s: float = GAP_S, early_s: float = EARLY_S) -> list[Interval]:
    """True events of one video as alerts can tell them apart: those closer than `gap_s + early_s` as one."""
    joined: list[Interval] = []
    for start, end in sorted(truth):
        if joined and (start <= joined[-1][1] or start - joined[-1][1] < gap_s + early_s):
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


@dataclass(frozen=True, eq=False)
class AlertCounts:
    """What each threshold, from the highest down, finds in each video; summed over videos, or over resamples of them.

    Attributes:
        videos: names, in the order of the columns.
        found: true events found.
        false: alerts that open at no true event.
        alerts: all alerts.
        true: true events, as alerts can tell them apart.
    """

    videos: tuple[str, ...]
    thresholds: Float[np.ndarray, "threshold"]
    found: Int[np.ndarray, "threshold video"]
    false: Int[np.ndarray, "threshold video"]
    alerts: Int[np.ndarray, "threshold video"]
    true: Int[np.ndarray, "video"]


@dataclass(frozen=True)
class AlertSweep:
    """One entry a threshold, falling: share of true events found, false and all alerts per hour of footage."""

    thresholds: Float[np.ndarray, "threshold"]
    recall: Float[np.ndarray, "threshold"]
    false_per_hour: Float[np.ndarray, "threshold"]
    alerts_per_hour: Float[np.ndarray, "threshold"]


def sweep_alerts(
    curves: Mapping[str, Curve],
    truths: Mapping[str, Sequence[Interval]],
    hours: float,
    gap_s: float = GAP_S,
    early_s: float = EARLY_S,
) -> AlertSweep:
    """Event recall against alerts over thresholds: every distinct score, or 512 even quantiles where there are more.

    Raises:
        InputError: no footage, no true event, or truth of a video without a curve.
    """
    if not hours > 0:
        raise InputError("alerts per hour need footage; give at least one video and hours above 0")
    counts = count_alerts(curves, truths, gap_s, early_s)
    found, false, alerts = (each.sum(axis=1).astype(np.float64) for each in (counts.found, counts.false, counts.alerts))
    return AlertSweep(counts.thresholds, found / counts.true.sum(), false / hours, alerts / hours)


def count_alerts(
    curves: Mapping[str, Curve],
    truths: Mapping[str, Sequence[Interval]],
    gap_s: float = GAP_S,
    early_s: float = EARLY_S,
) -> AlertCounts:
    """Events found and alerts by threshold and video, at the thresholds of `sweep_alerts`.

    Raises:
        InputError: as `sweep_alerts`.
    """
    if not any(len(curve.scores) for curve in curves.values()):
        raise InputError("alerts per hour need footage; give at least one video and hours above 0")
    absent = [video for video, events in truths.items() if events and video not in curves]
    if absent:
        raise InputError(f"{absent[0]!r} has true events but no scores; predict it first")
    truths = {video: join_close(events, gap_s, early_s) for video, events in truths.items()}
    line = _one_line(curves, truths, margin_s=gap_s + early_s + 1.0)
    if not len(line.true_starts):
        raise InputError("event recall needs at least one true event; add temporal truth")
    distinct = np.unique(line.scores)
    if len(distinct) > SWEEP_THRESHOLDS:
        distinct = np.unique(np.quantile(distinct, np.linspace(0, 1, SWEEP_THRESHOLDS)))
    thresholds = distinct[::-1]
    breaks = np.flatnonzero(_apart(line.starts[1:] - line.ends[:-1], gap_s))
    rows = [_alert_counts(line, float(t), gap_s, early_s, breaks, len(curves)) for t in thresholds]
    found, false, alerts = (np.stack(each) for each in zip(*rows, strict=True))
    return AlertCounts(
        tuple(curves), thresholds, found, false, alerts, np.bincount(line.true_videos, minlength=len(curves))
    )


@dataclass(frozen=True)
class _Line:
    """All videos end to end on one axis of seconds, far enough apart that no event joins two of them."""

    scores: Float[np.ndarray, "segment"]
    starts: Float[np.ndarray, "segment"]
    ends: Float[np.ndarray, "segment"]
    videos: Int[np.ndarray, "segment"]
    true_starts: Float[np.ndarray, "event"]
    true_ends: Float[np.ndarray, "event"]
    true_videos: Int[np.ndarray, "event"]


def _one_line(curves: Mapping[str, Curve], truths: Mapping[str, Sequence[Interval]], margin_s: float) -> _Line:
    scores, starts, ends, true, true_videos = [], [], [], [], []
    offset = 0.0
    for place, (video, curve) in enumerate(curves.items()):
        own = list(truths.get(video, ()))
        shift = offset - float(curve.time_bounds[0])
        scores.append(curve.scores.astype(np.float64))
        starts.append(curve.time_bounds[:-1] + shift)
        ends.append(curve.ends + shift)
        true += [(start + shift, end + shift) for start, end in own]
        true_videos += [place] * len(own)
        offset += max([float(curve.time_bounds[-1])] + [end for _, end in own]) - float(curve.time_bounds[0]) + margin_s
    events = np.array(true, dtype=np.float64).reshape(-1, 2)
    return _Line(
        np.concatenate(scores),
        np.concatenate(starts),
        np.concatenate(ends),
        np.repeat(np.arange(len(curves)), [len(curve.scores) for curve in curves.values()]),
        events[:, 0],
        events[:, 1],
        np.array(true_videos, dtype=np.int64),
    )


def _alert_counts(
    line: _Line, threshold: float, gap_s: float, early_s: float, breaks: Int[np.ndarray, "break"], videos: int
) -> tuple[Int[np.ndarray, "video"], Int[np.ndarray, "video"], Int[np.ndarray, "video"]]:
    """True events found, false alerts, alerts, of each video."""
    opens, _ = _joined_runs(line.scores >= threshold, line.starts, line.ends, gap_s, breaks)
    alerts = line.starts[opens]
    first = np.searchsorted(alerts, line.true_starts - early_s, side="left")
    last = np.searchsorted(alerts, line.true_ends, side="left")
    covered = np.zeros(len(alerts) + 1, dtype=np.int64)
    np.add.at(covered, first, 1)
    np.add.at(covered, last, -1)
    false = np.cumsum(covered[:-1]) == 0
    return (
        np.bincount(line.true_videos[last > first], minlength=videos),
        np.bincount(line.videos[opens[false]], minlength=videos),
        np.bincount(line.videos[opens], minlength=videos),
    )
