"""Messages to people through Apprise: one when an event begins, with its picture and a link; a camera's troubles.

Which are wanted is settled here, when they come: what is not is acknowledged and gone.
"""

import logging
import threading
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

from refinevad.apps.live.clock import Clock, unix
from refinevad.apps.live.delivery.sinks.arming import Arming
from refinevad.apps.live.delivery.sinks.base import DeliveryError
from refinevad.apps.live.envelope import CONTINUES, Envelope, Notice
from refinevad.apps.live.settings.sink_options import NotifyOptions
from refinevad.errors import InputError

_MOST_REASON = 300
_capturing = threading.Lock()  # what Apprise says comes through one logger for all


class NotifySink:
    """One service, for one or several people."""

    def __init__(self, options: NotifyOptions, media: Path, clock: Clock) -> None:
        """Raises InputError where Apprise is missing, does not know the address, or the schedule is none."""
        where = f"sink {options.name!r}"
        try:
            apprise: Any = import_module("apprise")  # half of it is untyped
        except ImportError as error:
            raise InputError(f"{where} needs apprise; pip install 'refinevad[notify]'") from error
        self.name, self._options, self._media, self._clock = options.name, options, media, clock
        self._configured = self._arming = Arming(options.hours, options.days, where)
        self._apprise = apprise
        self._service = apprise.Apprise()
        with _capturing, apprise.LogCapture(level=logging.ERROR) as said:  # it would print the address otherwise
            known = self._service.add(options.url.reveal())
            _ = said.getvalue()
        if not known:
            raise InputError(
                f"{where}: Apprise knows no service by this url; see https://github.com/caronc/apprise/wiki"
            )
        self._next: dict[str, float] = {}  # of each camera, the monotonic second from which on it may be told of
        self._passed: dict[str, int] = {}  # events of each camera since its last message
        self._snoozed_until = 0.0  # Unix second

    @property
    def snoozed_until(self) -> float:
        """Unix second until which nothing is sent; 0: it is not snoozed."""
        return self._snoozed_until if self._snoozed_until > self._clock.now() else 0.0

    def snooze(self, until: float) -> None:
        """Send nothing until a Unix second; one that is over ends the snooze."""
        self._snoozed_until = until

    @property
    def arming(self) -> Arming:
        return self._arming

    @property
    def armed(self) -> bool:
        return self._arming.armed(_local(self._clock.now()))

    def arm(self, hours: str | None, days: tuple[str, ...] | None) -> None:
        self._arming = self._configured if hours is None else Arming(hours, days, f"sink {self.name!r}")

    def deliver(self, envelope: Envelope) -> None:
        if envelope["kind"] != "new" or (envelope["reason"] or "").startswith(CONTINUES):
            return
        options, after, camera = self._options, envelope["after"], envelope["camera"]
        began = unix(after["start_time"])
        wanted = options.categories is None or after["category"] in options.categories
        if not wanted or after["peak"] < options.least_score or not self._wants(began):
            return
        if self._clock.monotonic() < self._next.get(camera, 0.0):
            self._passed[camera] = self._passed.get(camera, 0) + 1
            return
        what = after["category"].replace("_", " ")
        lines = [f"{camera}: {what}, score {after['peak']:.2f}, {_local(began):%a %d %b %H:%M:%S}"]
        if passed := self._passed.get(camera, 0):
            lines.append(f"{passed} more since the last message of this camera.")
        if options.page:
            lines.append(f"{options.page.rstrip('/')}/#/review/{quote(envelope['event_id'])}")
        self._send(f"{what} at {camera}", "\n".join(lines), envelope["snapshot"], self._apprise.NotifyType.WARNING)
        self._next[camera] = self._clock.monotonic() + options.cooldown_s
        self._passed.pop(camera, None)

    def tell(self, notice: Notice) -> None:
        if not self._options.troubles or not self._wants(self._clock.now()):
            return
        over = notice["kind"] == "cleared"
        kind = self._apprise.NotifyType.SUCCESS if over else self._apprise.NotifyType.FAILURE
        text = f"{'over: ' if over else ''}{notice['text']} (since {_local(unix(notice['since'])):%a %d %b %H:%M})"
        self._send(f"{notice['camera']}: {notice['trouble']}{' is over' if over else ''}", text, None, kind)

    def test(self) -> str:
        """Send a message now, whatever is snoozed or disarmed; what came back where it was not taken, else empty."""
        try:
            self._send("refinevad: a test", "Messages of events arrive here.", None, self._apprise.NotifyType.INFO)
        except DeliveryError as error:
            return str(error)
        return ""

    def close(self) -> None:
        pass

    def _wants(self, second: float) -> bool:
        return self._arming.armed(_local(second)) and not self.snoozed_until

    def _send(self, title: str, body: str, picture: str | None, kind: str) -> None:
        """Raises DeliveryError with what Apprise said."""
        path = self._media / picture if picture is not None and self._options.snapshot else None
        attached = [str(path)] if path is not None and path.is_file() else None  # retention may have been first
        with _capturing, self._apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:
            taken = self._service.notify(title=title, body=body, attach=attached, notify_type=kind)
            lines = [line for line in said.getvalue().splitlines() if line.strip()]
        if not taken:
            reason = " ".join(lines).replace(self._options.url.reveal(), "***")[-_MOST_REASON:]
            raise DeliveryError(f"the message was not taken: {reason or 'no reason was given'}")


def _local(second: float) -> datetime:
    return datetime.fromtimestamp(second).astimezone()
