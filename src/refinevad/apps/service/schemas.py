"""The API's documents. Times are UTC, ISO 8601; lengths in seconds; scores in [0, 1]."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from refinevad.apps.live.clock import iso
from refinevad.apps.live.envelope import live_facts
from refinevad.apps.live.health import Trouble, TroubleName
from refinevad.apps.live.storage.records import (
    EventState,
    Job,
    JobState,
    Login,
    Review,
    ReviewedEvent,
    Role,
    ThresholdMove,
    TroubleRecord,
    User,
    Verdict,
)
from refinevad.apps.service.audit import AuditEntry
from refinevad.apps.service.camera_edit import has_login
from refinevad.apps.service.watched_cameras import WatchedCamera
from refinevad.budget import LEARN_HOURS
from refinevad.files.shown import shown
from refinevad.scoring.event_record import SCHEMA_VERSION
from refinevad.video.masks import checked_zones
from refinevad.video.zones import Zones

MOST_NUMBER = 2**31 - 1  # of entries, skipped or numbered: what every database counts to
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _within(moment: datetime) -> datetime:
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not _FIRST <= known < _LAST:
        raise ValueError("a time lies between 1970 and 2200")
    return known


def _without_controls(text: str) -> str:
    """PostgreSQL stores no NUL, and whoever reads a name later may do so in a terminal."""
    if any((ord(letter) < 32 and letter not in "\n\t") or 127 <= ord(letter) < 160 for letter in text):
        raise ValueError("control characters have no place here")
    return text


Moment = Annotated[datetime, AfterValidator(_within)]  # always with a zone; one without is taken as UTC
Words = Annotated[str, AfterValidator(_without_controls)]
CameraName = Annotated[Words, Field(min_length=1, max_length=64, examples=["door"])]
# numbers and truths of a body are those of JSON: `true` as a threshold would be 1, above which nothing ever is
Score = Annotated[float, Field(ge=0, le=1, strict=True)]
Truth = Annotated[bool, Field(strict=True)]
Note = Annotated[Words, Field(max_length=2000)]


class Document(BaseModel):
    """Unknown keys are refused: a misspelt one would be lost in silence."""

    model_config = ConfigDict(extra="forbid")


class TroubleOut(Document):
    """What is wrong with a camera just now."""

    name: TroubleName
    since: str
    text: str

    @classmethod
    def of(cls, trouble: Trouble) -> "TroubleOut":
        return cls(name=trouble.name, since=iso(trouble.since), text=trouble.text)


class LearningOut(Document):
    """A threshold that follows the camera's own quiet hours, until there are `hours_needed` of them."""

    state: Literal["learning", "learnt"]
    quiet_hours: float
    hours_needed: float


class LearntOut(Document):
    """A threshold that was learnt: when it came into force, and of how many hours of scores."""

    time: str
    threshold: float
    quiet_hours: float


class PastTroubleOut(Document):
    """What was wrong with a camera. `over` null: it still is."""

    camera: str
    name: str
    text: str
    since: str
    over: str | None

    @classmethod
    def of(cls, trouble: TroubleRecord) -> "PastTroubleOut":
        over = None if trouble.over is None else iso(trouble.over)
        return cls(camera=trouble.camera, name=trouble.name, text=trouble.text, since=iso(trouble.since), over=over)


class TroublePage(Document):
    """Troubles, newest first; `next_skip` fetches those after them, null: there are none."""

    troubles: list[PastTroubleOut]
    next_skip: int | None


