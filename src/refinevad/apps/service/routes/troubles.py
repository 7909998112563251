"""What was wrong with cameras."""

from typing import Annotated

from fastapi import APIRouter, Query

from refinevad.apps.service.context import Here
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import MOST_NUMBER, PastTroubleOut, TroublePage, Words

router = APIRouter(prefix="/troubles", tags=["cameras"])


@router.get("", **needs("viewer"))
def list_troubles(
    here: Here,
    camera: Annotated[Words | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    skip: Annotated[int, Query(ge=0, le=MOST_NUMBER)] = 0,
) -> TroublePage:
    """What was and is wrong with cameras, newest first; those that are gone, too."""
    found = here.store.troubles.find(camera, limit + 1, skip)
    return TroublePage(
        troubles=[PastTroubleOut.of(trouble) for trouble in found[:limit]],
        next_skip=skip + limit if len(found) > limit else None,
    )
