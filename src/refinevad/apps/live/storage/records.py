"""What storage hands out: plain records. Times are Unix seconds (UTC), intervals half-open, scores in [0, 1]."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from refinevad.scoring.events import Event

EventState = Literal["new", "open", "ended", "closed-by-restart"]
Verdict = Literal["confirmed", "dismissed", "relabelled", "unsure"]
Role = Literal["viewer", "reviewer", "admin"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class CameraRecord:
    """A camera that has been seen; `source` has its credentials masked. Removed ones keep their history."""

    id: int
    name: str
    source: str
    model: str
    added: float
    removed: float | None = None


@dataclass(frozen=True)
class ScoreRow:
    """One scored segment of a camera: [time, time + length_s)."""

    time: float
    length_s: float
    score: float
    categories: tuple[float, ...] = ()


@dataclass(frozen=True)
class ScoreCurve:
    """Stored scores of one camera by one model, in order of time; segments need not touch: a camera may be away.

    `others`: segments of the same stretch that other models scored, which are left out.
    """

    time: Float[np.ndarray, "segment"]
    length_s: Float[np.ndarray, "segment"]
    score: Float[np.ndarray, "segment"]
    category_names: tuple[str, ...]
    categories: Float[np.ndarray, "segment category"]
    others: int = 0


@dataclass(frozen=True)
class Scorer:
    """A model that scored a stretch of time: its run, and the fingerprint under which its scores lie."""

    run: str
    fingerprint: str


@dataclass(frozen=True)
class ScoreBuckets:
    """A stretch of time in equal buckets: where each begins, its highest and mean score (NaN: nothing), how many.

    Of one model, as in ScoreCurve.
    """

    start: Float[np.ndarray, "bucket"]
    width_s: float
    highest: Float[np.ndarray, "bucket"]
    mean: Float[np.ndarray, "bucket"]
    count: Int[np.ndarray, "bucket"]
    others: int = 0


@dataclass(frozen=True)
class EventRecord:
    """A stored event. `clip` and `snapshot` are paths relative to the media folder, with forward slashes.

    `end` is how far the event has come while it is open. `reason` says why a restart closed it. `located`: its `where`
    and `why` (docs/formats.md), once they are known.
    """

    id: str
    camera: str
    start: float
    end: float
    peak: float
    peak_time: float
    category: str
    probabilities: Mapping[str, float]
    state: EventState
    model: str = ""
    clip: str | None = None
    snapshot: str | None = None
    reason: str | None = None
    located: Mapping[str, Any] | None = None

    @property
    def as_event(self) -> Event:
        """What happened, its times in Unix seconds."""
        return Event(self.start, self.end, self.peak, self.peak_time, self.category, dict(self.probabilities))


@dataclass(frozen=True)
class LearntThreshold:
    """A threshold learnt of a camera: from when on, of how many hours, and the model's fingerprint."""

    time: float
    threshold: float
    quiet_hours: float
    scored_by: str


@dataclass(frozen=True)
class Review:
    """A person's verdict on an event. All are kept; of those not undone the one with the largest `number` counts.

    `category` is set where it was relabelled; `undone`: when it was taken back.
    """

    event: str
    verdict: Verdict
    time: float
    reviewer: str = ""
    category: str | None = None
    note: str = ""
    number: int = 0
    undone: float | None = None


@dataclass(frozen=True)
class ReviewedEvent:
    """An event with the review that counts, if there is one."""

    event: EventRecord
    review: Review | None = None


@dataclass(frozen=True)
class TroubleRecord:
    """What was wrong with a camera: `since` and `over` in Unix seconds; `over` None: it still is."""

    id: str
    camera: str
    name: str
    text: str
    since: float
    over: float | None = None


@dataclass(frozen=True)
class ThresholdMove:
    """A camera's threshold that was moved; None: the model's own. `why`: `by hand`, `quiet hours`, `undo`, `kept`..."""

    time: float
    before: float | None
    after: float | None
    why: str
    user: str


@dataclass(frozen=True)
class User:
    """Someone who may log in. `password`: argon2's hash; None: only a proxy can vouch for them."""

    name: str
    role: Role
    added: float
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Login:
    """A browser that is logged in. `digest`: of its cookie's secret; `user` None: by the service's token, `token`."""

    digest: str
    user: str | None
    role: Role
    token: str
    opened: float
    seen: float
    ends: float
    address: str
    agent: str


@dataclass(frozen=True)
class Job:
    """An uploaded file's analysis. `file` is its generated name, `name` what the person called it."""

    id: str
    name: str
    file: str
    state: JobState
    created: float
    updated: float
    progress: float = 0.0
    result: Mapping[str, Any] | None = field(default=None)
    error: str | None = None
