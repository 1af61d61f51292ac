"""What people think of derived series; and an index by which the jobs of each rule are counted."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | Sequence[str] | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INDEXES = (("job_id",), ("series_id",), ("latest", "day"), ("latest", "verdict", "series_id"))
JOBS_OF_A_RULE = "ix_job_rule_created_at"


def upgrade() -> None:
    """Step up."""
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False, comment="of at, in UTC, by which it is counted"),
        sa.Column("actor", sa.String(length=160), nullable=False, comment="who said it"),
        sa.Column("verdict", sa.String(length=16), nullable=False, comment="accepted or rejected"),
        sa.Column(
            "reason",
            sa.String(length=32),
            nullable=False,
            comment="one of a few, so that they can be counted; empty: accepted",
        ),
        sa.Column("remark", sa.Text(), nullable=False, comment="in their own words"),
        sa.Column("calling_ae", sa.String(length=16), nullable=False, comment="the scanner, as the series has it"),
        sa.Column("model_name", sa.String(length=64), nullable=False, comment="as the job has it"),
        sa.Column("model_digest", sa.String(length=64), nullable=False),
        sa.Column("latest", sa.Boolean(), nullable=False, comment="the last word on its job: that one counts"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_feedback_job_id")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_feedback_series_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
    )
    for columns in INDEXES:
        op.create_index(op.f(f"ix_feedback_{'_'.join(columns)}"), "feedback", columns)
    op.create_index(op.f(JOBS_OF_A_RULE), "job", ["rule", "created_at"])


def downgrade() -> None:
    """Step down."""
    op.drop_index(op.f(JOBS_OF_A_RULE), table_name="job")
    for columns in INDEXES:
        op.drop_index(op.f(f"ix_feedback_{'_'.join(columns)}"), table_name="feedback")
    op.drop_table("feedback")
