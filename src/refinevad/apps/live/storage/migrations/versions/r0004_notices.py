"""What was wrong with cameras, and sinks that are snoozed or armed by another schedule."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "troubles",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("camera", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("over", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_troubles"),
    )
    op.create_index("ix_troubles_since", "troubles", ["since"])
    op.create_table(
        "snoozes",
        sa.Column("sink", sa.String(length=100), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sink", name="pk_snoozes"),
    )
    op.create_table(
        "schedules",
        sa.Column("sink", sa.String(length=100), nullable=False),
        sa.Column("hours", sa.String(length=11), nullable=False),
        sa.Column("days", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("sink", name="pk_schedules"),
    )
