"""The audit trail becomes append-only by the database's own word; and how far its readers elsewhere have come."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | Sequence[str] | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REFUSAL = "the audit trail is append-only: its rows are neither changed nor removed"
# One trigger for each statement, whatever its rows; ALWAYS: also where replication has switched the others off.
POSTGRESQL = (
    f"""
    CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$
    """,
    """
    CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
    """,
    "ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_is_append_only",
)
# INSERT OR REPLACE removes the old row without asking the trigger of DELETE.
SQLITE = {
    "audit_is_not_changed": "BEFORE UPDATE ON audit",
    "audit_is_not_removed": "BEFORE DELETE ON audit",
    "audit_is_not_replaced": (
        "BEFORE INSERT ON audit WHEN EXISTS "
        "(SELECT 1 FROM audit WHERE seq = NEW.seq UNION ALL SELECT 1 FROM audit WHERE hash = NEW.hash)"
    ),
}


def upgrade() -> None:
    """Step up."""
    op.create_table(
        "audit_position",
        sa.Column("reader", sa.String(length=32), nullable=False, comment="who takes rows elsewhere: syslog"),
        sa.Column("seq", sa.Integer(), nullable=False, comment="the last row of the audit trail that it has taken"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it gets no further, for people"),
        sa.Column("owner", sa.String(length=160), nullable=True, comment="host/boot/pid/start of who reads now"),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("reader", name=op.f("pk_audit_position")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in POSTGRESQL:
            op.execute(statement)
        return
    for name, when in SQLITE.items():
        op.execute(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")


def downgrade() -> None:
    """Step down."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_is_append_only ON audit")
        op.execute("DROP FUNCTION audit_is_append_only()")
    else:
        for name in SQLITE:
            op.execute(f"DROP TRIGGER {name}")
    op.drop_table("audit_position")
