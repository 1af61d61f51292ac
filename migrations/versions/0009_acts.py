"""What acts need: series that are judged as they are, workers that are drained, destinations that are paused."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | Sequence[str] | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Step up."""
    with op.batch_alter_table("series", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column(
                "forced",
                sa.Boolean(),
                server_default="0",
                nullable=False,
                comment="a person wants it judged now, as it is",
            )
        )
    with op.batch_alter_table("worker", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column("drained_by", sa.String(length=160), nullable=True, comment="who wants it to claim nothing more")
        )
        batch_op.add_column(sa.Column("drain_reason", sa.Text(), nullable=True))
    op.create_table(
        "paused_destination",
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("paused_by", sa.String(length=160), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_paused_destination")),
    )


def downgrade() -> None:
    """Step down."""
    op.drop_table("paused_destination")
    with op.batch_alter_table("worker", schema=None, recreate="never") as batch_op:
        batch_op.drop_column("drain_reason")
        batch_op.drop_column("drained_by")
    with op.batch_alter_table("series", schema=None, recreate="never") as batch_op:
        batch_op.drop_column("forced")
