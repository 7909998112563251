"""Where events go, and what has not arrived there."""

from fastapi import APIRouter

from refinevad.apps.service.context import Here
from refinevad.apps.service.schemas import SinkOut

router = APIRouter(prefix="/sinks", tags=["sinks"])


@router.get("")
def list_sinks(here: Here) -> list[SinkOut]:
    """All sinks: envelopes that wait, envelopes that were lost, and why nothing is taken at the moment."""
    return [
        SinkOut(name=sink.sink, waiting=sink.waiting, lost=sink.lost, trouble=sink.trouble or None)
        for sink in here.backlog()
    ]
