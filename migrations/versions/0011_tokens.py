"""Tokens by which programs use the console's API, and the index by which it lists jobs of one state."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | Sequence[str] | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Step up."""
    op.create_table(
        "console_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False, comment="what the program is called that has it"),
        sa.Column(
            "token_sha256", sa.String(length=64), nullable=False, comment="the token itself is in the program alone"
        ),
        sa.Column("role", sa.String(length=16), nullable=False, comment="at most; never more than the user's own"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True, comment="last use, to the minute"),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True, comment="not let in since"),
        sa.ForeignKeyConstraint(["user_id"], ["console_user.id"], name=op.f("fk_console_token_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_token")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_console_token_token_sha256")),
    )
    op.create_index(op.f("ix_console_token_user_id"), "console_token", ["user_id"])
    op.create_index(op.f("ix_job_state_id"), "job", ["state", "id"])


def downgrade() -> None:
    """Step down."""
    op.drop_index(op.f("ix_job_state_id"), table_name="job")
    op.drop_table("console_token")
