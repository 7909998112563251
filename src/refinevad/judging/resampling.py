"""How sure a figure is: whole test videos drawn again with replacement, the same draws for every row of a table.

The frames of a video are not independent, so an interval comes from the videos (arXiv 2608.11985). Videos of one
source are drawn together where a set says its sources. A video that is drawn twice counts as two videos.

    bootstrap = Bootstrap.of(truth)
    ours, control = bootstrap.figures(predictions), bootstrap.figures(other)
    interval(ours["auc"])                     # (low, high), 95 %
    paired(ours["auc"], control["auc"])       # Difference(mean, low, high, ahead)

Segments are sorted by score once; each resample is a cumulative sum weighted by how often its videos were drawn.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from refinevad.errors import InputError
from refinevad.judging.alerts import Curve, Interval
from refinevad.judging.folds import mean_rows, parts_of
from refinevad.judging.metrics import FALSE_POSITIVE_RATES, Runs, roc_auc
from refinevad.judging.predictions import AlignedVideo, Expansion, Predictions, align
from refinevad.judging.protocol import localisation_videos
from refinevad.judging.resampled_events import event_samples
from refinevad.judging.resampled_map import map_samples
from refinevad.judging.truth import Truth
from refinevad.judging.within import Pairs, video_means
from refinevad.top_k import top_mean

RESAMPLES = 1000
LEVEL = 0.95
_DEFINED = 0.9  # share of the resamples that must have a figure for it to have an interval
_BLOCK = 1 << 18  # numbers that are summed at a time: they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Sampled:
    """A figure on the test set as it is, and on each resample of it (NaN: not defined there)."""

    value: float
    samples: Float[np.ndarray, "resample"]


@dataclass(frozen=True)
class Difference:
    """A figure of one row minus that of another on the same resamples.

    Attributes:
        mean: the difference on the test set as it is.
        low, high: its 95 % interval over resamples.
    """

    mean: float
    low: float
    high: float

    @property
    def ahead(self) -> bool:
        """Whether the interval excludes 0: the rows differ, and the sign of `mean` says which is ahead."""
        return self.low > 0 or self.high < 0


def interval(sampled: Sampled) -> tuple[float, float] | None:
    """The 2.5 % and 97.5 % quantiles over resamples.

    None where the figure is not defined, or in more than a tenth of the resamples.
    """
    known = sampled.samples[np.isfinite(sampled.samples)]
    if not np.isfinite(sampled.value) or not len(known) or len(known) < _DEFINED * len(sampled.samples):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def paired(ours: Sampled, other: Sampled) -> Difference | None:
    """`ours` minus `other`, resample by resample; both from one `Bootstrap`. None as `interval`.

    Raises:
        InputError: another number of resamples.
    """
    if ours.samples.shape != other.samples.shape:
        raise InputError("two figures can be compared on the same resamples alone; draw both from one Bootstrap")
    gap = Sampled(ours.value - other.value, ours.samples - other.samples)
    bounds = interval(gap)
    return None if bounds is None else Difference(gap.value, *bounds)


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Draws of the videos of one test set.

    Attributes:
        videos: their names, in the truth's order.
        counts: how often each resample holds each video.
        units: how many things were drawn from: videos, or groups of them.
        seed: of the draws.
        parts: the truth of each fold, one for each model that was judged (folds.py); without folds the whole.
    """

    truth: Truth
    videos: tuple[str, ...]
    counts: Int[np.ndarray, "resample video"]
    units: int
    seed: int
    parts: tuple[Truth, ...]

    @classmethod
    def of(
        cls,
        truth: Truth,
        groups: Mapping[str, str] | None = None,
        resamples: int | None = None,
        seed: int = 0,
        folds: Sequence[Sequence[str]] | None = None,
    ) -> "Bootstrap":
        """Draw as many videos as there are; with `groups` (video -> group) as many groups, each whole.

        `resamples`: how often, RESAMPLES where it is not said. A video without a group is one of its own. `folds`: the
        videos that each of several models was judged on; of each fold as many are drawn as it has.

        Raises:
            InputError: no video, or less than one resample.
        """
        resamples = RESAMPLES if resamples is None else resamples
        if not truth.videos or resamples < 1:
            raise InputError("resampling needs at least one video and one resample")
        names = tuple(video.name for video in truth.videos)
        given = groups or {}
        place = {name: i for i, name in enumerate(names)}
        counts, units = np.zeros((resamples, len(names)), dtype=np.int64), 0
        generator = np.random.default_rng(seed)
        for fold in folds or [names]:
            unit_of: dict[tuple[bool, str], int] = {}
            owner = np.array([unit_of.setdefault((n in given, given.get(n, n)), len(unit_of)) for n in fold])
            drawn = generator.multinomial(len(unit_of), np.full(len(unit_of), 1 / len(unit_of)), size=resamples)
            counts[:, [place[name] for name in fold]] = drawn[:, owner]
            units += len(unit_of)
        return cls(truth, names, counts, units, seed, parts_of(truth, folds))

    def figures(
        self, predictions: Predictions, expansion: Expansion = "auto", allow_missing: bool = False
    ) -> dict[str, Sampled]:
        """The figures of a row under their names in JSON (`recall_at_fpr/0.01` is one inside `recall_at_fpr`).

        auc, ap, ano_auc, video_auc, video_mean_auc, within_auc, macro_within_auc, cross_auc, within_weight,
        recall_at_fpr/0.01, /0.02, /0.03 and /0.05; strict map/0.1 to /0.5 and map_average, where the predictions name
        categories, or there is one, and something is true.

        Raises:
            InputError: as `align`.
        """
        return self.of_videos(align(predictions, self.truth, expansion, allow_missing).videos)

    def of_videos(self, videos: Sequence[AlignedVideo]) -> dict[str, Sampled]:
        """`figures` of predictions that are laid over their frames already."""
        return self._mean([self._of_part(part) for part in self._by_part(videos)])

    def _of_part(self, videos: Sequence[AlignedVideo]) -> dict[str, Float[np.ndarray, "row"]]:
        drawn = self._drawn([video.truth.name for video in videos])
        found = _figures(videos, drawn)
        if (inputs := localisation_videos(videos, self.truth)) is not None:
            found |= map_samples(inputs, self.truth.columns, drawn)
        return found

    def of_events(
        self,
        curves: Mapping[str, Curve],
        truths: Mapping[str, Sequence[Interval]],
        hours: Mapping[str, float],
    ) -> dict[str, Sampled]:
        """Event figures over all thresholds (resampled_events.py); none where no true event is."""
        if not any(truths.values()):
            return {}
        found = []
        for named in self._named(curves):
            true = {name: truths[name] for name in named}
            if any(true.values()):
                found.append(event_samples({name: curves[name] for name in named}, true, hours, self._drawn))
            else:
                found.append({})
        return self._mean(found)

    def area(self, runs: Mapping[str, Runs]) -> Sampled:
        """AUC over any runs by video, such as one a video; a video that is not named takes no part."""
        parts = self._named(runs)
        return self._mean([{"": _area([runs[name] for name in part], self._drawn(part))} for part in parts])[""]

    def auc(self, runs: Mapping[str, Runs]) -> float:
        """`area` of the set as it is, without its resamples."""
        whole = [roc_auc(Runs.join([runs[name] for name in part])) if part else np.nan for part in self._named(runs)]
        return float(mean_rows([np.array([auc]) for auc in whole], self._weights)[0])

    def ratio(self, parts: Mapping[str, int | float], wholes: Mapping[str, int | float]) -> Sampled:
        """Sum of `parts` over that of `wholes`, such as true alerts over alerts; a video not named counts 0."""
        rows = self._drawn(list(self.videos))
        part, whole = (np.array([float(of.get(name, 0.0)) for name in self.videos]) for of in (parts, wholes))
        return self._sampled(_ratio(rows @ part, rows @ whole))

    def as_dict(self) -> dict[str, int | float]:
        """What was drawn, for the record."""
        return {"resamples": len(self.counts), "seed": self.seed, "units": self.units, "level": LEVEL}

    @property
    def _weights(self) -> list[float]:
        return [float(len(part.videos)) for part in self.parts]

    def _named(self, videos: Container[str]) -> list[list[str]]:
        """The names among `videos` of each part."""
        return [[video.name for video in part.videos if video.name in videos] for part in self.parts]

    def _by_part(self, videos: Sequence[AlignedVideo]) -> list[list[AlignedVideo]]:
        """The videos of each part, in their order."""
        fold_of = {video.name: place for place, part in enumerate(self.parts) for video in part.videos}
        return [[v for v in videos if fold_of[v.truth.name] == place] for place in range(len(self.parts))]

    def _mean(self, parts: Sequence[Mapping[str, Float[np.ndarray, "row"]]]) -> dict[str, Sampled]:
        """The parts' figures, their mean by numbers of videos; NaN stands for a figure that a part does not have."""
        nothing = np.full(len(self.counts) + 1, np.nan)
        names = dict.fromkeys(name for part in parts for name in part)
        if len(parts) == 1:
            return {name: self._sampled(parts[0][name]) for name in names}
        return {n: self._sampled(mean_rows([part.get(n, nothing) for part in parts], self._weights)) for n in names}

    def _drawn(self, names: Sequence[str]) -> Float[np.ndarray, "row video"]:
        """How often each resample holds the named videos, below a row for the test set as it is."""
        place = {name: i for i, name in enumerate(self.videos)}
        drawn = self.counts[:, [place[name] for name in names]]
        return np.concatenate([np.ones((1, len(names)), dtype=np.int64), drawn]).astype(np.float64)

    def _sampled(self, values: Float[np.ndarray, "row"]) -> Sampled:
        # one unit can only be drawn as it is: that says nothing of how sure a figure is
        samples = values[1:] if self.units > 1 else np.full(len(values) - 1, np.nan)
        return Sampled(float(values[0]), samples)


