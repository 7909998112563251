"""Cameras: listing, adding, removing, pausing, thresholds, the newest picture, and calibration on quiet hours."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response

from refinevad.apps.live.clock import iso
from refinevad.apps.live.settings.addresses import Address, parse_address, require_pair
from refinevad.apps.live.settings.config import NAME, CameraConfig
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage.quiet_hours import calibrate_camera
from refinevad.apps.service.audit import By
from refinevad.apps.service.camera_edit import edited
from refinevad.apps.service.context import Context, Here, Who
from refinevad.apps.service.roles import needs
from refinevad.apps.service.schemas import (
    CalibrationIn,
    CalibrationOut,
    CameraChange,
    CameraOut,
    LearntOut,
    NewCamera,
    ThresholdMoveOut,
    ThresholdsOut,
    ZonesDocument,
)
from refinevad.errors import InputError

router = APIRouter(prefix="/cameras", tags=["cameras"])
MOST_CAMERAS = 64


@router.get("", **needs("viewer"))
def list_cameras(here: Here) -> list[CameraOut]:
    """All cameras, in the order in which they were configured or added."""
    return [CameraOut.of(camera) for camera in here.watch.cameras()]


@router.post("", status_code=201, **needs("admin"))
def add_camera(here: Here, who: Who, new: NewCamera) -> CameraOut:
    """Watch another camera, now and after a restart."""
    if not NAME.fullmatch(new.name):
        raise InputError(f"camera name {new.name!r}: use at most 64 letters, digits, space, - _ .")
    if here.watch.find(new.name) is not None:
        raise HTTPException(409, f"a camera is already called {new.name!r}; choose another name")
    if len(here.watch.cameras()) >= MOST_CAMERAS:
        raise InputError(f"one service watches at most {MOST_CAMERAS} cameras; remove one, or start another service")
    secret = Secret(new.password) if new.password else None
    source = parse_address(new.source, roots=here.settings.roots, username=new.username or None, password=secret)
    main = None
    if new.main is not None:
        main = require_pair(source, edited(new.main, [source], roots=here.settings.roots))
    for address in (source, main):
        if address is not None:
            address.require_allowed()
    here.watch.add(new.name, source, new.threshold, main, new.record)
    here.audit.add(who, "camera added", new.name, threshold=new.threshold, **_streams(source, main))
    return CameraOut.of(here.camera(new.name))


@router.get("/{name}", **needs("viewer"))
def get_camera(here: Here, name: str) -> CameraOut:
    return CameraOut.of(here.camera(name))


@router.patch("/{name}", **needs("admin"))
def change_camera(here: Here, who: Who, name: str, change: CameraChange) -> CameraOut:
    """Pause, resume, or move the threshold; it stays so after a restart."""
    before = here.camera(name)
    if change.paused is not None:
        (here.watch.pause if change.paused else here.watch.resume)(name)
        if change.paused != before.paused:
            here.audit.add(who, "camera paused" if change.paused else "camera resumed", name)
    if "kept_alerts_per_day" in change.model_fields_set:
        here.watch.set_kept(name, change.kept_alerts_per_day)
        here.audit.add(who, "threshold to be kept", name, alerts_per_day=change.kept_alerts_per_day)
    if "threshold" in change.model_fields_set:
        here.thresholds.move(name, change.threshold, "by hand", who)
        here.audit.add(who, "threshold set", name, before=before.status.threshold, after=change.threshold)
    if change.touches_streams:
        _change_streams(here, who, before.config, change)
    return CameraOut.of(here.camera(name))


def _change_streams(here: Context, who: By, camera: CameraConfig, change: CameraChange) -> None:
    """Other addresses, another login, or recording turned on or off."""
    known = [address for address in (camera.source, camera.main) if address is not None]
    means = partial(edited, roots=here.settings.roots, username=change.username, password=change.password)
    source = means(change.source or camera.source.shown, known)
    main = camera.main
    if "main" in change.model_fields_set:
        main = None if change.main is None else means(change.main, [source, *known])
    elif main is not None and change.username:
        main = means(main.shown, known)
    for address in (source, main):
        if address is not None and address not in known:
            address.require_allowed()
    if main is not None:
        require_pair(source, main)
    record = camera.record if change.record is None else change.record
    if (source, main, record) == (camera.source, camera.main, camera.record):
        return
    here.watch.set_streams(camera.name, source, main, record)
    before, after = _streams(camera.source, camera.main), _streams(source, main)
    detail = {"before": {**before, "record": camera.record}, "after": {**after, "record": record}}
    here.audit.add(who, "camera changed", camera.name, **detail, login=bool(change.username))


def _streams(source: Address, main: Address | None) -> dict[str, str]:
    """What may be shown of a camera's addresses."""
    return {"source": source.shown, **({} if main is None else {"main": main.shown})}


