"""What a report says in words: clock times, scores, the verdict of a detection."""

import html
from collections.abc import Sequence

from refinevad.detection.findings import Findings
from refinevad.scoring.events import Event


def escape(text: object) -> str:
    """Text made safe inside HTML elements and quoted attributes."""
    return html.escape(str(text), quote=True)


def clock(second: float) -> str:
    """`00:14.1`; with hours from one hour on: `1:02:03.4`. Rounded to a tenth of a second."""
    tenths = round(max(second, 0.0) * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes:02d}"
    return f"{head}:{tenths // 10:02d}.{tenths % 10}"


def length(seconds: float) -> str:
    """A duration as people say it: `9.6 s`, `4 min 05 s`, `23 h 59 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def span(event: Event) -> str:
    """`00:14.1–00:18.2`."""
    return f"{clock(event.start_s)}–{clock(event.end_s)}"


def strongest(events: Sequence[Event]) -> Event:
    """The event with the highest peak; the earliest of equals. The sequence must not be empty."""
    return max(events, key=lambda event: (event.peak, -event.start_s))


def verdict(detection: Findings) -> str:
    """One plain sentence: how many events there are, and the strongest one's category, time and score."""
    count = len(detection.events)
    if not count:
        return "No event above the threshold"
    top = strongest(detection.events)
    told = f"{top.category}, {span(top)}, score {top.peak:.2f}"
    return f"1 event: {told}" if count == 1 else f"{count} events; strongest: {told}"
