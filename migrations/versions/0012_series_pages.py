"""Pages of series: the duration of a restoration as a column, and indexes to sort and filter by."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | Sequence[str] | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Table and columns of each index.
INDEXES = (
    ("series", "last_heard_at", "id"),
    ("series", "series_uid"),
    ("series", "study_uid"),
    ("job", "seconds", "series_id"),
    ("job", "model_name", "series_id"),
    ("delivery", "destination", "job_id"),
)
# How a database reads a number out of JSON.
SECONDS = {
    "postgresql": "UPDATE job SET seconds = (figures->>'seconds')::float WHERE figures->>'seconds' IS NOT NULL",
    "sqlite": "UPDATE job SET seconds = json_extract(figures, '$.seconds') WHERE figures IS NOT NULL",
}


def upgrade() -> None:
    """Step up."""
    duration = sa.Column(
        "seconds", sa.Float(), nullable=True, comment="that the latest restoration took, as in the figures"
    )
    op.add_column("job", duration)
    op.execute(SECONDS[op.get_context().dialect.name])
    for table, *columns in INDEXES:
        pattern = {name: "text_pattern_ops" for name in columns if name.endswith("_uid")}
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns, postgresql_ops=pattern)


def downgrade() -> None:
    """Step down."""
    for table, *columns in INDEXES:
        op.drop_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table_name=table)
    op.drop_column("job", "seconds")
