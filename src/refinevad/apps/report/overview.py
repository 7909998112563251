"""The overview of a batch: one row a video, with its verdict, its curve and a link to its own report."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from refinevad.apps.report.page import cautioning, facts
from refinevad.detection.found import Detection
from refinevad.detection.sparkline import sparkline
from refinevad.detection.wording import escape, length, verdict

LONG = 30  # from so many videos on a field narrows the rows
MOST_CURVES = 300  # of the highest scores: a curve takes 7 KB, and a page of 10,000 would take 70 MB


@dataclass(frozen=True)
class BatchEntry:
    """One video of a batch: its detection and the name of its page, or the sentence that says what went wrong."""

    video: str
    detection: Detection | None = None
    page: str = ""
    failure: str = ""


def overview_html(entries: Sequence[BatchEntry], cautions: Sequence[str] = ()) -> str:
    """Rows with failures first, then by video score, highest first."""
    found = [entry.detection for entry in entries if entry.detection]
    events = sum(len(detection.events) for detection in found)
    alarmed = sum(bool(detection.events) for detection in found)
    ordered = sorted(
        entries, key=lambda entry: (-entry.detection.video_score if entry.detection else -2.0, entry.video)
    )
    said = f"{events} event{'s' * (events != 1)} in {alarmed} of {len(found)} videos"
    rows = (_row(entry, place < MOST_CURVES) for place, entry in enumerate(ordered))
    curves = f"Curves of the {MOST_CURVES} videos with the highest scores; " if len(entries) > MOST_CURVES else ""
    said_of_rows = f'<p class="note">{curves}each row leads to its own page.</p>' if curves else ""
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("Video", "Verdict", "Score", "Duration"))
    return (
        '<section class="overview"><p class="kicker">Detections</p>'
        f"<h1>{len(entries)} video{'s' * (len(entries) != 1)}</h1>"
        f'<p class="verdict{" alarm" if events else ""}">{said}</p>'
        + cautioning(cautions)
        + facts(
            {
                "Watched": length(sum((detection.timeline.shown_s for detection in found), 0.0)),
                "Without an event": str(len(found) - alarmed),
                "Not readable": str(len(entries) - len(found)) if len(found) < len(entries) else "",
            }
        )
        + (_NARROW if len(entries) >= LONG else "")
        + said_of_rows
        + f'<div class="card scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


_NARROW = (
    '<label class="narrow" hidden>Narrow to <input id="narrow" type="search" '
    'placeholder="a name, a category, no event">'
    '<output id="narrowed"></output></label>'
)


def _row(entry: BatchEntry, drawn: bool) -> str:
    """A row; `drawn`: with its curve, else with its score alone."""
    detection = entry.detection
    if detection is None:
        return (
            f"<tr class='failed'><td>{escape(entry.video)}</td><td class='said' colspan='3'>"
            f"Not analysed: {escape(entry.failure)}</td></tr>"
        )
    name = escape(entry.video)
    link = f'<a href="{escape(quote(os.fsencode(entry.page)))}">{name}</a>' if entry.page else name
    curve = f"{detection.video_score:.2f}"
    if drawn:
        curve = sparkline(detection.timeline, detection.scores, detection.threshold, events=detection.events, height=38)
    return (
        f"<tr><td>{link}</td><td class='said'>{escape(verdict(detection))}</td><td>{curve}</td>"
        f"<td>{length(detection.duration_s)}</td></tr>"
    )
