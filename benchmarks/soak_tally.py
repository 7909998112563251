"""What was told of events by several witnesses, held against what is stored; and what must have been found.

Envelopes are told by the service's websocket (straight from the engine), by each sink, and lie in storage. Begun is
each event of which any of them ever told a `new`. Of an event that began

    found        stored as over, and every sink got its `new`, then its `end`
    lost         otherwise: by the place that misses something
    twice        a sink got two different `new`s of it, or two different `end`s
    end anew     two different `end`s, one of them a restart's: what was on its way when the program was killed follows
    alone        a sink got an `update` or an `end` and never a `new`
    redelivered  the same envelope came again, which delivery allows: at least once

Apart from that, a film whose one incident comes again every `period_s` must raise an event each time. In a stretch of L
seconds in which a camera was live all the time, at least floor((L - slack_s) / period_s) events must have begun.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FLAT = 0.01


@dataclass
class Witness:
    """What one place was told: identity and kind of each envelope, by event, in order."""

    told: dict[str, list[tuple[str, str, str]]] = field(default_factory=lambda: defaultdict(list))
    redelivered: int = 0

    def take(self, envelope: Mapping[str, Any]) -> None:
        """Note an envelope; one that came before is counted and left aside."""
        if "trouble" in envelope:  # of the camera, not an event
            return
        entry = (str(envelope["id"]), str(envelope["kind"]), str(envelope.get("reason") or ""))
        told = self.told[str(envelope["event_id"])]
        if entry in told:
            self.redelivered += 1
        else:
            told.append(entry)

    def kinds(self, event: str) -> list[str]:
        return [kind for _, kind, _ in self.told.get(event, ())]

    @property
    def begun(self) -> set[str]:
        return {event for event in self.told if "new" in self.kinds(event)}


@dataclass(frozen=True)
class Outcome:
    """What became of the events; `lost` and the others name event and place."""

    begun: int
    found: int
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    alone: tuple[str, ...]
    ended_anew: int
    redelivered: int

    @property
    def clean(self) -> bool:
        return not (self.lost or self.twice or self.alone)

    def line(self) -> str:
        return (
            f"{self.begun} events begun, {self.found} found, {self.begun - self.found} lost, {len(self.twice)} twice, "
            f"{len(self.alone)} alone; {self.ended_anew} ends anew, {self.redelivered} envelopes redelivered"
        )


def judge(
    journal: Witness, sinks: Mapping[str, Witness], kept: Mapping[str, str], stored: Mapping[str, str]
) -> Outcome:
    """Hold all against each other.

    Args:
        journal: The websocket. It may miss messages while the service restarts.
        sinks: Those that see every envelope.
        kept: Kind of the last envelope that the folder sink holds, by event.
        stored: State in storage, by event.
    """
    begun = set().union(journal.begun, kept, stored, *(witness.begun for witness in sinks.values()))
    lost, twice, alone, anew = [], [], [], 0
    for event in sorted(begun | set().union(*(witness.told for witness in sinks.values()))):
        for name, witness in sinks.items():
            told = witness.told.get(event, [])
            anew += sum(kind == "end" for _, kind, _ in told) == 2 and any(why == "restart" for *_, why in told)
            lost += [f"{event} {name}: {what}" for what in missing(witness.kinds(event))] if event in begun else []
            twice += [f"{event} {name}: {what}" for what in doubled(told)]
            alone += [f"{event} {name}"] if told and "new" not in witness.kinds(event) else []
        if event in begun and kept.get(event) != "end":
            lost.append(f"{event} folder: {kept.get(event, 'nothing')}")
        if event in begun and stored.get(event) not in ("ended", "closed-by-restart"):
            lost.append(f"{event} storage: {stored.get(event, 'nothing')}")
    found = begun - {line.split()[0] for line in lost}
    again = sum(witness.redelivered for witness in sinks.values())
    return Outcome(len(begun), len(found), tuple(lost), tuple(twice), tuple(alone), anew, again)


def missing(kinds: Sequence[str]) -> list[str]:
    """What a sink has not got of an event, or not in its order."""
    if "new" not in kinds or "end" not in kinds:
        return [f"no {kind}" for kind in ("new", "end") if kind not in kinds]
    return ["end before new"] if kinds.index("end") < kinds.index("new") else []


def doubled(told: Sequence[tuple[str, str, str]]) -> list[str]:
    """Kinds that came twice with different identities; a true end beside a restart's is none."""
    counts = Counter(kind for _, kind, _ in told)
    restarts = sum(kind == "end" and why == "restart" for _, kind, why in told)
    ends = counts["end"] - (1 if restarts == 1 else 0)
    return [f"{number} {kind}s" for kind, number in (("new", counts["new"]), ("end", ends)) if number > 1]


# -- what must have been found -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """Seconds in which a camera was live without a break."""

    camera: str
    begin_s: float
    end_s: float


def stretches(camera: str, seen: Sequence[tuple[float, str]], longest_gap_s: float) -> list[Stretch]:
    """Where `seen` (seconds, mark) has the same mark that is not empty, and no hole longer than `longest_gap_s`.

    The mark names what must not change: the process, the model, the connection; empty: not live.
    """
    found: list[Stretch] = []
    begin: tuple[float, str] | None = None
    last = -math.inf
    for at, mark in [*seen, (math.inf, "")]:
        if begin is not None and (mark != begin[1] or at - last > longest_gap_s):
            found.append(Stretch(camera, begin[0], last))
            begin = None
        if begin is None and mark:
            begin = (at, mark)
        last = at
    return found


@dataclass(frozen=True)
class Due:
    """How many events were due over all stretches, how many of those did not come, and how many came at all."""

    seconds: float
    due: int
    came: int
    short: tuple[str, ...]
    missed: int


def due(found: Iterable[Stretch], begun: Mapping[str, Sequence[float]], period_s: float, slack_s: float) -> Due:
    """Count by stretch what must have begun against what did; `begun`: seconds of each `new`, by camera."""
    seconds, wanted, came, short, missed = 0.0, 0, 0, [], 0
    for stretch in found:
        length = stretch.end_s - stretch.begin_s
        least = max(0, math.floor((length - slack_s) / period_s))
        here = sum(stretch.begin_s <= at <= stretch.end_s for at in begun.get(stretch.camera, ()))
        seconds, wanted, came = seconds + length, wanted + least, came + here
        if here < least:
            missed += least - here
            short.append(f"{stretch.camera} from {stretch.begin_s:.0f} to {stretch.end_s:.0f} s: {here} of {least}")
    return Due(seconds, wanted, came, tuple(short), missed)


# -- memory ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Memory:
    """Resident memory of one process that ran without a break, after its warm-up."""

    seconds: float
    first_mb: float
    last_mb: float
    most_mb: float
    slope_mb_h: float

    @property
    def flat(self) -> bool:
        return abs(self.last_mb / self.first_mb - 1) <= FLAT


def memory(samples: Sequence[tuple[float, float]], warm_up_s: float, part_s: float = 30.0) -> Memory | None:
    """Of (seconds, MB), in order. First and last are means of `part_s`; None where too little is left."""
    if not samples:
        return None
    warm = [(at, mb) for at, mb in samples if at >= samples[0][0] + warm_up_s]
    if len(warm) < 2 or warm[-1][0] - warm[0][0] < 2 * part_s:
        return None
    times, values = np.array(warm).T
    first = float(values[times <= times[0] + part_s].mean())
    last = float(values[times >= times[-1] - part_s].mean())
    slope = float(np.polyfit(times - times[0], values, 1)[0]) * 3600
    return Memory(float(times[-1] - times[0]), first, last, float(values.max()), slope)
