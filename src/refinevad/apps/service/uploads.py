"""An uploaded body -> a file under a generated name: bounded while it comes, looked at before it counts."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from fastapi import HTTPException
from starlette.requests import ClientDisconnect

from refinevad.apps.live.storage.records import Job
from refinevad.apps.live.storage.store import INCOMING, UPLOADS, Store
from refinevad.apps.service.probing import probe_upload
from refinevad.apps.service.settings import ServiceSettings
from refinevad.errors import InputError

_LOOK_EACH_BYTES = 16_000_000  # of one upload, between two looks at how much room there is
_SLOWEST_BYTES_S, _PATIENCE_S = 10_000, 60.0
LEAST_FREE_BYTES = 500_000_000  # left on the disk: events and scores need room too


async def receive_upload(
    store: Store, settings: ServiceSettings, name: str, stated: int | None, body: AsyncIterator[bytes]
) -> Job:
    """Store a body and make its job.

    Answers 413 where it is too large, 408 where it stalls, 507 where the disk or the room for uploads would be
    overfilled, 415 where it is no video, 422 where it is too long or too much work.
    """
    if stated is not None and stated > settings.upload_bytes:
        raise HTTPException(413, _too_large(settings))
    await asyncio.to_thread(make_room, store, settings, stated or 0)
    part = store.media / UPLOADS / f"{INCOMING}{uuid.uuid4().hex}"
    try:
        await _receive(part, store, settings, body)
        return await asyncio.to_thread(_accept, store, settings, name, part)
    finally:
        part.unlink(missing_ok=True)


async def _receive(part: Path, store: Store, settings: ServiceSettings, body: AsyncIterator[bytes]) -> None:
    received, looked, began = 0, 0, time.monotonic()
    with part.open("wb") as file:
        async for chunk in _in_time(body, settings.upload_idle_s):
            received += len(chunk)
            if received > settings.upload_bytes:
                raise HTTPException(413, _too_large(settings))
            if received < _SLOWEST_BYTES_S * (time.monotonic() - began - _PATIENCE_S):
                raise HTTPException(408, f"the upload is slower than {_SLOWEST_BYTES_S // 1000} kB a second")
            if received - looked >= _LOOK_EACH_BYTES:
                looked = received
                await asyncio.to_thread(make_room, store, settings, _LOOK_EACH_BYTES)
            space = os.statvfs(part.parent)
            if space.f_bavail * space.f_frsize < LEAST_FREE_BYTES:
                raise HTTPException(507, "the service's disk is nearly full; free some space and upload again")
            await asyncio.to_thread(file.write, chunk)
    if not received:
        raise HTTPException(400, "the upload is empty; send the file as the request's body")
    await asyncio.to_thread(make_room, store, settings, 0)


async def _in_time(body: AsyncIterator[bytes], idle_s: float) -> AsyncIterator[bytes]:
    """The pieces of a body; answers 408 where none comes for so long, 400 where it breaks off."""
    pieces = aiter(body)
    while True:
        try:
            async with asyncio.timeout(idle_s):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise HTTPException(408, f"nothing of the upload came for {idle_s:g} s") from error
        except ClientDisconnect as error:
            raise HTTPException(400, "the upload broke off") from error
        yield piece


def make_room(store: Store, settings: ServiceSettings, wanted: int) -> None:
    """Delete the oldest uploads that are analysed, until `wanted` bytes more fit. Answers 507 where they do not."""
    files = []
    for path in (store.media / UPLOADS).iterdir():
        with suppress(FileNotFoundError):  # it was deleted, or got its name, just now
            facts = path.stat()
            files.append((facts.st_mtime, facts.st_size, path))
    busy = {job.file for job in store.jobs.unfinished()}  # after the list: what is in it has its job by now
    over = sum(size for _, size, _ in files) + wanted - settings.uploads_bytes
    for _, size, path in sorted(files):
        if over <= 0:
            return
        if path.name not in busy and not path.name.startswith(INCOMING):
            path.unlink(missing_ok=True)
            over -= size
    if over > 0:
        raise HTTPException(507, "uploads that wait for their analysis fill the room there is; try again later")


def _accept(store: Store, settings: ServiceSettings, name: str, part: Path) -> Job:
    try:
        probed = probe_upload(part, settings.probe_s, settings.upload_pixels)
    except InputError as error:
        raise HTTPException(415, str(error)) from error
    if probed.duration_s > settings.upload_s:
        hours = settings.upload_s / 3600
        raise HTTPException(422, f"the video lasts longer than {hours:g} hours; cut it and upload the parts")
    if probed.work > settings.upload_work:
        most = f"{probed.work / 1e9:.0f} of {settings.upload_work / 1e9:.0f} gigapixels"
        raise HTTPException(422, f"the video is too much work ({most}); cut it, or scale it down")
    job = store.jobs.create(_shown(name), probed.suffix)
    part.rename(store.media / UPLOADS / job.file)
    return job


def _shown(name: str) -> str:
    """A file's name as people may see it: no folders, no control characters, not long."""
    plain = "".join(letter for letter in name.replace("\\", "/").rpartition("/")[2] if letter.isprintable())
    return plain.strip()[:120] or "video"


def _too_large(settings: ServiceSettings) -> str:
    return f"the file is larger than {settings.upload_bytes / 1e6:.0f} MB; cut or compress it and upload that"
