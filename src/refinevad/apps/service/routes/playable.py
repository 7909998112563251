"""Clips whose codec browsers do not play (Motion JPEG, HEVC), made anew as H.264 when somebody asks for one."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

from refinevad.apps.live.disk import too_full
from refinevad.apps.live.storage.event_log import EVENT_ID
from refinevad.apps.live.storage.retention import playable
from refinevad.apps.service.context import Here, Who
from refinevad.apps.service.roles import needs
from refinevad.apps.service.stretching import make_playable
from refinevad.errors import InputError

router = APIRouter(prefix="/events/{event_id}", tags=["events"])


@router.post("/playable", status_code=204, **needs("viewer"))
def make(here: Here, who: Who, event_id: str) -> None:
    """Make the clip playable, unless it has been; one at a time, of which 429 tells the second.

    What was made counts among clips (`[retention] media_gb`), and goes with its event.
    """
    found = here.store.events.get(event_id) if EVENT_ID.fullmatch(event_id) else None
    clip = here.store.media_path(found.event.clip) if found is not None and found.event.clip else None
    if clip is None or not clip.is_file():
        raise HTTPException(404, "this event has no clip (any more)")
    target = here.store.media_path(playable(event_id))
    if target.is_file():
        return
    if full := too_full(here.store.media, clip.stat().st_size / 1e6):
        raise InputError(full)
    if not here.cutting.acquire(blocking=False):
        raise HTTPException(429, "another clip is being made playable; try again when that is done")
    try:
        make_playable(clip, target)
    finally:
        here.cutting.release()
    here.audit.add(who, "clip made playable", event_id)


@router.get("/playable", response_class=FileResponse, **needs("viewer"))
def get(here: Here, event_id: str) -> FileResponse:
    """The clip as H.264, once it was made; ranges are answered."""
    path = here.store.media_path(playable(event_id)) if EVENT_ID.fullmatch(event_id) else None
    if path is None or not path.is_file():
        raise HTTPException(404, "it has not been made playable (any more)")
    return FileResponse(path, media_type="video/mp4", content_disposition_type="inline")
