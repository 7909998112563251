"""Verdicts that were taken back, and those of people who are not sure."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

VERDICTS = "verdict IN ('confirmed', 'dismissed', 'relabelled', 'unsure')"


def upgrade() -> None:
    # SQLite changes no constraint in place: the table is made anew from this, which leaves the old one out
    before = sa.Table(
        "reviews",
        sa.MetaData(),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("category", sa.String(length=100), nullable=True),
        sa.Column("reviewer", sa.String(length=100), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.CheckConstraint("verdict <> 'relabelled' OR category IS NOT NULL", name="ck_reviews_relabelled"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_reviews_event_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sa.Index("ix_reviews_event_id_id", "event_id", "id"),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table("reviews", copy_from=before, recreate="always" if sqlite else "never") as table:
        if not sqlite:
            table.drop_constraint(op.f("ck_reviews_ck_reviews_verdict"), type_="check")  # as step 1 named it
        table.create_check_constraint(op.f("ck_reviews_verdict"), VERDICTS)
        table.add_column(sa.Column("undone", sa.Double(), nullable=True))
