"""Notices: what is amiss, whom it was told, and by which channels."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | Sequence[str] | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Step up."""
    op.create_table(
        "notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False, comment="for example destination_down"),
        sa.Column(
            "subject",
            sa.String(length=160),
            nullable=False,
            comment="what it is about, for example a scanner; empty: the node",
        ),
        sa.Column("level", sa.String(length=8), nullable=False, comment="bad or warn"),
        sa.Column(
            "sentence",
            sa.Text(),
            nullable=False,
            comment="what is told: in the node's own words, without reasons",
        ),
        sa.Column("link", sa.String(length=160), nullable=False, comment="page of the console"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("news_at", sa.DateTime(timezone=True), nullable=False, comment="its latest occurrence"),
        sa.Column("over_at", sa.DateTime(timezone=True), nullable=True, comment="empty: it lasts"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
    )
    op.create_index(op.f("ix_notice_over_at"), "notice", ["over_at"])
    op.create_table(
        "notice_told",
        sa.Column("notice_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=80), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False, comment="the last time"),
        sa.Column("news_at", sa.DateTime(timezone=True), nullable=False, comment="the occurrence that was told last"),
        sa.Column("over", sa.Boolean(), nullable=False, comment="that it is over was told too"),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_notice_told_notice_id")),
        sa.PrimaryKeyConstraint("notice_id", "channel", name=op.f("pk_notice_told")),
    )
    op.create_table(
        "notice_channel",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column(
            "owner", sa.String(length=160), nullable=True, comment="host/boot/pid/start of the process that is sending"
        ),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False, comment="rises with every claim"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="failures in a row"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, comment="no try before"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why the last try failed"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_notice_channel")),
    )
    op.create_table(
        "notice_message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notices", sa.Integer(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_message")),
    )
    op.create_index(op.f("ix_notice_message_at"), "notice_message", ["at"])
    op.create_index(op.f("ix_notice_message_channel_at"), "notice_message", ["channel", "at"])


def downgrade() -> None:
    """Step down."""
    for name in ("notice_message", "notice_channel", "notice_told", "notice"):
        op.drop_table(name)
