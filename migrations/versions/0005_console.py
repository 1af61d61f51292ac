"""The console: its users, sessions and throttle, and indexes for its pages."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | Sequence[str] | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Table and columns of each index that a page reads by.
INDEXES = (
    ("series", "calling_ae", "id"),
    ("series", "calling_ae", "last_heard_at"),
    ("job", "state", "updated_at"),
    ("job", "state", "series_id"),
    ("audit", "event", "seq"),
    ("audit", "actor", "seq"),
)


def upgrade() -> None:
    """Step up."""
    op.create_table(
        "console_user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False, comment="argon2, with its salt and costs"),
        sa.Column("role", sa.String(length=16), nullable=False, comment="viewer, operator or admin"),
        sa.Column("disabled", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_user")),
        sa.UniqueConstraint("name", name=op.f("uq_console_user_name")),
    )
    op.create_table(
        "console_session",
        sa.Column(
            "token_sha256", sa.String(length=64), nullable=False, comment="the token itself is in the browser alone"
        ),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column(
            "csrf", sa.String(length=64), nullable=False, comment="every form that changes something brings it along"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="last deed of the person; pages that refresh are none",
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("peer_ip", sa.String(length=45), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["console_user.id"], name=op.f("fk_console_session_user_id")),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_console_session")),
    )
    op.create_index(op.f("ix_console_session_user_id"), "console_session", ["user_id"])
    op.create_table(
        "console_throttle",
        sa.Column(
            "key", sa.String(length=64), nullable=False, comment="sha256 of an address, or of a name and an address"
        ),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True, comment="no try before"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_console_throttle")),
    )
    op.create_index(op.f("ix_console_throttle_updated_at"), "console_throttle", ["updated_at"])
    for table, *columns in INDEXES:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)


def downgrade() -> None:
    """Step down."""
    for table, *columns in INDEXES:
        op.drop_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table_name=table)
    for name in ("console_throttle", "console_session", "console_user"):
        op.drop_table(name)
