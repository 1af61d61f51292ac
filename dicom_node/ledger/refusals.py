"""Who was not let in, in the audit trail."""

from collections.abc import Sequence

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.records import Refusal


def record(database: Database, refusals: Sequence[Refusal]) -> None:
    """Enter each as ``association.refused``. LedgerError: none is."""
    if not refusals:
        return
    with database.transaction() as connection:
        now = database_now(connection)
        for each in refusals:
            detail = {"ae_title": each.ae_title, "reason": each.reason, "times": each.times}
            chain.append(connection, now, database.actor, "association.refused", each.peer_ip, **detail)
