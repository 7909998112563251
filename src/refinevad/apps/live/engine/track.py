"""One camera's scores and events: segments in, envelopes and score rows out. Belongs to the scoring thread.

Of an event `new` is told at once, `update` when its category changes, once it is known where in the picture it came
from, and after `UPDATE_EVERY_S`, and `end` when its clip is finished, at most `CLIP_PATIENCE_S` later. What lasts
longer than an event may is told as several, each with a clip of its own: an `end` with the reason `longest`, and a
`new` that says what it continues. Each tells what was told before. Its times are wall times by the anchor and origin
it began with, whatever becomes of either.
"""

import math
import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from refinevad.apps.live.capture.messages import Command, Finish, Picture, Record, Segment
from refinevad.apps.live.clock import Anchor, Clock
from refinevad.apps.live.disk import too_full
from refinevad.apps.live.engine.live_model import LiveModel
from refinevad.apps.live.engine.places import Places
from refinevad.apps.live.envelope import CONTINUES, LONGEST, Envelope, Kind, LiveFacts, live_facts, make_envelope
from refinevad.apps.live.storage.records import ScoreRow
from refinevad.apps.live.storage.store import CLIPS, SNAPSHOTS
from refinevad.errors import InputError
from refinevad.files.whole import atomic_write
from refinevad.locating import Peak
from refinevad.scoring.events import Event
from refinevad.scoring.tracking import EventUpdate
from refinevad.scoring.where import Located
from refinevad.segment_stream import Scored, SegmentStream

UPDATE_EVERY_S = 5.0
CLIP_PATIENCE_S = 20.0
PLACE_PATIENCE_S = 10.0  # an end waits so long for the place it came from
LONG_S = 600.0  # above the threshold for so long: an operator is told
_TOUCH_S = 1e-3
_PICTURES_S = 30.0  # pictures held beyond the rule's delay, to find that of the peak
_RECENT = 512  # segments that latencies are taken over


@runtime_checkable
class TrackListener(Protocol):
    """Where a track's news go."""

    def scores(self, model: LiveModel, rows: tuple[ScoreRow, ...]) -> None: ...

    def event(self, envelope: Envelope) -> None: ...

    def command(self, command: Command) -> None: ...


@dataclass
class _Open:
    """An event that has not been told to have ended."""

    id: str
    origin: float  # Unix second of its stream's second 0
    told: LiveFacts
    told_at: float  # monotonic
    peak: float
    category: str
    model: str  # the run that found it, whatever run comes after it
    snapshot: str | None = None
    clip: str | None = None
    reason: str | None = None  # why it ended, where not by its score
    now: Event | None = None  # how it stands
    last: Event | None = None  # how it ended, once it has, while its clip is being finished
    patience_until: float = 0.0
    peak_seen: Peak | None = None  # the segment of its peak
    asked: Peak | None = None  # that which is looked at, or was
    asked_at: float = -math.inf  # monotonic
    located: Located | None = None
    place_until: float = 0.0


