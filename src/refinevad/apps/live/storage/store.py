"""Storage as the rest of the program sees it: cameras, scores, events with reviews, jobs; and the folder of clips.

store = Store.open(config.storage, config.media)
store.cameras.register("door", address.shown, "runs/mine")
store.scores.add("door", "runs/mine", categories, [ScoreRow(time, length_s, score, category_scores)])
store.events.upsert(EventRecord(...)); store.events.find(camera="door", start=day, end=day + 86400)
"""

from dataclasses import dataclass
from pathlib import Path

from refinevad.apps.live.clock import Clock, SystemClock
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage.cameras import CameraRegistry
from refinevad.apps.live.storage.database import Database
from refinevad.apps.live.storage.event_log import EventLog
from refinevad.apps.live.storage.job_log import JobLog
from refinevad.apps.live.storage.learnt_thresholds import LearntLog
from refinevad.apps.live.storage.logins import LoginLog
from refinevad.apps.live.storage.notices import ScheduleLog, SnoozeLog, TroubleLog
from refinevad.apps.live.storage.people import People
from refinevad.apps.live.storage.score_log import ScoreLog
from refinevad.apps.live.storage.thresholds import ThresholdLog
from refinevad.errors import InputError, RefineVADError

CLIPS, SNAPSHOTS, UPLOADS = "clips", "snapshots", "uploads"
PLAYABLE = "playable"  # clips made anew for browsers; what lies there can be made again
INCOMING = "incoming-"  # how the name of an upload begins that has not come whole


@dataclass(frozen=True)
class Store:
    """Everything stored. Safe to share between threads; every method that meets the database may raise StorageError."""

    database: Database
    media: Path
    clock: Clock
    cameras: CameraRegistry
    scores: ScoreLog
    events: EventLog
    jobs: JobLog
    learnt: LearntLog
    people: People
    logins: LoginLog
    troubles: TroubleLog
    snoozes: SnoozeLog
    schedules: ScheduleLog
    thresholds: ThresholdLog

    @classmethod
    def open(cls, url: Secret, media: Path, clock: Clock | None = None) -> "Store":
        """Connect, bring the schema up to date, and make the media folder.

        Raises:
            InputError: the URL, the database's schema or the folder is at fault.
            StorageError: the database cannot be reached.
        """
        clock = clock or SystemClock()
        database = Database(url)
        try:
            database.migrate()
            for name in (CLIPS, SNAPSHOTS, UPLOADS):
                (media / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            database.close()
            raise InputError(f"media folder {media} cannot be made: {error.strerror}") from error
        except RefineVADError:
            database.close()
            raise
        cameras = CameraRegistry(database, clock)
        return cls(
            database,
            media,
            clock,
            cameras,
            ScoreLog(database, cameras),
            EventLog(database, cameras, clock),
            JobLog(database, clock),
            LearntLog(database, cameras, clock),
            People(database, clock),
            LoginLog(database),
            TroubleLog(database),
            SnoozeLog(database),
            ScheduleLog(database),
            ThresholdLog(database, clock),
        )

    def close(self) -> None:
        self.database.close()

    def media_path(self, relative: str) -> Path:
        """Where a stored path lies. Raises InputError where it leads out of the media folder, links followed."""
        path = (self.media / relative).resolve()
        if not path.is_relative_to(self.media.resolve()):
            raise InputError(f"{relative!r} does not lie in the media folder")
        return path
