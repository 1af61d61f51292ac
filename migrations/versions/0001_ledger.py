"""The ledger as it began: series, instances, jobs, deliveries, audit."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Step up."""
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False, comment="for example job:7"),
        sa.Column("detail", sa.Text(), nullable=False, comment="canonical JSON"),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_hash")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_subject"), ["subject"], unique=False)

    op.create_table(
        "series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("series_uid", sa.String(length=64), nullable=False),
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("calling_ae", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment="receiving or complete"),
        sa.Column("revision", sa.Integer(), nullable=False, comment="rises when images arrive after completion"),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False, comment="the sender closed its association properly"),
        sa.Column("first_heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), nullable=False, comment="when to ask next whether it is complete"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint("series_uid", name=op.f("uq_series_series_uid")),
    )
    with op.batch_alter_table("series", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_series_state_due_at"), ["state", "due_at"], unique=False)

    op.create_table(
        "instance",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("sop_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False, comment="of the data set as sent"),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(length=64), nullable=False),
        sa.Column("calling_ae", sa.String(length=16), nullable=False),
        sa.Column("peer_ip", sa.String(length=45), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_instance_series_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance")),
        sa.UniqueConstraint("path", name=op.f("uq_instance_path")),
        sa.UniqueConstraint("series_id", "sop_uid", "sha256", name=op.f("uq_instance_series_id_sop_uid_sha256")),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_key", sa.String(length=64), nullable=False, comment="sha256 of inputs, model and configuration"),
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False, comment="which stack of the series, for people"),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it is in this state, for people"),
        sa.Column("slices", sa.Integer(), nullable=False, comment="thick slices"),
        sa.Column("model_name", sa.String(length=64), nullable=False),
        sa.Column("model_digest", sa.String(length=64), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False, comment="0 to 1 while running"),
        sa.Column("result", sa.Text(), nullable=True, comment="folder of the stored result"),
        sa.Column("derived_series_uid", sa.String(length=64), nullable=True),
        sa.Column("thin_slices", sa.Integer(), nullable=True),
        sa.Column("figures", sa.JSON(), nullable=True, comment="self-check and timing"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "owner",
            sa.String(length=160),
            nullable=True,
            comment="host/boot/pid/start of the process that holds the lease",
        ),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False, comment="rises with every claim; an older one may not finish"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="claims so far"),
        sa.Column("deaths", sa.Integer(), nullable=False, comment="claims that ended by a lost lease"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, comment="not before"),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=True, comment="when a worker was last told"),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_job_series_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("job_key", name=op.f("uq_job_job_key")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_series_id"), ["series_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_job_state_due_at"), ["state", "due_at"], unique=False)

    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=True, comment="storage commitment asked for"),
        sa.Column("verified_by", sa.String(length=32), nullable=True, comment="storage commitment or C-FIND"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "owner",
            sa.String(length=160),
            nullable=True,
            comment="host/boot/pid/start of the process that holds the lease",
        ),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False, comment="rises with every claim; an older one may not finish"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="claims so far"),
        sa.Column("deaths", sa.Integer(), nullable=False, comment="claims that ended by a lost lease"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, comment="not before"),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=True, comment="when a worker was last told"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_delivery_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("job_id", "destination", name=op.f("uq_delivery_job_id_destination")),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delivery_state_due_at"), ["state", "due_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_delivery_transaction_uid"), ["transaction_uid"], unique=False)

    op.create_table(
        "job_instance",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"], name=op.f("fk_job_instance_instance_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_instance_job_id")),
        sa.PrimaryKeyConstraint("job_id", "instance_id", name=op.f("pk_job_instance")),
    )
    op.create_table(
        "delivery_instance",
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("sop_uid", sa.String(length=64), nullable=False),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True, comment="last C-STORE status; empty when no answer came"),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name=op.f("fk_delivery_instance_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", "sop_uid", name=op.f("pk_delivery_instance")),
    )


def downgrade() -> None:
    """Step down."""
    op.drop_table("delivery_instance")
    op.drop_table("job_instance")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_delivery_transaction_uid"))
        batch_op.drop_index(batch_op.f("ix_delivery_state_due_at"))

    op.drop_table("delivery")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_state_due_at"))
        batch_op.drop_index(batch_op.f("ix_job_series_id"))

    op.drop_table("job")
    op.drop_table("instance")
    with op.batch_alter_table("series", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_series_state_due_at"))

    op.drop_table("series")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_subject"))

    op.drop_table("audit")
