"""What somebody who rules the database can do to the audit trail, and nobody else."""

from sqlalchemy import Connection

from dicom_node.ledger.database import Database

TRIGGERS = ("audit_is_not_changed", "audit_is_not_removed", "audit_is_not_replaced")


def unlock(connection: Connection) -> None:
    """Drop the triggers that keep the trail from being changed."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DROP TRIGGER audit_is_append_only ON audit")
        return
    for name in TRIGGERS:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")


def tamper(database: Database, *statements: str) -> None:
    """Do so, and then this."""
    with database.transaction() as connection:
        unlock(connection)
        for statement in statements:
            connection.exec_driver_sql(statement)
