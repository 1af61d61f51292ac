"""What rules need: which one decided over a job, and what it wants."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Step up."""
    with op.batch_alter_table("job", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column(
                "rule",
                sa.String(length=64),
                server_default="",
                nullable=False,
                comment="which decided; empty: none",
            )
        )
        batch_op.add_column(
            sa.Column(
                "plan",
                sa.JSON(),
                nullable=True,
                comment="what the rule wants instead of the settings: network, spacing, destinations",
            )
        )


def downgrade() -> None:
    """Step down."""
    with op.batch_alter_table("job", schema=None, recreate="never") as batch_op:
        batch_op.drop_column("plan")
        batch_op.drop_column("rule")
