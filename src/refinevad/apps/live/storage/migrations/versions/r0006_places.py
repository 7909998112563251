"""Where in the picture an event came from, and thresholds that were learnt from a camera's own quiet hours."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("located", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "learnt_thresholds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("camera_id", sa.Integer(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("quiet_hours", sa.Double(), nullable=False),
        sa.Column("scored_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["camera_id"], ["cameras.id"], name="fk_learnt_thresholds_camera_id"),
        sa.PrimaryKeyConstraint("id", name="pk_learnt_thresholds"),
    )
    op.create_index("ix_learnt_thresholds_camera_id_id", "learnt_thresholds", ["camera_id", "id"])
