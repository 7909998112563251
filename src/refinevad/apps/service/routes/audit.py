"""Who changed what."""

from typing import Annotated

from fastapi import APIRouter, Query

from refinevad.apps.service.context import Here
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import MOST_NUMBER, AuditOut, AuditPage

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("", **needs("admin"))
def list_changes(
    here: Here,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=1, le=MOST_NUMBER)] = None,
) -> AuditPage:
    """Every change made through the API, newest first; `before`: a number, for those that came before it."""
    found = here.audit.find(limit + 1, before)
    entries = [AuditOut.of(entry) for entry in found[:limit]]
    return AuditPage(entries=entries, next_before=entries[-1].number if len(found) > limit else None)
