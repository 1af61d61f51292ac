"""People: first passwords that are to be replaced, and users who come by an OpenID provider."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | Sequence[str] | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INDEX = "ix_console_user_issuer_subject"


def upgrade() -> None:
    """Step up."""
    with op.batch_alter_table("console_user", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column(
                "first_until",
                sa.DateTime(timezone=True),
                nullable=True,
                comment="the password is a first one: good until then, to be replaced at once",
            )
        )
        batch_op.add_column(
            sa.Column(
                "issuer",
                sa.String(length=255),
                server_default="",
                nullable=False,
                comment="OpenID provider; empty: by password",
            )
        )
        batch_op.add_column(
            sa.Column("subject", sa.String(length=255), nullable=True, comment="who they are to the issuer")
        )
    op.create_index(op.f(INDEX), "console_user", ["issuer", "subject"], unique=True)


def downgrade() -> None:
    """Step down."""
    op.drop_index(op.f(INDEX), table_name="console_user")
    with op.batch_alter_table("console_user", schema=None, recreate="never") as batch_op:
        for name in ("subject", "issuer", "first_until"):
            batch_op.drop_column(name)
