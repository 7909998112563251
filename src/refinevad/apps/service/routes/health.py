"""Whether the service lives, and whether it can do its work; and what Prometheus reads."""

from fastapi import APIRouter, Response

from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.service.context import Here
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import Health

router = APIRouter(tags=["health"])


@router.head("/healthz", include_in_schema=False)  # what balancers ask in place of GET
@router.get("/healthz", **needs("anyone"))
async def alive() -> Health:
    """The process answers; on the event loop, so that busy threads do not keep it waiting."""
    return Health(status="ok")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", **needs("anyone"))
def ready(here: Here, response: Response) -> Health:
    """Storage can be reached and cameras can be watched; 503 with reasons where not."""
    reasons = list(here.ready())
    try:
        here.store.cameras.all()
    except StorageError:
        reasons.append("storage cannot be reached")
    if here.watch.model is None:
        reasons.append("no model")
    response.status_code = 503 if reasons else 200
    return Health(status="unready" if reasons else "ok", reasons=reasons)


@router.get("/metrics", response_class=Response, **needs("viewer"))
def metrics(here: Here) -> Response:
    """Prometheus' text format."""
    return Response(here.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
