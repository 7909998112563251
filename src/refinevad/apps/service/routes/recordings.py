"""Continuous recordings: what there is, its pieces to look at, and any stretch of it as one file."""

from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from refinevad.apps.live.clock import DAY_S, iso
from refinevad.apps.live.storage.recordings import Piece, Recordings, stretches
from refinevad.apps.service.context import Context, Here, Span, Stretch
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import PieceOut, RecordedOut, RecordingsOut, RemovedOut
from refinevad.apps.service.stretching import Stretch as Made

router = APIRouter(prefix="/cameras/{name}", tags=["recordings"])
LONGEST_LIST_S, LONGEST_EXPORT_S = 7 * DAY_S, 3600.0
_SAYS = {"days": "older than recordings_days", "gigabytes": "recordings_gb was full"}


@router.get("/recordings", **needs("viewer"))
def list_recordings(here: Here, name: str, span: Stretch) -> RecordingsOut:
    """What is recorded of [start, end): pieces, the stretches they make, and what retention deleted."""
    if span.end - span.start > LONGEST_LIST_S:
        raise HTTPException(422, "at most 7 days at a time; name a shorter stretch")
    recordings, pieces = _pieces(here, name, span)
    removed = recordings.removed(name)
    return RecordingsOut(
        camera=name,
        stretches=[RecordedOut(start=iso(start), end=iso(end)) for start, end in stretches(pieces)],
        pieces=[_piece_out(name, piece) for piece in pieces],
        bytes=sum(piece.bytes for piece in pieces),
        removed=None if removed is None else RemovedOut(until=iso(removed.until), reason=_SAYS[removed.why]),
    )


@router.get("/recordings/{start_ms}.mp4", response_class=FileResponse, **needs("viewer"))
def piece(here: Here, name: str, start_ms: int) -> FileResponse:
    """One piece, as it came; ranges are answered, so that a player can seek."""
    here.camera(name)
    found = Recordings(here.store.media).piece(name, start_ms)
    if found is None:
        raise HTTPException(404, "no such piece; retention may have deleted it")
    return FileResponse(found.path, media_type="video/mp4", content_disposition_type="inline")


_AS_MP4: dict[int | str, dict[str, Any]] = {200: {"content": {"video/mp4": {}}}}


@router.get("/recording.mp4", response_class=StreamingResponse, responses=_AS_MP4, **needs("viewer"))
def export(here: Here, name: str, span: Stretch) -> StreamingResponse:
    """A stretch as one file, as it came, from the keyframe at or before its start; holes are closed up.

    An hour at most, one at a time, of which 429 tells the second. `X-RefineVAD-Missing`: seconds that are not there.
    """
    if span.end - span.start > LONGEST_EXPORT_S:
        raise HTTPException(422, "at most an hour at a time; name a shorter stretch")
    _, pieces = _pieces(here, name, span)
    if not pieces:
        raise HTTPException(404, "nothing is recorded of this stretch; retention may have deleted it")
    there = sum(min(piece.end, span.end) - max(piece.start, span.start) for piece in pieces)
    missing = max(span.end - span.start - there, 0.0)
    return stretch_of(here, [(one.path, one.start) for one in pieces], span, f"{name}.mp4", missing)


def stretch_of(
    here: Context, files: list[tuple[Path, float]], span: Span, name: str, missing: float
) -> StreamingResponse:
    """An answer that is made as it is sent; it holds the one place there is for such, until it has been sent."""
    if not here.cutting.acquire(blocking=False):
        raise HTTPException(429, "a stretch is being cut already; try again when that is done")
    try:
        made = Made(files, span.start, span.end)
    except BaseException:
        here.cutting.release()
        raise
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.removesuffix(".mp4"))
    headers = {
        "content-disposition": f'attachment; filename="{plain}.mp4"',
        "x-refinevad-missing": f"{missing:.1f}",
    }
    return _Cut(iter(made), made, here.cutting, media_type="video/mp4", headers=headers)


class _Cut(StreamingResponse):
    """Ends the process, and lets the next one begin, when it has been sent or its client has left."""

    def __init__(self, pieces: Iterator[bytes], made: Made, cutting: Lock, **values: Any) -> None:
        super().__init__(pieces, **values)
        self._made, self._cutting = made, cutting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._made.close()
            self._cutting.release()


def _pieces(here: Context, name: str, span: Span) -> tuple[Recordings, list[Piece]]:
    here.camera(name)
    recordings = Recordings(here.store.media)
    return recordings, recordings.between(name, span.start, span.end)


def _piece_out(name: str, piece: Piece) -> PieceOut:
    place = f"/api/v1/cameras/{name}/recordings/{round(piece.start * 1000)}.mp4"
    return PieceOut(start=iso(piece.start), end=iso(piece.end), bytes=piece.bytes, file=place)