class CameraTrack:
    """See the module's text. `media` None: no snapshots and clips; `where`: whether places are looked for."""

    def __init__(
        self,
        camera: str,
        model: LiveModel,
        listener: TrackListener,
        clock: Clock,
        *,
        media: Path | None,
        pre_roll_s: float,
        post_roll_s: float,
        preview_hz: float,
        reserve_mb: float = 0.0,
        longest_event_s: float = math.inf,
        where: bool = False,
    ) -> None:
        self._where = where
        self.camera, self._listener, self._clock, self._media = camera, listener, clock, media
        self._pre_roll_s, self._post_roll_s, self._reserve_mb = pre_roll_s, post_roll_s, reserve_mb
        self._longest_event_s = longest_event_s
        self._cut: tuple[str, float] | None = None  # an event that was cut off, and where in stream seconds
        self._on_since: float | None = None  # stream second at which what is going on began, the cut ones included
        self._on_until = 0.0
        self._anchor = Anchor(clock)
        self._origin = clock.monotonic()
        self._events: dict[tuple[int, int], _Open] = {}  # by stream, which counts from 1, and its number there
        self._streams = 0
        self._pictures: deque[Picture] = deque(maxlen=max(round((model.rule.delay_s + _PICTURES_S) * preview_hz), 1))
        self._scored_until = -np.inf
        self.events = self.segments = 0
        self.score: float | None = None
        self.score_time: float | None = None
        self.encoded_s: deque[float] = deque(maxlen=_RECENT)
        self.scored_s: deque[float] = deque(maxlen=_RECENT)
        self.use(model)

    def use(self, model: LiveModel) -> None:
        """Another model or threshold from here on; what is open ends."""
        if hasattr(self, "_stream"):
            self.gap()
        self.model = model
        self._streams += 1
        self._stream = SegmentStream(model.checkpoint, model.rule, self._longest_event_s)
        self._places = Places(model) if self._where else None

    @property
    def open_event(self) -> str | None:
        """Id of the event that is going on."""
        return next((event.id for event in self._events.values() if event.last is None), None)

    @property
    def on_s(self) -> float:
        """For how many seconds it has been above its threshold, over events that follow each other; 0: it is not."""
        return 0.0 if self._on_since is None else self._on_until - self._on_since

    @property
    def notice(self) -> str:
        """What an operator should look at, in one sentence; empty where there is nothing."""
        if self.on_s < LONG_S:
            return ""
        return (
            f"above its threshold for {self.on_s / 60:.0f} minutes: see whether something is stuck before the camera, "
            "or raise its threshold"
        )

    @property
    def waiting(self) -> bool:
        """Whether an end still waits for its clip."""
        return bool(self._events)

    def wall_of(self, picture: Picture) -> float:
        """Unix second at which a picture was shown."""
        return self._anchor.wall(picture.origin + picture.time_s)

    def wall(self, time_s: float) -> float:
        """Unix second of a stream second."""
        return self._anchor.wall(self._origin + time_s)

    # -- what comes in ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The source was opened: stream seconds begin anew."""
        self.gap()
        self._pictures.clear()

    def picture(self, picture: Picture) -> None:
        """Keep a small picture, for the snapshot of an event's peak."""
        if self._media is not None:
            self._pictures.append(picture)

    def segment(self, features: Float[np.ndarray, "channel"], message: Segment) -> None:
        """Take a segment's vector. Raises InputError as SegmentStream does."""
        now = self._clock.monotonic()
        self._origin = message.origin
        self.encoded_s.append(now - message.arrived)
        clip = message.clip
        if self._places is not None:
            self._places.keep(clip, features)
        self._take(self._stream.push(features, clip.start_s, clip.end_s, message.arrived))
        if self.open_event is None and self._anchor.renew() < 0:
            self._scored_until = -np.inf  # the clock was set back: an hour that comes twice is scored twice

    def gap(self) -> None:
        """Pictures are missing: scores that wait are told, what is open ends."""
        self._take(self._stream.gap())
        if self._places is not None:
            self._places.forget()

    def recorded(self, event: str, reason: str) -> None:
        """A clip is finished; with a reason there is none."""
        for known in self._events.values():
            if known.id == event:
                known.patience_until = 0.0
                if reason:
                    known.clip = None
        self.tick()

    def tick(self) -> None:
        """Tell the ends that have waited for their clips long enough."""
        now = self._clock.monotonic()
        for number, event in list(self._events.items()):
            if event.last is not None and now >= event.patience_until and not self._looks(event, now):
                self._tell(event, "end", event.last)
                del self._events[number]

    def give_up_clips(self) -> None:
        """The process that was writing them is gone: tell the ends that wait, without clips that are not whole."""
        for event in self._events.values():
            event.patience_until = event.place_until = 0.0
            if event.clip is not None and not self._exists(event.clip):
                event.clip = None
        self.tick()

    def finish_clips(self) -> None:
        """No more pictures will come: clips end where they are."""
        for event in self._events.values():
            if event.clip is not None and event.last is not None and event.patience_until:
                self._listener.command(Finish(event.id, event.last.end_s, True))

    # -- where it came from --------------------------------------------------------------------------------------------

    @property
    def looking(self) -> bool:
        """Whether an event's place is being looked for."""
        return self._places is not None and self._places.busy

    def look(self) -> None:
        """Do a piece of that; an event that is going on is told of once more when its place is known."""
        found = None if self._places is None else self._places.step()
        if found is None:
            return
        for event in self._events.values():
            if event.id == found[0] and found[1] is not None:
                event.located = found[1]
                if event.last is None and event.now is not None:
                    self._tell(event, "update", event.now)

    def _looks(self, event: _Open, now: float) -> bool:
        return self._places is not None and now < event.place_until and self._places.waits_for(event.id)

    def _ask(self, event: _Open, after: Event, risen: bool, over: bool = False) -> None:
        """Look where a new peak came from: at once, then every few seconds at most, and when the event is over."""
        event.now = after
        if self._places is None:
            return
        if risen:
            event.peak_seen = self._places.peak_at(after.peak_s) or event.peak_seen
        now = self._clock.monotonic()
        due = over or now - event.asked_at >= UPDATE_EVERY_S
        if event.peak_seen is not None and event.peak_seen is not event.asked and due:
            event.asked, event.asked_at = event.peak_seen, now
            self._places.ask(event.id, event.peak_seen)
        if over:
            event.place_until = now + PLACE_PATIENCE_S

    # -- what goes out ------------------------------------------------------------------------------------------------

    def _take(self, output: Scored) -> None:
        now = self._clock.monotonic()
        self.scored_s.extend(float(now - arrived) for arrived in output.arrived)
        rows = []
        found = output.segments
        for place in range(len(found)):
            start, end = self.wall(float(found.start_s[place])), self.wall(float(found.end_s[place]))
            start = max(start, self._scored_until)  # the origin moves a little; no two rows overlap
            if end > start:
                self._scored_until = end
                shares = tuple(float(share) for share in found.categories[place])
                rows.append(ScoreRow(start, end - start, float(found.scores[place]), shares))
        if len(found):
            self.segments += len(found)
            self.score, self.score_time = float(found.scores[-1]), self.wall(float(found.end_s[-1]))
        if rows:
            self._listener.scores(self.model, tuple(rows))
        for update in output.updates:
            self._change(update)

    def _change(self, update: EventUpdate) -> None:
        self._on_until = update.after.end_s
        if update.kind == "new":
            self._open(update.event, update.after)
            return
        event = self._events[self._streams, update.event]
        risen = update.after.peak_s != (event.now or update.after).peak_s
        self._ask(event, update.after, risen, over=update.kind == "end")
        if update.after.peak > event.peak and self._snapshot(event, update.after):
            event.peak = update.after.peak
        if update.kind == "update":
            now = self._clock.monotonic()
            if update.after.category != event.category or now - event.told_at >= UPDATE_EVERY_S:
                self._tell(event, "update", update.after)
            return
        event.last, event.reason = update.after, LONGEST if update.cut else None
        self._cut = (event.id, update.after.end_s) if update.cut else None
        if not update.cut:
            self._on_since = None
        if event.clip is not None:
            event.patience_until = self._clock.monotonic() + self._post_roll_s + CLIP_PATIENCE_S
            self._listener.command(Finish(event.id, update.after.end_s + self._post_roll_s, False))
        self.tick()

    def _open(self, number: int, event: Event) -> None:
        origin = self._anchor.wall(self._origin)
        opened = _Open(
            uuid.uuid4().hex,
            origin,
            live_facts(event, origin),
            self._clock.monotonic(),
            event.peak,
            event.category,
            self.model.run,
        )
        follows = self._cut is not None and abs(event.start_s - self._cut[1]) < _TOUCH_S
        continued = self._cut[0] if self._cut is not None and follows else None
        self._cut = None
        if continued is None or self._on_since is None:
            self._on_since = event.start_s
        self.events += 1
        self._events[self._streams, number] = opened
        self._snapshot(opened, event)
        self._ask(opened, event, risen=True)
        if self._media is not None:
            opened.clip = f"{CLIPS}/{opened.id}.mp4"
            path = str((self._media / opened.clip).absolute())
            self._listener.command(Record(opened.id, path, event.start_s - self._pre_roll_s))
        self._tell(opened, "new", event, None if continued is None else f"{CONTINUES} {continued}")

    def _tell(self, event: _Open, kind: Kind, after: Event, reason: str | None = None) -> None:
        facts = live_facts(after, event.origin, event.located)
        self._listener.event(
            make_envelope(
                kind,
                self.camera,
                event.id,
                None if kind == "new" else event.told,
                facts,
                model=event.model,
                time=self._clock.now(),
                snapshot=event.snapshot,
                clip=event.clip if kind == "end" else None,
                reason=event.reason if kind == "end" else reason,
            )
        )
        event.told, event.told_at, event.category = facts, self._clock.monotonic(), after.category

    def _snapshot(self, event: _Open, now: Event) -> bool:
        """Write the picture nearest to the peak; whether there is one."""
        if self._media is None or not self._pictures or too_full(self._media, self._reserve_mb):
            return False
        nearest = min(self._pictures, key=lambda picture: abs(picture.time_s - now.peak_s))
        path = f"{SNAPSHOTS}/{event.id}.jpg"
        try:
            with atomic_write(self._media / path) as partial:
                partial.write_bytes(nearest.jpeg)
        except InputError:  # the disk is full: the event matters more
            return False
        event.snapshot = path
        return True

    def _exists(self, path: str) -> bool:
        return self._media is not None and (self._media / path).exists()
