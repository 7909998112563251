"""Thresholds of cameras: moved with a history, taken back, and kept at an alert rate by what people said of events.

Kept: once a day the threshold becomes the lowest that keeps so many alerts a day in the last days' scores, by the rule
of training's calibration. What was dismissed counts as nothing; what was confirmed, relabelled or unsure is cut out,
and so is what nobody has looked at: it speaks neither way. Without enough hours to vouch for the rate nothing moves.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from refinevad.apps.live.clock import DAY_S
from refinevad.apps.live.repeating import repeating
from refinevad.apps.live.storage.database import StorageError
from refinevad.apps.live.storage.quiet_hours import calibrate_camera
from refinevad.apps.live.storage.store import Store
from refinevad.apps.service.audit import AuditLog, By
from refinevad.apps.service.watched_cameras import WatchedCameras
from refinevad.errors import InputError

DAYS = 14.0  # of scores that a kept threshold rests on
EVERY_S = 3600.0  # so often it is looked whether one is due
LEAST_MOVE = 0.005
UNDO, KEPT = "undo", "kept"
_OURSELVES = By("", "kept", "refinevad")


class Thresholds:
    """Moves the thresholds of one service's cameras. Safe to share between threads."""

    def __init__(self, watch: WatchedCameras, store: Store, audit: AuditLog, tell: Callable[[str], None]) -> None:
        self._watch, self._store, self._audit, self._tell = watch, store, audit, tell
        self._kept_at: dict[str, float] = {}  # monotonic

    def move(self, name: str, after: float | None, why: str, who: By) -> None:
        """Put a threshold in force; None: the model's own. Raises InputError where there is no such camera."""
        before = self._watch.own_threshold(name)
        self._watch.set_threshold(name, after)
        try:
            self._store.thresholds.add(name, before, after, why, who.user)
        except StorageError as error:
            self._tell(f"camera {name!r}: its threshold has moved, and storage has no record of it: {error}")

    def undo(self, name: str, who: By) -> None:
        """Take the last move back; a second time it takes that back. Raises InputError where there was none."""
        history = self._store.thresholds.history(name, 1)
        if not history:
            raise InputError(f"the threshold of camera {name!r} has not been moved yet")
        self.move(name, history[0].before, UNDO, who)

    def keep(self, name: str, alerts_per_day: float) -> float | None:
        """Move a camera's threshold to where the last days put it; where to, None where it stays.

        Raises:
            InputError: there are no scores of the model in force.
            StorageError: the database is away.
        """
        camera = self._watch.find(name)
        if camera is None or camera.paused:
            return None
        now = self._store.clock.now()
        found, _ = calibrate_camera(
            self._store,
            name,
            [(now - DAYS * DAY_S, now)],
            alerts_per_day / 24.0,
            camera.status.scored_by,
            self._watch.calibration(name),
            unseen=False,
        )
        before = camera.status.threshold
        if not found.certified or abs(found.threshold - before) < LEAST_MOVE:
            return None
        self.move(name, found.threshold, f"{KEPT} at {alerts_per_day:g} a day", _OURSELVES)
        detail = {"before": before, "after": found.threshold, "alerts_per_day": alerts_per_day}
        self._audit.add(_OURSELVES, "threshold kept", name, **detail)
        return found.threshold

    def keep_all(self) -> None:
        """Those whose day is over; one that cannot be kept now is told of, and left as it is."""
        now = self._store.clock.monotonic()
        for name, alerts_per_day in self._watch.kept().items():
            if now - self._kept_at.get(name, float("-inf")) < DAY_S:
                continue
            try:
                self.keep(name, alerts_per_day)
            except StorageError:
                continue  # told elsewhere; again in an hour
            except InputError as error:
                self._tell(f"camera {name!r}: its threshold cannot be kept yet: {error}")
            self._kept_at[name] = now

    def kept(self) -> AbstractContextManager[None]:
        """Keep thresholds on a thread, now and then."""
        return repeating("thresholds", self.keep_all, EVERY_S, first_s=EVERY_S)
