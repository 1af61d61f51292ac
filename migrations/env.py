"""Run by alembic for every command: opens the database and hands it the ledger's tables."""

from alembic import context
from sqlalchemy import Connection, create_engine, text

from dicom_node.ledger.tables import metadata

MIGRATION_LOCK = 0x7448534D  # one migration at a time on PostgreSQL, whoever starts first


def run(connection: Connection) -> None:
    """Run the wanted steps in one transaction."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.run_migrations()


engine = create_engine(context.config.attributes["url"])
with engine.begin() as opened:
    run(opened)
engine.dispose()
