"""A look at a camera before it is saved: what it sends, or why nothing comes."""

from dataclasses import asdict

from fastapi import APIRouter, HTTPException

from refinevad.apps.live.settings.addresses import suggested
from refinevad.apps.service.camera_edit import edited
from refinevad.apps.service.camera_probe import NotSeen, probe_camera
from refinevad.apps.service.context import Here, Who
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import CameraTest, CameraTestOut, SeenOut
from refinevad.errors import InputError

router = APIRouter(prefix="/cameras", tags=["cameras"])
FLUENT = frozenset(("h264",))  # what the large view plays without encoding it anew


@router.post("/test", **needs("admin"))
def test_camera(here: Here, who: Who, wanted: CameraTest) -> CameraTestOut:
    """Open an address, once, and say what comes. Nothing is kept. Two at a time, of which 429 tells the third."""
    known = []
    if wanted.camera is not None:
        config = here.camera(wanted.camera).config
        known = [address for address in (config.source, config.main) if address is not None]
    whole = suggested(wanted.source)
    try:
        address = edited(
            wanted.source.strip(),
            known,
            roots=here.settings.roots,
            username=wanted.username,
            password=wanted.password,
        )
        address.require_allowed()
    except InputError as error:
        return CameraTestOut(kind="address", error=str(error), suggestion=whole)
    if not here.looking.acquire(blocking=False):
        raise HTTPException(429, "two cameras are being tested already; try again when that is done")
    try:
        found = probe_camera(address)
    finally:
        here.looking.release()
    here.audit.add(who, "camera tested", wanted.camera or "", source=address.shown, seen=not isinstance(found, NotSeen))
    if isinstance(found, NotSeen):
        return CameraTestOut(kind=found.kind, error=found.error)
    return CameraTestOut(seen=SeenOut(**asdict(found), fluent=found.codec in FLUENT))