def _figures(
    videos: Sequence[AlignedVideo], counts: Float[np.ndarray, "row video"]
) -> dict[str, Float[np.ndarray, "resample"]]:
    runs = [video.runs for video in videos]
    bags = [
        Runs(np.array([float(top_mean(v.prediction.scores))]), np.array([int(not normal)]), np.array([int(normal)]))
        for v in videos
        for normal in [v.truth.normal]
    ]
    anomalous = np.array([not video.truth.normal for video in videos], dtype=bool)
    found = _curve_figures(_Ranking.of(runs), counts)
    found["ano_auc"] = _area([run for run, kept in zip(runs, anomalous, strict=True) if kept], counts[:, anomalous])
    found["video_auc"] = _area(bags, counts)
    found["video_mean_auc"] = _area(video_means(runs), counts)
    return found | _split(Pairs.of(runs), counts, found["auc"])


def _split(
    pairs: Pairs, counts: Float[np.ndarray, "row video"], auc: Float[np.ndarray, "resample"]
) -> dict[str, Float[np.ndarray, "resample"]]:
    """Within, cross and w; the copies of a video that is drawn twice are two videos."""
    inside, won_inside = counts @ pairs.count, counts @ pairs.won
    every = (counts @ pairs.positives) * (counts @ pairs.negatives)
    mixed = pairs.count > 0
    return {
        "within_auc": _ratio(won_inside, inside),
        "macro_within_auc": _ratio(counts[:, mixed] @ pairs.auc[mixed], counts[:, mixed].sum(1)),
        "cross_auc": _ratio(np.nan_to_num(auc) * every - won_inside, every - inside),
        "within_weight": _ratio(inside, every),
    }


