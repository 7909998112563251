"""Where events go, what has not arrived there, and the sinks that reach people: tested and snoozed."""

from fastapi import APIRouter, HTTPException

from refinevad.apps.live.clock import iso
from refinevad.apps.live.delivery.sinks.base import PeopleSink
from refinevad.apps.service.context import Context, Here, Who
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import ScheduleIn, ScheduleOut, SinkOut, Snooze, TestOut

router = APIRouter(prefix="/sinks", tags=["sinks"])


@router.get("", **needs("viewer"))
def list_sinks(here: Here) -> list[SinkOut]:
    """All sinks: envelopes that wait, envelopes that were lost, and why nothing is taken at the moment."""
    return _sinks(here)


@router.post("/{name}/test", **needs("admin"))
def test_sink(here: Here, who: Who, name: str) -> TestOut:
    """Send a test message now, snoozed or not, and say what came back."""
    answer = _person(here, name).test()
    here.audit.add(who, "sink tested", name, taken=not answer)
    return TestOut(taken=not answer, answer=answer)


@router.put("/{name}/snooze", **needs("admin"))
def snooze_sink(here: Here, who: Who, name: str, wanted: Snooze) -> SinkOut:
    """Send nothing for a while; what happens meanwhile is not sent later, and stays under its events."""
    until = here.store.clock.now() + 60.0 * wanted.minutes
    _person(here, name).snooze(until)
    here.store.snoozes.set(name, until)  # it holds over a restart
    here.audit.add(who, "sink snoozed", name, minutes=wanted.minutes)
    return next(sink for sink in _sinks(here) if sink.name == name)


@router.put("/{name}/schedule", **needs("admin"))
def schedule_sink(here: Here, who: Who, name: str, wanted: ScheduleIn) -> SinkOut:
    """Arm it in these hours and on these days, now and after a restart."""
    days = tuple(wanted.days)
    _person(here, name).arm(wanted.hours, days or None)
    here.store.schedules.set(name, None if wanted.hours is None else (wanted.hours, days))
    here.audit.add(who, "sink scheduled", name, hours=wanted.hours, days=" ".join(days))
    return next(sink for sink in _sinks(here) if sink.name == name)


def _person(here: Context, name: str) -> PeopleSink:
    found = here.people().get(name)
    if found is None:
        raise HTTPException(404, f"no sink that reaches people is called {name!r}")
    return found


def _sinks(here: Context) -> list[SinkOut]:
    people = here.people()
    return [
        SinkOut(
            name=sink.sink,
            waiting=sink.waiting,
            lost=sink.lost,
            trouble=sink.trouble or None,
            people=sink.sink in people,
            snoozed_until=_until(people.get(sink.sink)),
            schedule=_schedule(people.get(sink.sink)),
        )
        for sink in here.backlog()
    ]


def _until(sink: PeopleSink | None) -> str | None:
    return iso(sink.snoozed_until) if sink is not None and sink.snoozed_until else None


def _schedule(sink: PeopleSink | None) -> ScheduleOut | None:
    if sink is None:
        return None
    return ScheduleOut(hours=sink.arming.hours, days=list(sink.arming.days), armed=sink.armed)
