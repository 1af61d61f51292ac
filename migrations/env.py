"""Run by alembic for every command: opens the database and hands it the ledger's tables.

Two programs may start at once: the whole step is one transaction that the second waits for, because writers of the
ledger take turns, and then finds done. A program killed in the middle leaves the schema as it was.
"""

from alembic import context
from sqlalchemy import Connection

from dicom_node.ledger.database import Database
from dicom_node.ledger.tables import metadata


def run(connection: Connection) -> None:
    """Run the wanted steps."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


database = Database(context.config.attributes["url"], "migrations")
with database.transaction() as opened:
    run(opened)
database.close()