class CameraOut(Document):
    """A camera as it is now; counts since it was added.

    `trouble`: why it delivers nothing, or what to look at; `hidden`: share of its picture that does not count;
    `post_roll_s`: how far its clips reach behind an event's end; `learning`: null where a person set its threshold;
    `main`: its stream in full size; `login`: a user name goes with its address, which is never shown; `record`: it is
    recorded all the time.
    """

    name: str
    source: str
    model: str
    state: Literal["starting", "connecting", "live", "waiting", "ended", "failed", "paused"]
    trouble: str | None
    threshold: float
    score: float | None
    score_time: str | None
    width: int
    height: int
    fps_in: float
    fps_scored: float
    frames_in: int
    frames_scored: int
    frames_dropped: int
    reconnects: int
    events: int
    open_event: str | None
    hidden: float
    post_roll_s: float
    learning: LearningOut | None
    health: list[TroubleOut]
    main: str | None
    login: bool
    record: bool

    @classmethod
    def of(cls, watched: WatchedCamera) -> "CameraOut":
        status = watched.status
        config = watched.config
        taken = ("name", "source", "width", "height", "frames_in", "frames_scored", "frames_dropped", "reconnects")
        return cls(
            **{name: getattr(status, name) for name in (*taken, "threshold", "score", "events", "open_event")},
            post_roll_s=status.post_roll_s,
            learning=None
            if status.learning is None
            else LearningOut(
                state=status.learning.state,
                quiet_hours=round(status.learning.quiet_hours, 2),
                hours_needed=LEARN_HOURS,
            ),
            model=Path(status.model).name,
            state="paused" if watched.paused else status.state,
            trouble=status.reason or status.notice or None,
            score_time=None if status.score_time is None else iso(status.score_time),
            fps_in=round(status.fps_in, 2),
            fps_scored=round(status.fps_scored, 2),
            hidden=round(status.hidden, 4),
            health=[] if watched.paused else [TroubleOut.of(trouble) for trouble in status.health],
            main=None if config.main is None else config.main.shown,
            login=any(has_login(address) for address in (config.source, config.main) if address is not None),
            record=config.record,
        )


Source = Annotated[str, Field(min_length=1, max_length=2000, examples=["rtsp://10.0.0.5/stream"])]
Credential = Annotated[Words, Field(max_length=200)]


class NewCamera(Document):
    """A camera to add. `source`: rtsp(s) or http(s); a file only from a folder the operator named.

    `main`: its stream in full size, for clips, recordings and the large view; `record` null: as cameras.toml says.
    """

    name: CameraName
    source: Source
    main: Source | None = None
    username: Credential | None = None
    password: Credential | None = None
    threshold: Score | None = None
    record: Truth | None = None


class CameraChange(Document):
    """What to change of a camera; what is left out stays.

    `threshold` null: the model's own; `kept_alerts_per_day` null: the threshold stays where it is; `main` null: none.
    A login that is left out stays as long as scheme, host and port do; for another host it must be given again.
    """

    paused: Truth | None = None
    threshold: Score | None = None
    kept_alerts_per_day: Annotated[float, Field(gt=0, le=1000, strict=True)] | None = None

    source: Source | None = None
    main: Source | None = None
    username: Credential | None = None
    password: Credential | None = None
    record: Truth | None = None

    @property
    def touches_streams(self) -> bool:
        return bool(self.model_fields_set & {"source", "main", "username", "password", "record"})


class ThresholdMoveOut(Document):
    """A threshold that was moved; null: the model's own. `user`: by whom, empty where nobody was logged in by name."""

    time: str
    before: float | None
    after: float | None
    why: str
    user: str

    @classmethod
    def of(cls, move: ThresholdMove) -> "ThresholdMoveOut":
        return cls(time=iso(move.time), before=move.before, after=move.after, why=move.why, user=move.user)


class ThresholdsOut(Document):
    """How a camera's threshold was moved, newest first; `kept_alerts_per_day` null: it is not kept at a rate."""

    kept_alerts_per_day: float | None
    moves: list[ThresholdMoveOut]


class CameraTest(Document):
    """An address to look at before it is saved; `camera`: whose login may be used where it is for the same host."""

    source: Source
    username: Credential | None = None
    password: Credential | None = None
    camera: CameraName | None = None


