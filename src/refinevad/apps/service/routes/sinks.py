"""Where events go, what has not arrived there, and the sinks that reach people: tested and snoozed."""

from fastapi import APIRouter, HTTPException

from refinevad.apps.live.clock import iso
from refinevad.apps.live.delivery.sinks.base import PeopleSink
from refinevad.apps.service.context import Context, Here, Who
from refinevad.apps.service.schemas import SinkOut, Snooze, TestOut

router = APIRouter(prefix="/sinks", tags=["sinks"])


@router.get("")
def list_sinks(here: Here) -> list[SinkOut]:
    """All sinks: envelopes that wait, envelopes that were lost, and why nothing is taken at the moment."""
    return _sinks(here)


@router.post("/{name}/test")
def test_sink(here: Here, who: Who, name: str) -> TestOut:
    """Send a test message now, snoozed or not, and say what came back."""
    answer = _person(here, name).test()
    here.audit.add(who, "sink tested", name, taken=not answer)
    return TestOut(taken=not answer, answer=answer)


@router.put("/{name}/snooze")
def snooze_sink(here: Here, who: Who, name: str, wanted: Snooze) -> SinkOut:
    """Send nothing for a while; what happens meanwhile is not sent later, and stays under its events."""
    _person(here, name).snooze(here.store.clock.now() + 60.0 * wanted.minutes)
    here.audit.add(who, "sink snoozed", name, minutes=wanted.minutes)
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
        )
        for sink in here.backlog()
    ]


def _until(sink: PeopleSink | None) -> str | None:
    return iso(sink.snoozed_until) if sink is not None and sink.snoozed_until else None
