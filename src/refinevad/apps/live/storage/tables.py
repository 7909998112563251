"""The tables. Times are Unix seconds in double precision, so that both databases compare and bucket them alike.

A change here needs a migration in migrations/versions; tests/test_live_store.py holds the two against each other.
"""

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Double,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

cameras = Table(
    "cameras",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("source", Text, nullable=False),  # credentials masked
    Column("model", Text, nullable=False),
    Column("added", Double, nullable=False),
    Column("removed", Double),
)

# a model's category names, in order: what the packed numbers of `scores` belong to
models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", Text, nullable=False),
    Column("categories", JSON, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # of run and categories
)

# 135,000 rows a day and camera at 0.64 s; the key orders them, and SQLite keeps no other copy of it
scores = Table(
    "scores",
    metadata,
    Column("camera_id", Integer, ForeignKey("cameras.id"), primary_key=True),
    Column("time", Double, primary_key=True),
    Column("length_s", Float, nullable=False),
    Column("score", Float, nullable=False),
    Column("model_id", Integer, ForeignKey("models.id"), nullable=False),
    Column("categories", LargeBinary, nullable=False),  # float16, little-endian, one a category
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("camera_id", Integer, ForeignKey("cameras.id"), nullable=False),
    Column("start", Double, nullable=False),
    Column("end", Double, nullable=False),
    Column("peak", Float, nullable=False),
    Column("peak_time", Double, nullable=False),
    Column("category", String(100), nullable=False),
    Column("probabilities", JSON, nullable=False),
    Column("state", String(20), nullable=False),
    Column("clip", Text),
    Column("snapshot", Text),
    Column("reason", Text),
    Column("model", Text, nullable=False),
    Column("located", JSON(none_as_null=True)),  # `where` and `why`, as envelopes have them
    CheckConstraint("state IN ('new', 'open', 'ended', 'closed-by-restart')", name="state"),
)
Index(None, events.c.camera_id, events.c.start)
Index(None, events.c.start)

reviews = Table(
    "reviews",
    metadata,
    Column("id", Integer, primary_key=True),  # rises with each review: the largest is the latest, whatever the clock
    Column("event_id", String(64), ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("category", String(100)),
    Column("reviewer", String(100), nullable=False),
    Column("note", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("undone", Double),  # when it was taken back; it stays in the history, and does not count
    CheckConstraint("verdict IN ('confirmed', 'dismissed', 'relabelled', 'unsure')", name="verdict"),
    CheckConstraint("verdict <> 'relabelled' OR category IS NOT NULL", name="relabelled"),
)
Index(None, reviews.c.event_id, reviews.c.id)

# what was learnt of a camera's own quiet hours; the newest of the model in force counts
learnt_thresholds = Table(
    "learnt_thresholds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("camera_id", Integer, ForeignKey("cameras.id"), nullable=False),
    Column("time", Double, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("quiet_hours", Double, nullable=False),
    Column("scored_by", String(64), nullable=False),  # the model's fingerprint
)
Index(None, learnt_thresholds.c.camera_id, learnt_thresholds.c.id)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("progress", Float, nullable=False),
    Column("result", JSON),
    Column("error", Text),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="state"),
)
Index(None, jobs.c.created)

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(20), nullable=False),
    Column("password", Text),  # argon2's hash; without one a proxy vouches for them, or nobody
    Column("added", Double, nullable=False),
    CheckConstraint("role IN ('viewer', 'reviewer', 'admin')", name="role"),
)

# logins of browsers; of no user: whoever presented the service's token
logins = Table(
    "logins",
    metadata,
    Column("digest", String(64), primary_key=True),  # of the cookie's secret, which is stored nowhere
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE")),
    Column("token", String(64), nullable=False),  # which token was presented; empty: none
    Column("opened", Double, nullable=False),
    Column("seen", Double, nullable=False),
    Column("ends", Double, nullable=False),
    Column("address", String(100), nullable=False),
    Column("agent", String(200), nullable=False),
)
Index(None, logins.c.user_id)
Index(None, logins.c.ends)

# by name: storage may have been away when a camera was added, and its troubles outlive it
troubles = Table(
    "troubles",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("camera", String(100), nullable=False),
    Column("name", String(20), nullable=False),
    Column("text", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("over", Double),
)
Index(None, troubles.c.since)

thresholds = Table(
    "thresholds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("camera", String(100), nullable=False),
    Column("time", Double, nullable=False),
    Column("before", Double),  # none: the model's own
    Column("after", Double),
    Column("why", Text, nullable=False),
    Column("user", String(64), nullable=False),
)
Index(None, thresholds.c.camera, thresholds.c.id)

# of sinks that reach people, where the page says otherwise than cameras.toml
schedules = Table(
    "schedules",
    metadata,
    Column("sink", String(100), primary_key=True),
    Column("hours", String(11), nullable=False),
    Column("days", JSON, nullable=False),
)

snoozes = Table(
    "snoozes",
    metadata,
    Column("sink", String(100), primary_key=True),
    Column("until", Double, nullable=False),
)

__all__ = [
    "cameras",
    "events",
    "jobs",
    "learnt_thresholds",
    "logins",
    "metadata",
    "models",
    "reviews",
    "schedules",
    "scores",
    "snoozes",
    "thresholds",
    "troubles",
    "users",
]
