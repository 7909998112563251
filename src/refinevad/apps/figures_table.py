"""What `evaluate` prints: a run's figures with intervals over videos, its controls, and what it is ahead by."""

from collections.abc import Mapping, Sequence
from typing import Any

from refinevad.apps.terminal import table
from refinevad.judging.compared import control_sentence
from refinevad.judging.intervals import bounds_of, figure_of

FIGURES = (
    ("auc", "frame AUC"),
    ("within_auc", "AUC within videos"),
    ("macro_within_auc", "AUC within, mean over videos"),
    ("cross_auc", "AUC across videos"),
    ("within_weight", "w: share of pairs within a video"),
    ("video_mean_auc", "AUC of each video's mean score"),
    ("ap", "AP"),
    ("ano_auc", "Ano-AUC"),
    ("video_auc", "video AUC"),
    ("map_average", "mAP@IoU 0.1-0.5 (%)"),
    ("recall_at_fpr/0.01", "recall at 1 % false frames"),
    ("recall_at_fpr/0.02", "recall at 2 % false frames"),
    ("recall_at_fpr/0.03", "recall at 3 % false frames"),
    ("recall_at_fpr/0.05", "recall at 5 % false frames"),
    ("event_f1_at/0.2", "event F1 at IoU 0.2"),
    ("event_f1", "event F1 at IoU 0.3"),
    ("event_f1_at/0.5", "event F1 at IoU 0.5"),
    ("event_f1_best_at/0.3", "event F1 at IoU 0.3, best threshold"),
    ("alerts_per_hour_at_80_recall", "false alerts/h at 80 % recall"),
)
TIMED = (
    ("auc_time_weighted", "AUC by seconds"),
    ("within_auc_time_weighted", "AUC within videos, by seconds"),
    ("ap_time_weighted", "AP by seconds"),
    ("ano_auc_time_weighted", "Ano-AUC by seconds"),
)
COMPARED = (
    ("auc", "frame AUC"),
    ("within_auc", "AUC within videos"),
    ("ap", "AP"),
    ("ano_auc", "Ano-AUC"),
    ("video_auc", "video AUC"),
    ("map_average", "mAP@IoU 0.1-0.5 (%)"),
    ("recall_at_fpr/0.01", "recall at 1 % false frames"),
    ("recall_at_fpr/0.05", "recall at 5 % false frames"),
)
OWN_MEANS = "its own video means"
LARGE = ("map_average", "map_strict_average", "alerts_per_hour_at_80_recall")  # not shares of 1
OURS = "RefineVAD"
DIFFERENCE = "model_minus_control"
_RATES_DIFFER = 1.01  # highest over lowest frame rate from which seconds are shown


def figures_table(metrics: Mapping[str, Any], controls: Mapping[str, Mapping[str, Any]], ours: str = OURS) -> str:
    """The figures with the controls beside them; below, paired differences over the same resamples.

    `ours` is the model's name. Where it is not ahead of the run's ridge control a sentence says so.
    """
    rows: list[tuple[str, ...]] = [("", ours, "95 % interval", *controls)]
    for key, words in FIGURES + (TIMED if rates_differ(metrics) else ()):
        values = [figure_of(figures, key) for figures in (metrics, *controls.values())]
        if any(value is not None for value in values):
            bounds = _bounds(bounds_of(metrics, key), 1 if key in LARGE else 3)
            rows.append((words, _cell(values[0]), bounds, *map(_cell, values[1:])))
    for factor, bias in biases(metrics).items():
        others = [biases(figures).get(factor, {}).get("auc") for figures in controls.values()]
        rows.append((f"scene bias, {factor}", _cell(bias["auc"]), _bounds(bias["ci95"]), *map(_cell, others)))
    counts = metrics
    told = f"{counts['frames']:,} frames, {counts['anomalous_frames']:,} anomalous, {counts['videos']} videos"
    paired, behind = _differences(metrics, controls, ours), control_sentence(metrics, controls)
    return "\n".join(filter(None, [table(rows), paired, told, resampled_words(metrics), behind]))


def rates_differ(metrics: Mapping[str, Any]) -> bool:
    """Whether the videos' frame rates differ, so that figures by frames and by seconds weigh them differently."""
    rates = metrics.get("frame_rate_hz") or (1.0, 1.0)
    return bool(rates[1] > _RATES_DIFFER * rates[0])


def biases(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The scene biases that are known, by factor."""
    return {factor: bias for factor, bias in (metrics.get("scene_bias") or {}).items() if bias is not None}


def resampled_words(metrics: Mapping[str, Any]) -> str:
    """What the intervals are over; nothing for figures that were not resampled."""
    drawn = metrics.get("resampled")
    if not drawn:
        return ""
    note = f"; {drawn['note']}" if drawn.get("note") else ""
    return f"95 % intervals over {drawn['units']} {drawn['unit']}s, {drawn['resamples']:,} resamples{note}"


def _differences(metrics: Mapping[str, Any], controls: Mapping[str, Mapping[str, Any]], ours: str) -> str:
    """What the model is ahead by, a row a figure and a column a control, and whether its interval excludes 0."""
    rows = difference_rows(metrics, controls, f"{ours} minus")
    return f"\n{table(rows)}\n(yes: the 95 % interval of the difference excludes 0)\n" if rows else ""


def difference_rows(
    metrics: Mapping[str, Any], controls: Mapping[str, Mapping[str, Any]], corner: str
) -> list[tuple[str, ...]]:
    """A head and a row for each figure that is compared, beside each control and, of AUC, its own video means; nothing
    where nothing is."""
    gaps = {name: figures[DIFFERENCE] for name, figures in controls.items() if figures.get(DIFFERENCE)}
    if own := metrics.get("auc_minus_video_mean"):
        gaps[OWN_MEANS] = {"auc": own}
    rows = [
        (words, *(difference_words(of.get(key), 1 if key in LARGE else 3) for of in gaps.values()))
        for key, words in COMPARED
        if any(of.get(key) for of in gaps.values())
    ]
    return [(corner, *gaps), *rows] if rows else []


def difference_words(gap: Mapping[str, Any] | None, digits: int = 3) -> str:
    """`+0.071 [+0.020, +0.121] yes`: yes where the interval excludes 0."""
    if not gap:
        return "-"
    mean, low, high = (f"{value:+.{digits}f}" for value in (gap["difference"], *gap["ci95"]))
    return f"{mean} [{low}, {high}] {'yes' if gap['excludes_0'] else 'no'}"


def _bounds(bounds: Sequence[float] | None, digits: int = 3) -> str:
    return "" if bounds is None else f"[{bounds[0]:.{digits}f}, {bounds[1]:.{digits}f}]"


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}"
