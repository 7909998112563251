"""Analyse a file: upload it, follow the progress, cancel, look at the result."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from refinevad.apps.live.storage.event_log import EVENT_ID
from refinevad.apps.live.storage.records import Job
from refinevad.apps.live.storage.store import UPLOADS
from refinevad.apps.service.audit import By
from refinevad.apps.service.context import Context, Here, Who
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import JobOut
from refinevad.apps.service.uploads import receive_upload

router = APIRouter(prefix="/jobs", tags=["analyse"])
_TYPES = {".mp4": "video/mp4", ".mkv": "video/x-matroska"}


@router.post("", status_code=202, **needs("reviewer", requestBody={"content": {"application/octet-stream": {}}}))
async def upload(
    here: Here, who: Who, request: Request, name: Annotated[str, Query(max_length=300)] = "video"
) -> JobOut:
    """The file is the request's body, as `curl --data-binary @FILE` sends it; `name` is what people will see."""
    if await run_in_threadpool(here.jobs.waiting) >= here.settings.waiting_jobs:
        raise HTTPException(429, f"{here.settings.waiting_jobs} files wait already; try again when some are done")
    if not here.incoming.acquire(blocking=False):
        raise HTTPException(429, f"{here.settings.incoming} files are being uploaded already; try again in a while")
    try:
        return await _upload(here, who, request, name)
    finally:
        here.incoming.release()


async def _upload(here: Context, who: By, request: Request, name: str) -> JobOut:
    length = request.headers.get("content-length", "")
    stated = int(length[:20]) if length.isdecimal() else None
    job = await receive_upload(here.store, here.settings, name, stated, request.stream())
    here.jobs.wake()
    await run_in_threadpool(here.audit.add, who, "file uploaded", job.id, name=job.name)
    return JobOut.of(job)


@router.get("", **needs("viewer"))
def list_jobs(here: Here, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> list[JobOut]:
    """Newest first, without their results."""
    return [JobOut.of(job, whole=False) for job in here.store.jobs.all(limit)]


@router.get("/{job_id}", **needs("viewer"))
def get_job(here: Here, job_id: str) -> JobOut:
    return JobOut.of(_job(here, job_id))


@router.get("/{job_id}/video", response_class=FileResponse, **needs("viewer"))
def video(here: Here, job_id: str) -> FileResponse:
    """The uploaded file; ranges are answered."""
    job = _job(here, job_id)
    path = here.store.media_path(f"{UPLOADS}/{job.file}")
    if not path.is_file():
        raise HTTPException(404, "the file is not kept any more")
    return FileResponse(path, media_type=_TYPES.get(path.suffix, "application/octet-stream"))


@router.post("/{job_id}/cancel", **needs("reviewer"))
def cancel(here: Here, who: Who, job_id: str) -> JobOut:
    """Stop an analysis and delete its file; 409 where it is finished."""
    _job(here, job_id)
    if not here.jobs.cancel(job_id):
        raise HTTPException(409, "this analysis is finished already")
    here.audit.add(who, "analysis cancelled", job_id)
    return JobOut.of(_job(here, job_id))


@router.delete("/{job_id}", status_code=204, **needs("reviewer"))
def delete(here: Here, who: Who, job_id: str) -> None:
    """Forget an analysis and its file; one that runs is cancelled."""
    job = _job(here, job_id)
    here.jobs.cancel(job_id)
    here.store.media_path(f"{UPLOADS}/{job.file}").unlink(missing_ok=True)
    here.store.jobs.delete(job_id)
    here.audit.add(who, "analysis deleted", job_id, name=job.name)


def _job(here: Context, job_id: str) -> Job:
    job = here.store.jobs.get(job_id) if EVENT_ID.fullmatch(job_id) else None
    if job is None:
        raise HTTPException(404, "no such analysis")
    return job