class SeenOut(Document):
    """What came: its codec, size, pictures and kilobits a second, and a picture (JPEG, base64).

    `fluent`: the large view shows it as it comes; else as single pictures.
    """

    codec: str
    width: int
    height: int
    rate_hz: float
    kbit_s: float
    recording: bool
    fluent: bool
    picture: str


class CameraTestOut(Document):
    """What was seen, or why nothing was: `kind` for programs, `error` for people; `suggestion`: the address meant."""

    seen: SeenOut | None = None
    kind: str | None = None
    error: str | None = None
    suggestion: str | None = None


class AreaDocument(Document):
    """A polygon of the picture: [x, y] of each corner, in fractions of width and height from the upper left corner."""

    name: Annotated[Words, Field(min_length=1, max_length=64)] | None = None
    points: Annotated[list[Annotated[list[Score], Field(min_length=2, max_length=2)]], Field(min_length=3)]


class ZonesDocument(Document):
    """Masks, whose motion never counts, and zones: where there are some, what lies in none of them does not either."""

    mask: list[AreaDocument] = []
    zone: list[AreaDocument] = []

    @classmethod
    def of(cls, zones: Zones) -> "ZonesDocument":
        return cls.model_validate(zones.as_dict())

    def zones(self) -> Zones:
        """Raises InputError for what is no area, and where nothing of the picture is left."""
        return checked_zones(self.model_dump(exclude_none=True), "masks and zones")


class ReviewOut(Document):
    """A verdict. `number`: by which it can be taken back; `undone`: when it was."""

    number: int
    verdict: Verdict
    category: str | None
    reviewer: str
    note: str
    time: str
    undone: str | None

    @classmethod
    def of(cls, review: Review) -> "ReviewOut":
        return cls(
            number=review.number,
            verdict=review.verdict,
            category=review.category,
            reviewer=review.reviewer,
            note=review.note,
            time=iso(review.time),
            undone=None if review.undone is None else iso(review.undone),
        )


_Old = Annotated[str, Field(json_schema_extra={"deprecated": True})]


class WhereOut(Document):
    """Which cells of the picture an event's peak came from: weights row by row, and the strongest region's box."""

    rows: int
    columns: int
    cells: list[float]
    box: list[float]


class WhyOut(Document):
    """Share of each path in what the score would lose without the box, share of each category, both scores."""

    paths: dict[str, float]
    categories: dict[str, float]
    score: float
    without: float


class EventOut(Document):
    """An event by the names of envelopes and detections (docs/formats.md): `_s` in Unix seconds, `_time` as text.

    `label`: its category by the latest review; `clip`, `snapshot`: where to fetch them, if there; `where`, `why`: null
    where nobody knows. `start` and `end` are `start_time` and `end_time` under older names; the next version of the
    schema leaves them out.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    camera: str
    start_s: float
    end_s: float
    peak: float
    peak_s: float
    category: str
    probabilities: dict[str, float]
    start_time: str
    end_time: str
    peak_time: str
    start: _Old
    end: _Old
    label: str
    state: EventState
    reason: str | None
    model: str
    clip: str | None
    snapshot: str | None
    review: ReviewOut | None
    where: WhereOut | None
    why: WhyOut | None

    @classmethod
    def of(cls, reviewed: ReviewedEvent) -> "EventOut":
        event, review = reviewed.event, reviewed.review
        place = f"/api/v1/events/{event.id}"
        facts: dict[str, Any] = {**live_facts(event.as_event, 0.0)}
        return cls(
            id=event.id,
            camera=event.camera,
            **facts,
            label=(review.category if review else None) or event.category,
            state=event.state,
            reason=event.reason,
            model=event.model,
            clip=f"{place}/clip" if event.clip else None,
            snapshot=f"{place}/snapshot" if event.snapshot else None,
            review=ReviewOut.of(review) if review else None,
            **(event.located or {"where": None, "why": None}),
        )


class EventPage(Document):
    """Events, newest first; `next_skip` fetches those after them, null: there are none."""

    events: list[EventOut]
    next_skip: int | None


class NewReview(Document):
    """A verdict. `category`: what it was, for `relabelled` alone."""

    verdict: Verdict
    category: Annotated[Words, Field(min_length=1, max_length=100)] | None = None
    reviewer: Annotated[Words, Field(max_length=100)] = ""
    note: Note = ""


MOST_AT_ONCE = 500


class WideReview(NewReview):
    """A verdict on many events."""

    events: Annotated[list[Annotated[Words, Field(max_length=64)]], Field(min_length=1, max_length=MOST_AT_ONCE)]


class TakenBack(Document):
    """Verdicts to take back, by number."""

    reviews: Annotated[list[Annotated[int, Field(ge=1, le=MOST_NUMBER)]], Field(min_length=1, max_length=MOST_AT_ONCE)]


class ReviewsOut(Document):
    """The events whose verdicts changed, as they are now."""

    events: list[EventOut]


class CurveOut(Document):
    """The highest scores of another model in the same buckets; `run`: its folder's name."""

    run: str
    highest: list[float | None]
    segments: int


