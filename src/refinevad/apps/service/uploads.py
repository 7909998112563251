"""An uploaded body -> a file under a generated name: bounded while it comes, looked at before it counts."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import HTTPException
from starlette.requests import ClientDisconnect

from refinevad.apps.live.records import Job
from refinevad.apps.live.store import UPLOADS, Store
from refinevad.apps.service.probing import probe_upload
from refinevad.apps.service.settings import ServiceSettings
from refinevad.errors import InputError

LEAST_FREE_BYTES = 500_000_000  # left on the disk: events and scores need room too


async def receive_upload(
    store: Store, settings: ServiceSettings, name: str, stated: int | None, body: AsyncIterator[bytes]
) -> Job:
    """Store a body and make its job.

    Answers 413 where it is too large, 507 where the disk would fill, 415 where it is no video, 422 where it is too
    long.
    """
    if stated is not None and stated > settings.upload_bytes:
        raise HTTPException(413, _too_large(settings))
    part = store.media / UPLOADS / f"incoming-{uuid.uuid4().hex}"
    try:
        await _receive(part, settings, body)
        return await asyncio.to_thread(_accept, store, settings, name, part)
    finally:
        part.unlink(missing_ok=True)


async def _receive(part: Path, settings: ServiceSettings, body: AsyncIterator[bytes]) -> None:
    received = 0
    with part.open("wb") as file:
        try:
            async for chunk in body:
                received += len(chunk)
                if received > settings.upload_bytes:
                    raise HTTPException(413, _too_large(settings))
                space = os.statvfs(part.parent)
                if space.f_bavail * space.f_frsize < LEAST_FREE_BYTES:
                    raise HTTPException(507, "the service's disk is nearly full; free some space and upload again")
                await asyncio.to_thread(file.write, chunk)
        except ClientDisconnect as error:
            raise HTTPException(400, "the upload broke off") from error
    if not received:
        raise HTTPException(400, "the upload is empty; send the file as the request's body")


def _accept(store: Store, settings: ServiceSettings, name: str, part: Path) -> Job:
    try:
        probed = probe_upload(part, settings.probe_s)
    except InputError as error:
        raise HTTPException(415, str(error)) from error
    if probed.duration_s > settings.upload_s:
        hours = settings.upload_s / 3600
        raise HTTPException(422, f"the video lasts longer than {hours:g} hours; cut it and upload the parts")
    job = store.jobs.create(_shown(name), probed.suffix)
    part.rename(store.media / UPLOADS / job.file)
    return job


def _shown(name: str) -> str:
    """A file's name as people may see it: no folders, no control characters, not long."""
    plain = "".join(letter for letter in name.replace("\\", "/").rpartition("/")[2] if letter.isprintable())
    return plain.strip()[:120] or "video"


def _too_large(settings: ServiceSettings) -> str:
    return f"the file is larger than {settings.upload_bytes / 1e6:.0f} MB; cut or compress it and upload that"
