"""The report of an evaluation: headline figures beside their controls, categories, ROC and PR, every video."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from refinevad.apps.report.comparison_section import comparison_section
from refinevad.apps.report.operating import OperatingCurves, operating_curves, operating_svg
from refinevad.apps.report.page import facts
from refinevad.apps.report.path_section import lift_sentence, paths_legend, paths_svg
from refinevad.detection.lifts import event_lifts
from refinevad.detection.sparkline import sparkline
from refinevad.detection.wording import clock, escape, length
from refinevad.judging.intervals import bounds_of
from refinevad.scoring.events import Event
from refinevad.scoring.paths import PathCurves
from refinevad.timeline import Timeline

EVALUATION_SCRIPTS = ("evaluation.js",)
NORMAL = "normal"

# What a figure is called in words, and whether it is a share that a scale from 0 to 1 can show.
_NAMES: dict[str, tuple[str, bool]] = {
    "auc": ("Frame AUC", True),
    "ap": ("Frame average precision", True),
    "ano_auc": ("AUC inside anomalous videos", True),
    "video_auc": ("Video AUC", True),
    "event_f1": ("Event F1 at IoU 0.3", True),
    "alerts_per_hour_at_80_recall": ("False alerts an hour at 80 % event recall", False),
    "within_auc": ("AUC within videos", True),
    "map_average": ("mAP over IoU 0.1 to 0.5", False),
    "far": ("False alarm rate on normal video", True),
    "ap_trapezoid": ("Average precision, trapezoid", True),
    "frames": ("Frames", False),
    "anomalous_frames": ("Anomalous frames", False),
}
_ALERTS = "alerts_per_hour_at_80_recall"
_HEADLINE = ("auc", "within_auc", "ap", "ano_auc", "video_auc", "event_f1", _ALERTS, "map_average")
_LOWER_IS_BETTER = ("far", _ALERTS)
_PERCENT = ("map_average",)
_TOLD_EVENTS = 3  # of a video, whose paths are told


@dataclass(frozen=True)
class VideoCurve:
    """One test video: its curve, what was predicted and what was true.

    Attributes:
        name: as in the data set.
        label: the video's category, `normal` when nothing happens in it.
        timeline, scores: one score a segment.
        events: predicted.
        truth: true intervals in seconds; empty for a normal video; None when the time of the event is unknown.
        paths: what each path of the model adds to each segment's logit; None: not followed.
    """

    name: str
    label: str
    timeline: Timeline
    scores: Float[np.ndarray, "segment"]
    events: tuple[Event, ...] = ()
    truth: tuple[tuple[float, float], ...] | None = ()
    paths: PathCurves | None = None

    @property
    def wrong(self) -> float:
        """Share of the frames where an event was predicted and there was none, or the reverse; nan if unknown."""
        if self.truth is None or not self.timeline.frames:
            return float("nan")
        predicted = self.timeline.truth([(event.start_s, event.end_s) for event in self.events])
        return float(np.mean(predicted != self.timeline.truth(self.truth)))

    @property
    def outcome(self) -> str:
        """`found` or `missed` (some event overlaps the truth, or none), `false alarm` or `quiet` in a normal video."""
        if self.label == NORMAL:
            return "false alarm" if self.events else "quiet"
        if self.truth is None:
            return "found" if self.events else "missed"
        overlap = any(event.start_s < end and start < event.end_s for event in self.events for start, end in self.truth)
        return "found" if overlap else "missed"


@dataclass(frozen=True)
class Evaluation:
    """Everything an evaluation report shows.

    Attributes:
        title: of the data set or recipe.
        metrics: by their fixed names; `map` is an object by IoU, in per cent.
        controls: metrics of what the model is held against, by name ("chance", "trivial motion").
        by_category: metrics of each category.
        videos: the test videos.
        threshold: the calibrated one.
        provenance: model, encoder and so on, for the footer.
        notes: sentences the reader must know, such as what data it was.
    """

    title: str
    metrics: Mapping[str, Any]
    videos: Sequence[VideoCurve]
    threshold: float | None = None
    controls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    by_category: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def evaluation_section(evaluation: Evaluation, *, heading: str = "h1") -> str:
    """HTML of an evaluation; `evaluation.js` adds the filters over the videos."""
    seconds = sum((video.timeline.shown_s for video in evaluation.videos), 0.0)
    normals = sum(video.label == NORMAL for video in evaluation.videos)
    parts = [
        '<section class="evaluation"><p class="kicker">Evaluation on held-out videos</p>',
        f"<{heading}>{escape(evaluation.title)}</{heading}>",
        facts(
            {
                "Videos": f"{len(evaluation.videos)} ({normals} normal)",
                "Length": length(seconds),
                "Frames": _figure("frames", evaluation.metrics.get("frames")),
                "Anomalous frames": _figure("anomalous_frames", evaluation.metrics.get("anomalous_frames")),
                "Threshold": "" if evaluation.threshold is None else f"{evaluation.threshold:.2f}",
            }
        ),
        *(f'<p class="note">{escape(note)}</p>' for note in evaluation.notes),
        _headline(evaluation),
        comparison_section(evaluation.metrics, evaluation.controls),
        _category_table(evaluation.by_category),
        _operating(evaluation),
        _map_table(evaluation),
        _videos(evaluation),
        "</section>",
    ]
    return "\n".join(parts)


def _headline(evaluation: Evaluation) -> str:
    cards = [
        _headline_card(name, evaluation) for name in _HEADLINE if _number(evaluation.metrics.get(name)) is not None
    ]
    return f'<div class="figures">{"".join(cards)}</div>'


def _headline_card(name: str, evaluation: Evaluation) -> str:
    value = _number(evaluation.metrics[name]) or 0.0
    words, is_share = _NAMES.get(name, (name, False))
    bounds = bounds_of(evaluation.metrics, name)
    beside = {
        control: number
        for control, metrics in evaluation.controls.items()
        if (number := _number(metrics.get(name))) is not None
    }
    told = " · ".join(f"{escape(control)} <b>{_figure(name, number)}</b>" for control, number in beside.items())
    low, high = (_figure(name, bound) for bound in bounds or (None, None))
    lower = " <small>lower is better</small>" if name in _LOWER_IS_BETTER else ""
    unit = " <small>%</small>" if name in _PERCENT else ""
    return (
        f'<div class="figure card"><div class="what">{escape(words)}</div>'
        f'<div class="number">{_figure(name, value)}{unit}{lower}</div>'
        + (_scale(value, beside, bounds) if is_share else "")
        + (f'<p class="beside">95 % interval <b>{low}</b> to <b>{high}</b></p>' if bounds else "")
        + (f'<p class="beside">{told}</p>' if told else "")
        + "</div>"
    )


def _scale(value: float, beside: Mapping[str, float], bounds: tuple[float, float] | None) -> str:
    """A line from 0 to 1 with the figure as a dot, its interval as a band and each control as a tick."""
    band = "" if bounds is None else _band(*bounds)
    ticks = "".join(
        f"<g><title>{escape(name)} {number:.3f}</title>"
        f'<line x1="{_across(number)}" x2="{_across(number)}" y1="5" y2="21" stroke="var(--muted)" '
        'stroke-width="2"/></g>'
        for name, number in beside.items()
    )
    return (
        '<svg class="scale" aria-hidden="true"><line x1="0" x2="100%" y1="13" y2="13" stroke="var(--line)" '
        f'stroke-width="4" stroke-linecap="round"/><line x1="0" x2="{_across(value)}" y1="13" y2="13" '
        f'stroke="var(--curve)" stroke-width="4" stroke-linecap="round"/>{band}{ticks}'
        f'<circle cx="{_across(value)}" cy="13" r="6" fill="var(--curve)"/></svg>'
    )


def _band(low: float, high: float) -> str:
    return (
        f'<line x1="{_across(low)}" x2="{_across(high)}" y1="13" y2="13" stroke="var(--curve)" stroke-opacity="0.3" '
        'stroke-width="14"/>'
    )


def _across(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.1f}%"


def _category_table(by_category: Mapping[str, Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for metrics in by_category.values() for name in metrics if name != "map"))
    if not columns:
        return ""
    head = "".join(f'<th scope="col">{escape(_NAMES.get(name, (name, False))[0])}</th>' for name in columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(category)}</th>'
        + "".join(f"<td>{escape(_figure(name, metrics.get(name)))}</td>" for name in columns)
        + "</tr>"
        for category, metrics in by_category.items()
    )
    return (
        '<h2>By category</h2><div class="card scroll"><table><thead><tr><th scope="col">Category</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _map_table(evaluation: Evaluation) -> str:
    by_iou = evaluation.metrics.get("map")
    if not isinstance(by_iou, Mapping) or not by_iou:
        return ""
    rows = {
        name: metrics["map"] for name, metrics in evaluation.controls.items() if isinstance(metrics.get("map"), Mapping)
    }
    cells = []
    for iou, value in by_iou.items():
        bounds = bounds_of(evaluation.metrics, f"map/{iou}")
        low, high = (_figure("map_average", bound) for bound in bounds or (None, None))
        of_model = f"<br><small>{low} to {high}</small>" if low else ""
        cells.append(f"<td>{escape(_figure('map_average', value))}{of_model}</td>")
    head = "".join(f'<th scope="col">IoU {escape(iou)}</th>' for iou in by_iou)
    body = f'<tr><th scope="row">model</th>{"".join(cells)}</tr>' + "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(_figure('map_average', values.get(iou)))}</td>" for iou in by_iou)
        + "</tr>"
        for name, values in rows.items()
    )
    return (
        '<h2>Events found, by overlap (mAP, per cent)</h2><div class="card scroll"><table><thead><tr>'
        f'<th scope="col"></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _operating(evaluation: Evaluation) -> str:
    known = [video for video in evaluation.videos if video.truth is not None and video.timeline.frames]
    if not known:
        return ""
    scores = np.concatenate([video.timeline.expand(video.scores) for video in known])
    truth = np.concatenate([video.timeline.truth(video.truth or ()) for video in known])
    if truth.all() or not truth.any():
        return ""
    curves: OperatingCurves = operating_curves(scores, truth, evaluation.threshold)
    roc, precision = operating_svg(curves)
    return (
        '<h2>Every threshold</h2><div class="pair">'
        f'<figure class="card"><figcaption>ROC, by frame</figcaption>{roc}</figure>'
        f'<figure class="card"><figcaption>Precision and recall, by frame</figcaption>{precision}</figure></div>'
        '<p class="note">Dashed: chance. Dot: the calibrated threshold.</p>'
    )


def _videos(evaluation: Evaluation) -> str:
    if not evaluation.videos:
        return ""
    ranked = sorted(evaluation.videos, key=_rank)
    counts: dict[str, int] = {}
    for video in ranked:
        counts[video.outcome] = counts.get(video.outcome, 0) + 1
    order = [name for name in ("missed", "false alarm", "found", "quiet") if name in counts]
    filters = "".join(
        f'<button class="tool" type="button" data-filter="{name}" aria-pressed="false">{name} {counts[name]}</button>'
        for name in order
    )
    return (
        f'<h2>Test videos, worst first</h2><div class="filters" role="group" aria-label="Show">'
        f'<button class="tool" type="button" data-filter="" aria-pressed="true">all {len(ranked)}</button>'
        f"{filters}</div>"
        f'<ul class="videos">{"".join(_video(video, evaluation.threshold) for video in ranked)}</ul>'
        '<div class="legend"><span><i class="truth"></i>truth</span><span><i class="bar"></i>predicted event</span>'
        '<span><i class="dash"></i>threshold</span></div>' + _paths_legend(ranked)
    )


def _paths_legend(videos: Sequence[VideoCurve]) -> str:
    """What the lines under the curves are; that there are none where the model has one path."""
    paths = next((video.paths for video in videos if video.paths is not None), None)
    if paths is None:
        return ""
    if len(paths.names) > 1:
        return paths_legend(paths)
    return f'<p class="note">Scores come by one path, {escape(next(iter(paths.names.values())))}: 100 % of each.</p>'


def _by_path(video: VideoCurve) -> str:
    """The curve split by path, and for the highest events which path they come by."""
    paths = video.paths
    if paths is None or len(paths.names) == 1 or not video.timeline.segments:
        return ""
    curves = paths_svg(video.timeline, paths, video.events, height=40, points=300)
    highest = sorted(video.events, key=lambda event: -event.peak)[:_TOLD_EVENTS]
    highest.sort(key=lambda event: event.start_s)
    told = "".join(
        f"<li>{clock(event.start_s)}: {escape(lift_sentence(paths, event_lifts(paths, video.timeline, event)))}</li>"
        for event in highest
    )
    more = len(video.events) - len(highest)
    rest = f"<li>{more} more {'events' if more > 1 else 'event'}</li>" if more else ""
    return curves + (f'<ul class="by-path">{told}{rest}</ul>' if told else "")


def _rank(video: VideoCurve) -> tuple[bool, float, str]:
    """Missed and false alarms before the rest, then by the share of time judged wrongly."""
    return video.outcome not in ("missed", "false alarm"), -float(np.nan_to_num(video.wrong, nan=-1.0)), video.name


def _video(video: VideoCurve, threshold: float | None) -> str:
    outcome = video.outcome
    wrong = "" if np.isnan(video.wrong) else f"{100 * video.wrong:.0f} % of the time wrong"
    curve = sparkline(video.timeline, video.scores, threshold, events=video.events, truth=video.truth)
    return (
        f'<li class="card" data-outcome="{outcome}"><div class="head"><b title="{escape(video.name)}">'
        f'{escape(video.name)}</b><span class="tag {outcome.split()[0]}">{outcome}</span></div>{curve}{_by_path(video)}'
        f'<div class="foot"><span>{escape(video.label)} · {length(video.timeline.duration_s)}</span>'
        f"<span>{wrong}</span></div></li>"
    )


def _number(value: Any) -> float | None:
    """A finite figure, or None for what is absent, an object, or not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        return None
    return float(value) if np.isfinite(value) else None


def _figure(name: str, value: Any) -> str:
    number = _number(value)
    if number is None:
        return "" if value is None else "–"
    if name in _PERCENT or name == _ALERTS:
        return f"{number:.1f}"
    return f"{number:,.0f}" if isinstance(value, int | np.integer) else f"{number:.3f}"
