"""Run by alembic for every command: opens the database and hands it the ledger's tables.

Two programs may start at once: the whole step is one transaction that the second waits for (BEGIN IMMEDIATE on SQLite,
an advisory lock on PostgreSQL), and then finds done.
"""

from alembic import context
from sqlalchemy import Connection, text

from dicom_node.ledger.database import Database
from dicom_node.ledger.tables import metadata

MIGRATION_LOCK = 0x7448534D  # any constant of ours


def run(connection: Connection) -> None:
    """Run the wanted steps."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.run_migrations()


database = Database(context.config.attributes["url"], "migrations")
with database.transaction() as opened:
    run(opened)
database.close()
