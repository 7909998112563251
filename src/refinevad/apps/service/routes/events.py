"""Events: finding them, their clips and snapshots, and what people say of them."""

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from refinevad.apps.live.event_log import EVENT_ID
from refinevad.apps.live.labels import export_reviewed
from refinevad.apps.live.records import EventState, ReviewedEvent
from refinevad.apps.live.store import Store
from refinevad.apps.service.context import Here, Who
from refinevad.apps.service.schemas import MOST_NUMBER, EventOut, EventPage, Moment, NewReview, ReviewOut, Words

router = APIRouter(tags=["events"])
ReviewFilter = Literal["none", "any", "confirmed", "dismissed", "relabelled"]
_TYPES = {".mp4": "video/mp4", ".webm": "video/webm", ".mkv": "video/x-matroska", ".jpg": "image/jpeg"}


@router.get("/events")
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
        verdict=review if review in ("confirmed", "dismissed", "relabelled") else None,
        reviewed={"none": False, "any": True}.get(review or ""),
        limit=limit + 1,
        skip=skip,
    )
    return EventPage(
        events=[EventOut.of(event) for event in found[:limit]], next_skip=skip + limit if len(found) > limit else None
    )


@router.get("/events/{event_id}")
def get_event(here: Here, event_id: str) -> EventOut:
    return EventOut.of(_event(here.store, event_id))


@router.get("/events/{event_id}/clip", response_class=FileResponse)
def clip(here: Here, event_id: str) -> FileResponse:
    """The clip; ranges are answered, so that a player can seek."""
    return _file(here.store, _event(here.store, event_id).event.clip, "clip")


@router.get("/events/{event_id}/snapshot", response_class=FileResponse)
def snapshot(here: Here, event_id: str) -> FileResponse:
    """The picture at the event's peak."""
    return _file(here.store, _event(here.store, event_id).event.snapshot, "snapshot")


@router.get("/events/{event_id}/reviews")
def reviews(here: Here, event_id: str) -> list[ReviewOut]:
    """Every verdict on an event, oldest first; the last counts."""
    _event(here.store, event_id)
    return [ReviewOut.of(review) for review in here.store.events.reviews(event_id)]


@router.post("/events/{event_id}/reviews", status_code=201)
def review(here: Here, who: Who, event_id: str, new: NewReview) -> EventOut:
    """Confirm, dismiss or relabel an event; verdicts before stay in its history."""
    _event(here.store, event_id)
    here.store.events.add_review(event_id, new.verdict, new.reviewer, new.category, new.note)
    event = EventOut.of(_event(here.store, event_id))
    detail = {"verdict": new.verdict, "category": new.category, "reviewer": new.reviewer}
    here.audit.add(who, "event reviewed", event_id, **detail)
    here.feed.publish({"type": "review", "event": event.model_dump(mode="json")})
    return event


@router.get("/labels.zip", response_class=FileResponse, tags=["training"])
def labels(here: Here) -> FileResponse:
    """Reviewed clips with their video-level labels, as `refinevad train` reads a folder: clips/ and videos.csv."""
    folder = Path(tempfile.mkdtemp(prefix="labels-", dir=here.settings.data))
    try:
        export_reviewed(here.store, folder / "labels")
        archive = folder / "labels.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:  # clips are compressed already
            for path in sorted((folder / "labels").rglob("*")):
                if path.is_file():
                    file.write(path, path.relative_to(folder / "labels").as_posix())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    sweep = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    return FileResponse(archive, media_type="application/zip", filename="labels.zip", background=sweep)


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
