"""The part of the evaluation report that says how sure its figures are, and what they rest on."""

from collections.abc import Mapping
from typing import Any

from refinevad.apps.figures_table import (
    FIGURES,
    LARGE,
    TIMED,
    biases,
    difference_rows,
    rates_differ,
    resampled_words,
)
from refinevad.detection.wording import escape
from refinevad.judging.intervals import bounds_of, figure_of

Figures = Mapping[str, Any]

_UNITS = {"resolution": ", pixels", "bitrate": ", bit/s", "brightness": ", 0 to 255"}


def comparison_section(metrics: Figures, controls: Mapping[str, Figures]) -> str:
    """HTML: every figure with its interval and controls; paired differences; scene bias. Nothing for old figures."""
    if not metrics.get("resampled"):
        return ""
    return "\n".join(
        filter(None, [_differences(metrics, controls), _figures(metrics, controls), _scene_bias(metrics, controls)])
    )


def _figures(metrics: Figures, controls: Mapping[str, Figures]) -> str:
    rows = []
    for key, words in FIGURES + (TIMED if rates_differ(metrics) else ()):
        values = [figure_of(figures, key) for figures in (metrics, *controls.values())]
        if any(value is not None for value in values):
            digits = 4 if key == "within_weight" else 3 if key not in LARGE else 1
            shown, *others = [_number(value, digits) for value in values]
            rows.append((words, shown, _bounds(bounds_of(metrics, key), digits), *others))
    note = (
        f'<p class="note">{escape(resampled_words(metrics))}. w is the share of the pairs of an anomalous and a normal '
        "frame that lie in one video: frame AUC = w × within + (1&nbsp;−&nbsp;w) × across. Where each video's mean "
        "score does as well as the scores, they tell which video, not when.</p>"
    )
    return _table("Figures", ("", "model", "95 % interval", *controls), rows) + note


def _differences(metrics: Figures, controls: Mapping[str, Figures]) -> str:
    rows = difference_rows(metrics, controls, "")
    if not rows:
        return ""
    note = '<p class="note">On the same resamples. Yes: the 95 % interval of the difference excludes 0.</p>'
    return _table("Model minus control", rows[0], rows[1:]) + note


def _scene_bias(metrics: Figures, controls: Mapping[str, Figures]) -> str:
    rows = []
    for factor, bias in biases(metrics).items():
        others = [_number(biases(figures).get(factor, {}).get("auc"), 3) for figures in controls.values()]
        words, poles = factor + _UNITS.get(factor, ""), (_pole(bias["low"]), _pole(bias["high"]))
        rows.append((words, _number(bias["auc"], 3), _bounds(bias["ci95"], 3), *poles, *others))
    if not rows:
        return ""
    note = (
        '<p class="note">AUC of the mean scores of normal frames, high pole against low: far from 0.5, the score reads '
        "how the video was filmed.</p>"
    )
    head = ("factor", "model", "95 % interval", "low pole", "high pole", *controls)
    return _table("Scene bias", head, rows) + note


def _pole(pole: Mapping[str, float]) -> str:
    first, last = (_amount(pole[key]) for key in ("from", "to"))
    return f"{first if first == last else f'{first} to {last}'} ({pole['videos']} videos)"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _number(value: Any, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _bounds(bounds: Any, digits: int) -> str:
    return "" if bounds is None else f"{bounds[0]:.{digits}f} to {bounds[1]:.{digits}f}"


def _table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A headed table; every cell is escaped here."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<h2>{escape(title)}</h2><div class="card scroll"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
