"""An event as programs read it: the one schema of detect's files, its summary and live envelopes (docs/formats.md)."""

from typing import NotRequired, TypedDict

from refinevad.scoring.events import Event
from refinevad.scoring.where import Located, WhereFacts, WhyFacts

SCHEMA_VERSION = 2  # of every document that carries events
SCORE_DIGITS = 6
TIME_DIGITS = 4  # a tenth of a millisecond: finer than any camera's time base


class EventFacts(TypedDict):
    """What is told of an event: seconds, scores in [0, 1], and each category's share, which add up to 1.

    `where` and `why` are there once they are known, and where anybody looked.
    """

    start_s: float
    end_s: float
    peak: float
    peak_s: float
    category: str
    probabilities: dict[str, float]
    where: NotRequired[WhereFacts]
    why: NotRequired[WhyFacts]


def event_facts(event: Event, origin_s: float = 0.0, located: Located | None = None) -> EventFacts:
    """An event as it is told; `origin_s` is the second, on the reader's clock, of the event's second 0."""
    facts: EventFacts = {
        "start_s": round(origin_s + float(event.start_s), TIME_DIGITS),
        "end_s": round(origin_s + float(event.end_s), TIME_DIGITS),
        "peak": round(float(event.peak), SCORE_DIGITS),
        "peak_s": round(origin_s + float(event.peak_s), TIME_DIGITS),
        "category": event.category,
        "probabilities": {name: round(float(share), SCORE_DIGITS) for name, share in event.probabilities.items()},
    }
    if located is not None:
        facts["where"], facts["why"] = located.where.facts(), located.why.facts()
    return facts
