"""Storage commitment that scanners ask of this node: requests, and the instances that they name."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Step up."""
    op.create_table(
        "commitment_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False, comment="the scanner's"),
        sa.Column("calling_ae", sa.String(length=16), nullable=False, comment="who asked, and is reported to"),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it is in this state, for people"),
        sa.Column(
            "wait_until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="until when its instances may still come",
        ),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "owner",
            sa.String(length=160),
            nullable=True,
            comment="host/boot/pid/start of the process that holds the lease",
        ),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "fence",
            sa.Integer(),
            nullable=False,
            comment="rises with every claim; an older one may not finish",
        ),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="claims so far"),
        sa.Column("deaths", sa.Integer(), nullable=False, comment="claims that ended by a lost lease"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, comment="not before"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitment_request")),
        sa.UniqueConstraint(
            "transaction_uid", "calling_ae", name=op.f("uq_commitment_request_transaction_uid_calling_ae")
        ),
    )
    with op.batch_alter_table("commitment_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_commitment_request_state_due_at"), ["state", "due_at"], unique=False)

    op.create_table(
        "commitment_reference",
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column("sop_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column(
            "failure",
            sa.Integer(),
            nullable=True,
            comment="0: committed; else its Failure Reason; empty: not decided yet",
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["commitment_request.id"], name=op.f("fk_commitment_reference_request_id")
        ),
        sa.PrimaryKeyConstraint("request_id", "sop_uid", name=op.f("pk_commitment_reference")),
    )
    with op.batch_alter_table("commitment_reference", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_commitment_reference_sop_uid"), ["sop_uid"], unique=False)

    with op.batch_alter_table("instance", schema=None, recreate="never") as batch_op:
        batch_op.create_index(batch_op.f("ix_instance_sop_uid"), ["sop_uid"], unique=False)


def downgrade() -> None:
    """Step down."""
    with op.batch_alter_table("instance", schema=None, recreate="never") as batch_op:
        batch_op.drop_index(batch_op.f("ix_instance_sop_uid"))

    with op.batch_alter_table("commitment_reference", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_commitment_reference_sop_uid"))

    op.drop_table("commitment_reference")
    with op.batch_alter_table("commitment_request", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_commitment_request_state_due_at"))

    op.drop_table("commitment_request")
