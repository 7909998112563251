"""An envelope: one change of one event, as plain JSON, told to whoever listens and carried to each sink."""

import uuid
from collections.abc import Mapping
from typing import Literal, TypedDict, cast

from refinevad.apps.live.clock import iso
from refinevad.apps.live.health import Trouble, TroubleName
from refinevad.scoring.event_record import SCHEMA_VERSION, EventFacts, event_facts
from refinevad.scoring.events import Event
from refinevad.scoring.where import Located

Kind = Literal["new", "update", "end"]
NoticeKind = Literal["trouble", "cleared"]
LONGEST = "longest"  # the `reason` of an end where it lasted as long as an event may: it goes on as the next one
CONTINUES = "continues"  # how the `reason` of that next one's `new` begins; the event's id follows
RESTART = "restart"  # the `reason` of an end that is told after the process was stopped in mid-event


class LiveFacts(EventFacts):
    """An event as it stood: seconds of Unix time, and the same as UTC in ISO 8601; its end is how far it has come.

    `start` and `end` are `start_time` and `end_time` under the names of schema version 1.
    """

    start_time: str
    end_time: str
    peak_time: str
    start: str
    end: str


class Envelope(TypedDict):
    """One change of one event.

    `id` is the envelope's own, the same at each attempt. `before` is null for `new`. `time` is when the change was
    noticed. `clip` and `snapshot` are paths relative to the media folder, null until they are there. `reason` is set
    where something else than the score began or ended the event: a restart, or the longest an event may last.
    """

    schema_version: int
    id: str
    time: str
    kind: Kind
    camera: str
    event_id: str
    before: LiveFacts | None
    after: LiveFacts
    model: str
    clip: str | None
    snapshot: str | None
    reason: str | None


class Notice(TypedDict):
    """A camera's trouble that has begun, or is over; `event_id` is the trouble's own, the same in both."""

    schema_version: int
    id: str
    time: str
    kind: NoticeKind
    camera: str
    event_id: str
    trouble: TroubleName
    text: str
    since: str


def make_notice(kind: NoticeKind, camera: str, trouble: Trouble, *, time: float) -> Notice:
    """A new notice under its own id; `time` in Unix seconds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "id": uuid.uuid4().hex,
        "time": iso(time),
        "kind": kind,
        "camera": camera,
        "event_id": trouble.id,
        "trouble": trouble.name,
        "text": trouble.text,
        "since": iso(trouble.since),
    }


def as_notice(document: Mapping[str, object]) -> Notice | None:
    """What an outbox gives, where it is a notice; None: it is an event's envelope."""
    return cast(Notice, document) if "trouble" in document else None


def live_facts(event: Event, origin: float, located: Located | None = None) -> LiveFacts:
    """An event in stream seconds as facts in wall time; `origin` is the Unix second of the stream's second 0."""
    start, end = iso(origin + event.start_s), iso(origin + event.end_s)
    return {
        **event_facts(event, origin, located),
        "start_time": start,
        "end_time": end,
        "peak_time": iso(origin + event.peak_s),
        "start": start,
        "end": end,
    }


def told_span(facts: LiveFacts) -> tuple[str, str]:
    """Where told facts begin and end, as text; from an outbox that an older version left, too."""
    return facts.get("start_time") or facts["start"], facts.get("end_time") or facts["end"]


def make_envelope(
    kind: Kind,
    camera: str,
    event_id: str,
    before: LiveFacts | None,
    after: LiveFacts,
    *,
    model: str,
    time: float,
    clip: str | None = None,
    snapshot: str | None = None,
    reason: str | None = None,
) -> Envelope:
    """A new envelope under its own id; `time` in Unix seconds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "id": uuid.uuid4().hex,
        "time": iso(time),
        "kind": kind,
        "camera": camera,
        "event_id": event_id,
        "before": before,
        "after": after,
        "model": model,
        "clip": clip,
        "snapshot": snapshot,
        "reason": reason,
    }