class ScoresOut(Document):
    """Scores of one model in equal buckets from `start`; null: none were stored there.

    `run`: the model's folder; `other_models`: segments that other models scored, which are left out; `others`: their
    curves, where they were asked for.
    """

    camera: str
    start: str
    width_s: float
    highest: list[float | None]
    mean: list[float | None]
    segments: int
    other_models: int
    run: str | None = None
    others: list[CurveOut] = []


class RecordedOut(Document):
    """A stretch of time of which a recording is there."""

    start: str
    end: str


class PieceOut(Document):
    """A file of a recording; `file`: where to fetch it."""

    start: str
    end: str
    bytes: int
    file: str


class RemovedOut(Document):
    """What retention deleted: everything before `until`, and why."""

    until: str
    reason: str


class RecordingsOut(Document):
    """What is recorded of a camera in a stretch of time; `bytes` of all its pieces."""

    camera: str
    stretches: list[RecordedOut]
    pieces: list[PieceOut]
    bytes: int
    removed: RemovedOut | None


class RateOut(Document):
    """Events a threshold would have opened on the stored scores."""

    threshold: float
    alerts: int
    per_hour: float


class RatesOut(Document):
    camera: str
    start: str
    end: str
    hours: float
    threshold: float
    other_models: int
    rates: list[RateOut]


class Stretch(Document):
    """A stretch of time in which nothing happened."""

    start: Moment
    end: Moment


class CalibrationIn(Document):
    """Quiet hours and the alert rate wanted in such hours; `apply` puts the threshold in force."""

    quiet: Annotated[list[Stretch], Field(min_length=1, max_length=100)]
    alerts_per_hour: Annotated[float, Field(gt=0, le=3600, strict=True)] = 1.0
    apply: Truth = False


class CalibrationOut(Document):
    """`certified`: whether the quiet hours are long enough to vouch for the rate."""

    threshold: float
    low_threshold: float
    alerts_per_hour: float
    certified: bool
    quiet_hours: float
    left_out_events: int
    applied: bool


class JobOut(Document):
    """An uploaded file's analysis. `result` as docs/service.md says."""

    id: str
    name: str
    state: JobState
    progress: float
    error: str | None
    created: str
    updated: str
    video: str
    result: dict[str, Any] | None = None

    @classmethod
    def of(cls, job: Job, whole: bool = True) -> "JobOut":
        return cls(
            id=job.id,
            name=job.name,
            state=job.state,
            progress=round(job.progress, 4),
            error=job.error,
            created=iso(job.created),
            updated=iso(job.updated),
            video=f"/api/v1/jobs/{job.id}/video",
            result=dict(job.result) if whole and job.result is not None else None,
        )


class ModelOut(Document):
    """The model in force and those it can be swapped for."""

    run: str | None
    encoder: str | None
    categories: list[str]
    threshold: float | None
    alerts_per_hour: float | None
    certified: bool | None
    choices: list[str]


