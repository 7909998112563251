"""The engine's record of one camera: what waits to be scored, what has been counted, what it is doing."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from refinevad.apps.live.capture.messages import Aside, Ended, Gap, Opened, Picture, Pulse, Segment
from refinevad.apps.live.clock import Clock
from refinevad.apps.live.engine.fleet import Died, News
from refinevad.apps.live.engine.live_model import LiveModel
from refinevad.apps.live.engine.track import CameraTrack
from refinevad.apps.live.health import Health
from refinevad.apps.live.settings.config import CameraConfig
from refinevad.apps.live.status import CameraState, CameraStatus, Latency, Learning, Preview
from refinevad.video.masks import share_hidden

RATE_OVER_S = 5.0


@dataclass
class Task:
    """Something for the scoring thread to do between two segments."""

    action: Callable[[], None]
    done: threading.Event = field(default_factory=threading.Event)


class RateMeter:
    """Events a second over the last seconds; monotonic. Added to by one thread, asked by others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()
        self._since = clock.monotonic()
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._seen.append((self._clock.monotonic(), count))

    def rate(self) -> float:
        now = self._clock.monotonic()
        with self._lock:
            while self._seen and self._seen[0][0] < now - RATE_OVER_S:
                self._seen.popleft()
            seen = sum(count for _, count in self._seen)
        return seen / max(min(RATE_OVER_S, now - self._since), 1.0)


