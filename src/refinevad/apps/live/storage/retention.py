"""What is deleted, and when.

By age: scores after `scores_days`, finished jobs with their uploads after `jobs_days`, events with their files and
what was wrong with cameras after `events_days`, and events that someone has reviewed after `reviewed_days` where that
is longer: a review is a training label. Events that are still open are never touched.

By size: when clips and snapshots hold more than `media_gb`, files go, oldest first: first those no reviewed event
needs (files nobody refers to count as such once they are an hour old), and only when none of these is left,
those of reviewed events. Uploads have `uploads_gb` of their own, so that none can take a clip's place; of them the
oldest that are analysed go. Their rows stay until their age comes. The database itself is bounded by age alone:
about 9 MB a day and camera with 13 categories.

Continuous recordings have `recordings_days` and `recordings_gb`, of all cameras together; of more the oldest go.

Files are deleted before the rows that name them: a crash in between leaves a row without a file, which the next run
mends, and never a file without a row. Age is measured from an anchor taken at the start (clock.py): a wall
clock set forward by mistake deletes nothing, as long as the program runs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from refinevad.apps.live.clock import DAY_S, Anchor
from refinevad.apps.live.settings.config import RetentionConfig
from refinevad.apps.live.storage.recordings import RECORDINGS, Recordings
from refinevad.apps.live.storage.store import INCOMING, PLAYABLE, UPLOADS, Store

ORPHAN_S = 3_600.0  # a clip may be written a while before its event is stored


@dataclass(frozen=True)
class MediaFile:
    """A file in the media folder, when it came, whether it may go, and whether a reviewed event needs it."""

    path: str
    bytes: int
    time: float
    event: str | None = None
    reviewed: bool = False
    deletable: bool = True


@dataclass(frozen=True)
class RetentionReport:
    """What a run deleted; `stuck` files could not be."""

    scores: int = 0
    events: int = 0
    jobs: int = 0
    files: int = 0
    stuck: int = 0


def over_limit(files: Iterable[MediaFile], limit_bytes: float) -> list[MediaFile]:
    """The files to delete so that at most `limit_bytes` are left: unreviewed before reviewed, oldest first, no more
    than it takes. What may not go counts in the size all the same."""
    files = list(files)
    excess = sum(file.bytes for file in files) - limit_bytes
    chosen = []
    for file in sorted((file for file in files if file.deletable), key=lambda f: (f.reviewed, f.time, f.path)):
        if excess <= 0:
            break
        chosen.append(file)
        excess -= file.bytes
    return chosen


def playable(event: str) -> str:
    """Where an event's clip lies that was made anew for browsers, if it was: in the media folder."""
    return f"{PLAYABLE}/{event}.mp4"


class Retention:
    """Deletes what is due; to be run every so often."""

    def __init__(self, store: Store, config: RetentionConfig) -> None:
        self._store, self._config = store, config
        self._anchor = Anchor(store.clock)
        self._stuck: set[Path] = set()
        self._deleted = 0

    def run(self) -> RetentionReport:
        """One round. Raises StorageError where the database is away; the next round goes on."""
        self._deleted, self._stuck = 0, set()
        clock = self._store.clock
        now = min(clock.now(), self._anchor.wall(clock.monotonic()))
        scores = self._store.scores.delete_before(now - self._config.scores_days * DAY_S)
        events, jobs = self._expire_events(now), self._expire_jobs(now)
        self._store.troubles.delete_before(now - self._config.events_days * DAY_S)
        self._shrink(now)
        self._store.database.reclaim()
        return RetentionReport(scores, events, jobs, self._deleted, len(self._stuck))

    def shrink_recordings(self) -> int:
        """Delete of the continuous recordings what is too old or too much; to be run every minute. How many files."""
        clock, config = self._store.clock, self._config
        now = min(clock.now(), self._anchor.wall(clock.monotonic()))
        recordings = Recordings(self._store.media)
        return recordings.expire(now, config.recordings_days, config.recordings_gb)

    def _expire_events(self, now: float) -> int:
        config, log, expired = self._config, self._store.events, 0
        for reviewed, days in ((False, config.events_days), (True, max(config.events_days, config.reviewed_days))):
            for event in log.ended_before(now - days * DAY_S, reviewed):
                if all(self._unlink(path) for path in (event.clip, event.snapshot, playable(event.id)) if path):
                    log.delete(event.id)
                    expired += 1
        return expired

    def _expire_jobs(self, now: float) -> int:
        expired = 0
        for job in self._store.jobs.finished_before(now - self._config.jobs_days * DAY_S):
            if self._unlink(f"{UPLOADS}/{job.file}"):
                self._store.jobs.delete(job.id)
                expired += 1
        return expired

    def _shrink(self, now: float) -> None:
        """Keep the folder under its limit, by what lies in it."""
        touched: set[str] = set()
        clips, uploads = self._media_files(now)
        most, most_uploads = self._config.media_gb * 1e9, self._config.uploads_gb * 1e9
        for file in (*over_limit(clips, most), *over_limit(uploads, most_uploads)):
            if self._unlink(file.path) and file.event is not None:
                touched.add(file.event)
        for event in touched:
            found = self._store.events.get(event)
            if found and not any(self._exists(path) for path in (found.event.clip, found.event.snapshot)):
                self._store.events.drop_files(event)

    def _media_files(self, now: float) -> tuple[list[MediaFile], list[MediaFile]]:
        """What lies in the folder: clips with snapshots and files of nobody, and uploads."""
        owners = {
            path: owner
            for owner in self._store.events.with_files()
            for path in (owner.event.clip, owner.event.snapshot)
            if path
        }
        places = list(self._store.media.rglob("*"))
        busy = {f"{UPLOADS}/{job.file}" for job in self._store.jobs.unfinished()}  # after what lies there was listed
        files, uploads = list[MediaFile](), list[MediaFile]()
        for place in places:
            if not place.is_file() or place.is_symlink():
                continue
            path, facts = place.relative_to(self._store.media).as_posix(), place.stat()
            owner, old = owners.get(path), now - facts.st_mtime > ORPHAN_S
            if path.startswith(f"{RECORDINGS}/"):
                continue  # bounded by themselves
            if path.startswith(f"{UPLOADS}/"):
                free = path not in busy and (old or not place.name.startswith(INCOMING))
                uploads.append(MediaFile(path, facts.st_size, facts.st_mtime, deletable=free))
            elif owner is None:
                files.append(MediaFile(path, facts.st_size, facts.st_mtime, deletable=old))
            else:
                over = owner.event.state in ("ended", "closed-by-restart")
                reviewed = owner.review is not None
                files.append(MediaFile(path, facts.st_size, owner.event.start, owner.event.id, reviewed, over))
        return files, uploads

    def _exists(self, path: str | None) -> bool:
        return path is not None and self._store.media_path(path).exists()

    def _unlink(self, path: str) -> bool:
        """Delete a file of the media folder; True where it is gone now."""
        place = self._store.media_path(path)
        try:
            existed = place.exists()
            place.unlink(missing_ok=True)
        except OSError:
            self._stuck.add(place)
            return False
        self._deleted += existed
        return True
