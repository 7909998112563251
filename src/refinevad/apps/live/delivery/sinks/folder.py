"""A folder an event: <camera>/<day>/<event id>/ with event.json, snapshot and clip. Each file whole or absent."""

import json
import shutil
from pathlib import Path

from refinevad.apps.live.delivery.sinks.base import DeliveryError, RefusedError
from refinevad.apps.live.envelope import Envelope, Notice, told_span
from refinevad.apps.live.settings.config import NAME
from refinevad.apps.live.storage.event_log import EVENT_ID
from refinevad.errors import InputError
from refinevad.files.whole import atomic_write


class FolderSink:
    """event.json holds the event's latest envelope; the day is that of its start, in UTC."""

    def __init__(self, name: str, folder: Path, media: Path) -> None:
        self.name, self._folder, self._media = name, folder, media

    def deliver(self, envelope: Envelope) -> None:
        if not NAME.fullmatch(envelope["camera"]) or not EVENT_ID.fullmatch(envelope["event_id"]):
            raise RefusedError(
                f"camera {envelope['camera']!r} or event {envelope['event_id']!r} is no name for a folder"
            )
        day = told_span(envelope["after"])[0][:10]
        place = self._folder / envelope["camera"] / day / envelope["event_id"]
        missing = self._copy_files(envelope, place)
        try:  # without its files too, where the disk is too full for them: it is known sooner
            with atomic_write(place / "event.json") as partial:
                partial.write_text(json.dumps(envelope, ensure_ascii=False, indent=1), encoding="utf-8")
        except InputError as error:  # the disk is full or gone: it may come back
            raise DeliveryError(str(error)) from error
        if missing:
            raise DeliveryError(missing)

    def tell(self, notice: Notice) -> None:
        """One file for each trouble, in <camera>/troubles; once it is over it says so."""
        if not NAME.fullmatch(notice["camera"]) or not EVENT_ID.fullmatch(notice["event_id"]):
            raise RefusedError(f"camera {notice['camera']!r} is no name for a folder")
        place = self._folder / notice["camera"] / "troubles" / f"{notice['event_id']}.json"
        try:
            with atomic_write(place) as partial:
                partial.write_text(json.dumps(notice, ensure_ascii=False, indent=1), encoding="utf-8")
        except InputError as error:
            raise DeliveryError(str(error)) from error

    def _copy_files(self, envelope: Envelope, place: Path) -> str:
        """Why one of an event's files could not be copied; empty where all could."""
        missing = ""
        for stem, path in (("snapshot", envelope["snapshot"]), ("clip", envelope["clip"])):
            try:
                if path is not None:
                    self._copy(path, place, stem)
            except (InputError, OSError) as error:
                missing = str(error)
        return missing

    def _copy(self, path: str, place: Path, stem: str) -> None:
        source = (self._media / path).resolve()
        if not source.is_relative_to(self._media.resolve()):
            raise RefusedError(f"{path!r} does not lie in the media folder")
        if source.is_file():  # retention may have been there first
            with atomic_write(place / f"{stem}{source.suffix}") as partial:
                shutil.copyfile(source, partial)

    def close(self) -> None:
        pass