@router.delete("/{name}", status_code=204, **needs("admin"))
def remove_camera(here: Here, who: Who, name: str) -> None:
    """Stop watching a camera; its events and scores are kept."""
    here.camera(name)
    here.watch.remove(name)
    here.audit.add(who, "camera removed", name)


@router.get(
    "/{name}/preview.jpg", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}}, **needs("viewer")
)
def preview(here: Here, name: str) -> Response:
    """The newest picture; 404 while there is none."""
    picture = None if here.camera(name).paused else here.watch.engine.preview(name)
    if picture is None:
        raise HTTPException(404, "no picture has come yet")
    return Response(picture.jpeg, media_type="image/jpeg", headers={"x-refinevad-time": iso(picture.time)})


@router.get("/{name}/zones", **needs("viewer"))
def get_zones(here: Here, name: str) -> ZonesDocument:
    """Masks and zones of the picture."""
    here.camera(name)
    return ZonesDocument.of(here.watch.zones(name))


@router.put("/{name}/zones", **needs("admin"))
def set_zones(here: Here, who: Who, name: str, new: ZonesDocument) -> CameraOut:
    """Other masks and zones, from now on and after a restart; an open event ends, and the source is opened again."""
    here.camera(name)
    zones = new.zones()
    here.watch.set_zones(name, zones)
    names = {kind: [area["name"] for area in areas] for kind, areas in zones.as_dict().items()}
    here.audit.add(who, "zones set", name, **names)
    return CameraOut.of(here.camera(name))


@router.get("/{name}/learnt", **needs("viewer"))
def learnt_thresholds(here: Here, name: str) -> list[LearntOut]:
    """Thresholds that were learnt of the camera's own quiet hours, newest first."""
    here.camera(name)
    return [
        LearntOut(time=iso(one.time), threshold=one.threshold, quiet_hours=round(one.quiet_hours, 2))
        for one in reversed(here.store.learnt.of(name))
    ]


@router.get("/{name}/thresholds", **needs("viewer"))
def threshold_history(here: Here, name: str, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> ThresholdsOut:
    """How a camera's threshold was moved, and at what rate it is kept."""
    here.camera(name)
    moves = [ThresholdMoveOut.of(move) for move in here.store.thresholds.history(name, limit)]
    return ThresholdsOut(kept_alerts_per_day=here.watch.kept().get(name), moves=moves)


@router.post("/{name}/thresholds/undo", **needs("admin"))
def undo_threshold(here: Here, who: Who, name: str) -> CameraOut:
    """Take the last move of a threshold back."""
    before = here.camera(name).status.threshold
    here.thresholds.undo(name, who)
    now = here.camera(name)
    here.audit.add(who, "threshold taken back", name, before=before, after=now.status.threshold)
    return CameraOut.of(now)


@router.post("/{name}/calibration", **needs("admin"))
def calibrate(here: Here, who: Who, name: str, wanted: CalibrationIn) -> CalibrationOut:
    """The threshold that would have kept the alert rate in this camera's own quiet hours, by its stored scores."""
    before = here.camera(name)
    quiet = [(stretch.start.timestamp(), stretch.end.timestamp()) for stretch in wanted.quiet]
    rate, model = wanted.alerts_per_hour, here.watch.calibration(name)
    found, left_out = calibrate_camera(here.store, name, quiet, rate, before.status.scored_by, model)
    if wanted.apply:
        here.thresholds.move(name, found.threshold, "quiet hours", who)
        detail = {"before": before.status.threshold, "after": found.threshold}
        here.audit.add(who, "threshold set", name, **detail, alerts_per_hour=wanted.alerts_per_hour)
    return CalibrationOut(
        threshold=found.threshold,
        low_threshold=found.low_threshold,
        alerts_per_hour=found.alerts_per_hour,
        certified=found.certified,
        quiet_hours=found.normal_hours,
        left_out_events=left_out,
        applied=wanted.apply,
    )
