"""What production needs: priorities, circuits, switches, workers, purging, conflicts."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Step up."""
    op.create_table(
        "circuit",
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False, comment="one after the other, of the association itself"),
        sa.Column(
            "open_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="nothing is sent there before; empty: closed",
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_circuit")),
    )
    op.create_table(
        "switch",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.String(length=160), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_switch")),
    )
    op.create_table(
        "worker",
        sa.Column("owner", sa.String(length=160), nullable=False, comment="host/boot/pid/start of the process"),
        sa.Column("role", sa.String(length=64), nullable=False, comment="node, or the queues it serves"),
        sa.Column("state", sa.String(length=16), nullable=False, comment="ready, refusing or stopping"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it refuses, for people"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_worker")),
    )
    with op.batch_alter_table("instance", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column(
                "conflict",
                sa.Boolean(),
                server_default="0",
                nullable=False,
                comment="other bytes came under this UID before",
            )
        )

    with op.batch_alter_table("job", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column(
                "priority",
                sa.Integer(),
                server_default="0",
                nullable=False,
                comment="1 for STAT; a higher one goes first",
            )
        )
        batch_op.add_column(
            sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True, comment="when its result was removed")
        )

    with op.batch_alter_table("series", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column(
                "purged_at",
                sa.DateTime(timezone=True),
                nullable=True,
                comment="when its files were removed from the spool",
            )
        )


def downgrade() -> None:
    """Step down."""
    with op.batch_alter_table("series", schema=None, recreate="never") as batch_op:
        batch_op.drop_column("purged_at")

    with op.batch_alter_table("job", schema=None, recreate="never") as batch_op:
        batch_op.drop_column("purged_at")
        batch_op.drop_column("priority")

    with op.batch_alter_table("instance", schema=None, recreate="never") as batch_op:
        batch_op.drop_column("conflict")

    op.drop_table("worker")
    op.drop_table("switch")
    op.drop_table("circuit")
