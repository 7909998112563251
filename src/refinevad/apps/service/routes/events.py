"""Events: finding them, their clips and snapshots, and what people say of them."""

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Annotated, Any, Literal, cast, get_args

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from refinevad.apps.live.storage.event_log import EVENT_ID
from refinevad.apps.live.storage.labels import labelled_clips, table_of
from refinevad.apps.live.storage.records import EventState, ReviewedEvent, Verdict
from refinevad.apps.live.storage.store import Store
from refinevad.apps.service.archive import archive
from refinevad.apps.service.context import Here, Who
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import MOST_NUMBER, EventOut, EventPage, Moment, NewReview, ReviewOut, Words

router = APIRouter(tags=["events"])
ReviewFilter = Literal["none", "any", "confirmed", "dismissed", "relabelled", "unsure"]
_TYPES = {".mp4": "video/mp4", ".webm": "video/webm", ".mkv": "video/x-matroska", ".jpg": "image/jpeg"}


@router.get("/events", **needs("viewer"))
def find_events(
    here: Here,
    camera: Annotated[Words | None, Query(max_length=100)] = None,
    start: Moment | None = None,
    end: Moment | None = None,
    category: Annotated[Words | None, Query(max_length=100)] = None,
    state: Annotated[Sequence[EventState], Query()] = (),
    review: ReviewFilter | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    skip: Annotated[int, Query(ge=0, le=MOST_NUMBER)] = 0,
) -> EventPage:
    """Events that touch [start, end), newest first. `review`: none (nobody has looked), any, or a verdict."""
    found = here.store.events.find(
        camera=camera,
        start=None if start is None else start.timestamp(),
        end=None if end is None else end.timestamp(),
        category=category,
        states=tuple(state),
        verdict=cast(Verdict, review) if review in get_args(Verdict) else None,
        reviewed={"none": False, "any": True}.get(review or ""),
        limit=limit + 1,
        skip=skip,
    )
    return EventPage(
        events=[EventOut.of(event) for event in found[:limit]], next_skip=skip + limit if len(found) > limit else None
    )


@router.get("/events/{event_id}", **needs("viewer"))
def get_event(here: Here, event_id: str) -> EventOut:
    return EventOut.of(_event(here.store, event_id))


@router.get("/events/{event_id}/clip", response_class=FileResponse, **needs("viewer"))
def clip(here: Here, event_id: str) -> FileResponse:
    """The clip; ranges are answered, so that a player can seek."""
    return _file(here.store, _event(here.store, event_id).event.clip, "clip")


@router.get("/events/{event_id}/snapshot", response_class=FileResponse, **needs("viewer"))
def snapshot(here: Here, event_id: str) -> FileResponse:
    """The picture at the event's peak."""
    return _file(here.store, _event(here.store, event_id).event.snapshot, "snapshot")


@router.get("/events/{event_id}/reviews", **needs("viewer"))
def reviews(here: Here, event_id: str) -> list[ReviewOut]:
    """Every verdict on an event, oldest first; the last counts."""
    _event(here.store, event_id)
    return [ReviewOut.of(review) for review in here.store.events.reviews(event_id)]


@router.post("/events/{event_id}/reviews", status_code=201, **needs("reviewer"))
def review(here: Here, who: Who, event_id: str, new: NewReview) -> EventOut:
    """Confirm, dismiss or relabel an event, or say that it cannot be told; verdicts before stay in its history."""
    _event(here.store, event_id)
    reviewer = who.user or new.reviewer  # who is logged in says it in their own name
    here.store.events.add_review(event_id, new.verdict, reviewer, new.category, new.note)
    event = EventOut.of(_event(here.store, event_id))
    detail = {"verdict": new.verdict, "category": new.category, "reviewer": reviewer}
    here.audit.add(who, "event reviewed", event_id, **detail)
    here.feed.publish({"type": "review", "event": event.model_dump(mode="json")})
    return event


@router.get(
    "/labels.zip",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}},
    **needs("reviewer"),
)
def labels(here: Here) -> StreamingResponse:
    """Reviewed clips with their video-level labels, as `refinevad train` reads a folder: clips/ and videos.csv.

    Written as it is sent; one at a time, of which 429 tells the second.
    """
    if not here.exporting.acquire(blocking=False):
        raise HTTPException(429, "labels are being downloaded already; try again when that is done")
    try:
        clips, _ = labelled_clips(here.store)
    except BaseException:
        here.exporting.release()
        raise
    by_name = {clip.name: clip for clip in clips}
    files = ((clip.path, clip.name) for clip in clips)
    pieces = archive(files, "videos.csv", lambda names: table_of(by_name[name] for name in names))
    headers = {"content-disposition": 'attachment; filename="labels.zip"'}
    return _Export(pieces, here.exporting, media_type="application/zip", headers=headers)


class _Export(StreamingResponse):
    """Lets the next one begin when it has been sent, or its client has left."""

    def __init__(self, pieces: Iterator[bytes], exporting: Lock, **values: Any) -> None:
        super().__init__(pieces, **values)
        self._exporting = exporting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._exporting.release()


def _event(store: Store, event_id: str) -> ReviewedEvent:
    found = store.events.get(event_id) if EVENT_ID.fullmatch(event_id) else None
    if found is None:
        raise HTTPException(404, "no such event; retention may have deleted it")
    return found


def _file(store: Store, relative: str | None, what: str) -> FileResponse:
    path = store.media_path(relative) if relative else None
    if path is None or not path.is_file():
        raise HTTPException(404, f"this event has no {what} (any more)")
    return FileResponse(path, media_type=_TYPES.get(path.suffix), content_disposition_type="inline")