class ModelChange(Document):
    """Name of a RUN folder among the choices."""

    run: Annotated[Words, Field(min_length=1, max_length=200)]


class ScheduleOut(Document):
    """When a sink is armed: hours such as `22:00-06:00` (empty: all day), the days in which they begin, and now."""

    hours: str
    days: list[str]
    armed: bool


class ScheduleIn(Document):
    """Hours and days in which a sink is armed; `hours` null: those of cameras.toml. No days: all of them."""

    hours: Annotated[str, Field(max_length=11)] | None = None
    days: Annotated[list[Annotated[str, Field(max_length=3)]], Field(max_length=7)] = []


class SinkOut(Document):
    """A place events go: envelopes that wait for it, those that were lost, why it takes none at the moment.

    `people`: it reaches people, can be tested, snoozed and armed; `snoozed_until`: until when it is.
    """

    name: str
    waiting: int
    lost: int
    trouble: str | None
    people: bool = False
    snoozed_until: str | None = None
    schedule: ScheduleOut | None = None


class Snooze(Document):
    """For how many minutes nothing is sent, a week at most; 0: send again."""

    minutes: Annotated[float, Field(ge=0, le=7 * 24 * 60)]


class TestOut(Document):
    """What came of a test: whether the message was taken, and what came back where it was not."""

    taken: bool
    answer: str


class AuditOut(Document):
    """A change: when, by whom, from which address, by what means (bearer, cookie, proxy, local), and what."""

    number: int
    time: str
    user: str
    address: str
    means: str
    agent: str
    what: str
    subject: str
    detail: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditOut":
        return cls(
            number=entry.number,
            time=iso(entry.time),
            user=entry.by.user,
            address=entry.by.address,
            means=entry.by.means,
            agent=entry.by.agent,
            what=entry.what,
            subject=entry.subject,
            detail=entry.detail,
        )


class AuditPage(Document):
    """Changes, newest first; `next_before` fetches those before them, null: there are none."""

    entries: list[AuditOut]
    next_before: int | None


UserName = Annotated[Words, Field(min_length=1, max_length=64, examples=["ana"])]
Password = Annotated[str, Field(min_length=1, max_length=500)]


class LogIn(Document):
    """Either the service's token, or a name and its password."""

    token: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    name: UserName | None = None
    password: Password | None = None


class SessionOut(Document):
    """Whether a login is needed, and what this browser's is.

    `user`: whose it is, null for the token's; `role`: what it may do, null where it is not open; `people`: whether
    there are users, who log in by name.
    """

    needed: bool
    open: bool
    version: str
    user: str | None
    role: Role | None
    people: bool


class PasswordChange(Document):
    """Of whoever is logged in."""

    old: Password
    new: Password


class UserOut(Document):
    """Someone who may come in. `password`: whether they have one; without it only a proxy vouches for them."""

    name: str
    role: Role
    added: str
    password: bool

    @classmethod
    def of(cls, user: User) -> "UserOut":
        return cls(name=user.name, role=user.role, added=iso(user.added), password=user.password is not None)


class NewUser(Document):
    """`password` null: for those whom a proxy vouches for."""

    name: UserName
    role: Role
    password: Password | None = None


class UserChange(Document):
    """What to change of a user; what is left out stays."""

    role: Role | None = None
    password: Password | None = None


class LoginOut(Document):
    """A browser that is logged in. `user` null: by the token; `mine`: it is the one that asks."""

    id: str
    user: str | None
    opened: str
    seen: str
    ends: str
    address: str
    agent: str
    mine: bool

    @classmethod
    def of(cls, login: Login, mine: bool) -> "LoginOut":
        times = {name: iso(getattr(login, name)) for name in ("opened", "seen", "ends")}
        said = shown(login.agent)
        return cls(id=login.digest[:16], user=login.user, **times, address=login.address, agent=said, mine=mine)


class Health(Document):
    """`ok`, or what is not."""

    status: Literal["ok", "unready"]
    reasons: list[str] = []