class Camera:
    """One camera. `hear` is called under the roster's lock, as are `status` and the reading of `inbox`.

    Of segments that wait the oldest goes where there are more than `queue_segments`, its pictures with it, and its
    frames are counted; a recording read `fast` waits instead (`has_room`).
    """

    def __init__(
        self,
        config: CameraConfig,
        model: LiveModel,
        track: CameraTrack,
        clock: Clock,
        *,
        queue_segments: int,
        fast: bool,
    ) -> None:
        self.config, self.base, self.track, self._clock = config, model, track, clock
        self._queue_segments, self._fast = queue_segments, fast
        self.inbox: deque[News | Task] = deque()
        self.queued = 0
        self.recording = not config.source.live
        self.state: CameraState = "starting"
        self.reason, self.since = "", clock.now()
        self.finished = False  # it has ended and all is told
        self.health = Health()
        self.size = (0, 0)
        self.frames_in = self.frames_scored = self.frames_dropped = 0
        self.damaged = self.reconnects = self.restarts = 0
        self._in, self._scored = RateMeter(clock), RateMeter(clock)
        self.preview: Preview | None = None
        self.learning: Learning | None = None
        self.aside = ""

    @property
    def has_room(self) -> bool:
        """Whether more can be taken without something being dropped, where that is asked for."""
        return not (self._fast and self.recording) or self.queued < self._queue_segments

    def hear(self, news: News) -> None:
        """Take what came from the camera's process; counts at once, the rest when its turn comes."""
        if isinstance(news, Pulse):
            self._count(news)
            if self.state == "starting":
                self.change("connecting")
            return
        if isinstance(news, Aside):
            self.aside = news.text
        elif isinstance(news, Picture):
            self.preview = Preview(news.jpeg, self.track.wall_of(news))
        elif isinstance(news, Opened):
            self.recording, self.size = news.recording, (news.width, news.height)
        elif isinstance(news, Died):
            self.restarts += 1
        elif isinstance(news, Segment):
            self.queued += 1
            if self.queued > self._queue_segments and self.has_room:
                self._drop_oldest()
        self.inbox.append(news)

    def _count(self, pulse: Pulse) -> None:
        self.frames_in += pulse.frames
        self.frames_dropped += pulse.dropped
        self.damaged += pulse.damaged
        self.reconnects += pulse.reconnects
        self.size = (pulse.width, pulse.height)
        self._in.add(pulse.frames)

    def _drop_oldest(self) -> None:
        """One segment and the small pictures before it, which would hold up what comes after; other news stays."""
        kept: list[News | Task] = []
        while self.inbox:
            item = self.inbox.popleft()
            if isinstance(item, Segment):
                self.queued -= 1
                self.frames_dropped += item.frames
                break
            if not isinstance(item, Picture):
                kept.append(item)
        self.inbox.extendleft(reversed(kept))

    def forget_segments(self) -> None:
        """Drop what waits: its pixels are not what the next model needs."""
        while self.queued:
            self._drop_oldest()

    def begin_anew(self) -> None:
        """Its address is another: what it was known for is over, and what had ended begins."""
        self.recording, self.finished = not self.config.source.live, False
        self.health, self.preview, self.aside = Health(), None, ""
        self.change("starting")

    def take(self, most: int) -> list[News | Task]:
        """Up to `most` items from the front; a task comes alone, as it may change what scores the next ones."""
        taken: list[News | Task] = []
        while self.inbox and len(taken) < most:
            if isinstance(self.inbox[0], Task) and taken:
                break
            item = self.inbox.popleft()
            self.queued -= isinstance(item, Segment)
            taken.append(item)
            if isinstance(item, Task):
                break
        return taken

    def scored(self, frames: int) -> None:
        self.frames_scored += frames
        self._scored.add(frames)

    def change(self, state: CameraState, reason: str = "") -> bool:
        """Come into a state; whether anything is new."""
        if (state, reason) == (self.state, self.reason):
            return False
        self.state, self.reason, self.since = state, reason, self._clock.now()
        return True

    def follow(self, news: News) -> bool:
        """Come into the state that news brings, when its turn has come; whether anything is new."""
        if isinstance(news, Opened):
            return self.change("live")
        if isinstance(news, Gap) and news.retry_s:
            return self.change("waiting", news.reason)
        if isinstance(news, Gap) and news.lasting:
            return self.change("live", news.reason)
        if isinstance(news, Died):
            return self.change("waiting", news.reason)
        if isinstance(news, Ended):
            return self.change("failed", news.reason) if news.reason else self.change("ended", news.notes)
        return False

    def look_after(self) -> bool:
        """See what is wrong with it; whether that has changed."""
        if self.state == "ended":
            return self.health.rest()
        return self.health.judge(
            self._clock.monotonic(),
            self._clock.now(),
            online=self.state == "live" and not self.recording,
            away=self.state in ("starting", "connecting", "waiting", "failed"),
            fps=self._in.rate(),
            above=self.track.notice,
        )

    def status(self, pid: int | None) -> CameraStatus:
        track = self.track
        encoded, scored = _percentiles(list(track.encoded_s)), _percentiles(list(track.scored_s))
        return CameraStatus(
            name=self.config.name,
            source=self.config.source.shown,
            model=track.model.run,
            state=self.state,
            since=self.since,
            reason=self.reason,
            pid=pid,
            width=self.size[0],
            height=self.size[1],
            fps_in=self._in.rate(),
            fps_scored=self._scored.rate(),
            frames_in=self.frames_in,
            frames_scored=self.frames_scored,
            frames_dropped=self.frames_dropped,
            packets_damaged=self.damaged,
            segments_scored=track.segments,
            queued=self.queued,
            reconnects=self.reconnects,
            restarts=self.restarts,
            events=track.events,
            open_event=track.open_event,
            score=track.score,
            score_time=track.score_time,
            on_s=track.on_s,
            notice="; ".join(filter(None, (*(trouble.text for trouble in self.health.troubles), self.aside))),
            health=self.health.troubles,
            hidden=share_hidden(self.config.zones),
            post_roll_s=self.config.post_roll_s,
            learning=self.learning,
            scored_by=track.model.fingerprint,
            threshold=track.model.checkpoint.calibration.threshold,
            latency=Latency(*encoded, *scored),
        )


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    if not seconds:
        return float("nan"), float("nan")
    middle, high = np.percentile(np.array(seconds), (50, 99))
    return float(middle), float(high)
