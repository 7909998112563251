"""A detection as a notebook's cell: a small piece of HTML that needs nothing else, no script either."""

from refinevad.detection.findings import Findings
from refinevad.detection.sparkline import sparkline
from refinevad.detection.wording import clock, escape, length, span, verdict

MOST_EVENTS = 20  # shown; how many more there are is told
# colours of the reports, in the light: a notebook's theme is not the system's
_STYLE = """\
.refinevad{--curve:#2563a6;--event:#c2410c;--event-fill:rgba(234,88,12,.13);--line:#e1e3e7;
background:#fff;color:#191b1f;border:1px solid #e1e3e7;border-radius:8px;padding:12px 16px;max-width:860px;
font:14px/1.45 system-ui,"Segoe UI",Roboto,Arial,sans-serif;overflow-wrap:anywhere}
.refinevad p{margin:0 0 6px}.refinevad small{color:#5c626d}
.refinevad svg{display:block;width:100%;height:84px;overflow:visible}
.refinevad .ends{display:flex;justify-content:space-between;margin-top:3px;font-variant-numeric:tabular-nums}
.refinevad table{font:inherit;font-size:13px;border-collapse:collapse;margin:8px 0 0;font-variant-numeric:tabular-nums}
.refinevad th,.refinevad td{text-align:left!important;padding:2px 18px 2px 0;border:0;background:none;color:inherit}
.refinevad th{color:#5c626d;font-weight:500}"""


def cell(detection: Findings) -> str:
    """The verdict, the score curve with threshold and events, and a table of the events."""
    curve = sparkline(detection.timeline, detection.scores, detection.threshold, events=detection.events)
    notes = "".join(f"<p><small>{escape(sentence)}</small></p>" for sentence in detection.notes)
    return (
        f'<div class="refinevad"><style>{_STYLE}</style>'
        f"<p><b>{escape(detection.video)}</b> <small>{length(detection.duration_s)}</small></p>"
        f"<p>{escape(verdict(detection))}</p>{notes}{curve}"
        f'<div class="ends"><small>{clock(0.0)}</small>'
        f"<small>score of 0 to 1; dashed: threshold {detection.threshold:.2f}</small>"
        f"<small>{clock(detection.duration_s)}</small></div>{_table(detection)}</div>"
    )


def _table(detection: Findings) -> str:
    if not detection.events:
        return ""
    rows = "".join(
        f"<tr><td>{span(event)}</td><td>{length(event.end_s - event.start_s)}</td>"
        f"<td>{escape(event.category)}</td><td>{event.peak:.2f}</td></tr>"
        for event in detection.events[:MOST_EVENTS]
    )
    left = len(detection.events) - MOST_EVENTS
    more = f"<p><small>and {left} more in .events</small></p>" if left > 0 else ""
    head = "<tr><th>when</th><th>length</th><th>category</th><th>highest score</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>{more}"
