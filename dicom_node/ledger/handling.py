"""What people did with files, in the audit trail: each row is written before it happens."""

from typing import Any

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now


def quarantine(database: Database, what: str, name: str, reason: str) -> None:
    """A file in quarantine was ``retried``, ``exported`` or ``removed``; ``name`` is its digest."""
    _note(database, f"quarantine.{what}", f"quarantine:{name[:32]}", digest=name, reason=reason)


def result(database: Database, job_id: int, instances: int, to: str, reason: str) -> None:
    """A result left the node by a person's hand; ``to`` says where, and names no path."""
    _note(database, "result.downloaded", f"job:{job_id}", instances=instances, to=to, reason=reason)


def _note(database: Database, event: str, subject: str, **detail: Any) -> None:
    with database.transaction() as connection:
        chain.append(connection, database_now(connection), database.actor, event, subject, **detail)
