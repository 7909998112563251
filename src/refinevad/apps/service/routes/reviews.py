"""Verdicts on many events at once, and taking verdicts back."""

from collections.abc import Sequence

from fastapi import APIRouter

from refinevad.apps.service.context import Context, Here, Who
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import EventOut, ReviewsOut, TakenBack, WideReview

router = APIRouter(prefix="/events/reviews", tags=["events"])


@router.post("", status_code=201, **needs("reviewer"))
def review_many(here: Here, who: Who, new: WideReview) -> ReviewsOut:
    """One verdict on many events: on all of them or, where one is not there, on none."""
    made = here.store.events.add_reviews(new.events, new.verdict, who.user or new.reviewer, new.category, new.note)
    here.audit.add(who, "events reviewed", f"{len(made)} events", verdict=new.verdict, category=new.category)
    return _told(here, [review.event for review in made])


@router.post("/undo", **needs("reviewer"))
def undo(here: Here, who: Who, wanted: TakenBack) -> ReviewsOut:
    """Take verdicts back, by their numbers: those before them count again, and all stay in the history."""
    events = here.store.events.undo_reviews(wanted.reviews)
    here.audit.add(who, "reviews undone", f"{len(events)} events", reviews=list(wanted.reviews)[:100])
    return _told(here, events)


def _told(here: Context, names: Sequence[str]) -> ReviewsOut:
    """The events as they are now; the other pages that are open hear of it, too."""
    found = [EventOut.of(event) for name in names if (event := here.store.events.get(name)) is not None]
    for told in found:
        here.feed.publish({"type": "review", "event": told.model_dump(mode="json")})
    return ReviewsOut(events=found)