def _ratio(part: Float[np.ndarray, "resample"], whole: Float[np.ndarray, "resample"]) -> Float[np.ndarray, "resample"]:
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))


@dataclass(frozen=True, eq=False)
class _Ranking:
    """All runs of several videos by falling score, with the last run of each distinct score."""

    video: Int[np.ndarray, "run"]
    positives: Float[np.ndarray, "run"]
    negatives: Float[np.ndarray, "run"]
    last_of_tie: Int[np.ndarray, "level"]

    @classmethod
    def of(cls, videos: Sequence[Runs]) -> "_Ranking":
        joined = Runs.join(videos)
        order = np.argsort(-joined.scores, kind="stable")
        owner = np.repeat(np.arange(len(videos)), [len(runs.scores) for runs in videos])
        scores = joined.scores[order]
        last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])
        return cls(
            owner[order], joined.positives[order].astype(np.float64), joined.negatives[order].astype(np.float64), last
        )

    def curves(
        self, counts: Float[np.ndarray, "row video"]
    ) -> Iterator[tuple[slice, Float[np.ndarray, "row level"], Float[np.ndarray, "row level"]]]:
        """Anomalous and normal frames at or above each distinct score, a few resamples at a time."""
        rows = max(_BLOCK // max(len(self.video), 1), 1)
        for first in range(0, len(counts), rows):
            part = slice(first, min(first + rows, len(counts)))
            drawn = np.take(counts[part], self.video, axis=1)
            hits, alarms = np.cumsum(drawn * self.positives, axis=1), np.cumsum(drawn * self.negatives, axis=1)
            if len(self.last_of_tie) < len(self.video):
                hits, alarms = hits[:, self.last_of_tie], alarms[:, self.last_of_tie]
            yield part, hits, alarms


def _trapezoid(
    hits: Float[np.ndarray, "row level"], alarms: Float[np.ndarray, "row level"]
) -> Float[np.ndarray, "row"]:
    """Area under each row's ROC curve, NaN where either kind of frame is missing."""
    steps = np.diff(alarms, axis=1, prepend=0.0)
    # hits before and after each step, halved: a tie counts half
    twice = np.einsum("rl,rl->r", steps, hits) + np.einsum("rl,rl->r", steps[:, 1:], hits[:, :-1])
    return _ratio(twice / 2, hits[:, -1] * alarms[:, -1])


def _area(videos: Sequence[Runs], counts: Float[np.ndarray, "row video"]) -> Float[np.ndarray, "resample"]:
    ranking, areas = _Ranking.of(videos), np.full(len(counts), np.nan)
    if len(ranking.video):
        for part, hits, alarms in ranking.curves(counts):
            areas[part] = _trapezoid(hits, alarms)
    return areas


def _curve_figures(
    ranking: _Ranking, counts: Float[np.ndarray, "row video"]
) -> dict[str, Float[np.ndarray, "resample"]]:
    """AUC, AP and recall at false-positive rates."""
    names = ["auc", "ap", *(f"recall_at_fpr/{rate}" for rate in FALSE_POSITIVE_RATES)]
    found = {name: np.full(len(counts), np.nan) for name in names}
    if not len(ranking.video):
        return found
    for part, hits, alarms in ranking.curves(counts):
        found["auc"][part] = _trapezoid(hits, alarms)
        # a level without frames adds no recall, whatever its precision is called
        precision = hits / np.maximum(hits + alarms, 1e-300)
        gained = np.einsum("rl,rl->r", np.diff(hits, axis=1, prepend=0.0), precision)
        found["ap"][part] = _ratio(gained, hits[:, -1])
        for row, (found_here, false_here) in enumerate(zip(hits, alarms, strict=True), start=part.start):
            limits = np.array(FALSE_POSITIVE_RATES) * false_here[-1] * (1 + 1e-9)
            reached = np.searchsorted(false_here, limits, side="right")
            if not found_here[-1] or not false_here[-1]:
                continue
            for rate, level in zip(FALSE_POSITIVE_RATES, reached, strict=True):
                found[f"recall_at_fpr/{rate}"][row] = found_here[level - 1] / found_here[-1] if level else 0.0
    return found
