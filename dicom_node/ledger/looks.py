"""That somebody has looked at what the ledger does not hold: the patient of a series."""

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now


def patient_viewed(database: Database, series_id: int, reason: str) -> None:
    """Enter in the audit trail who looks whose images these are. LedgerError: it is not entered, so do not show it."""
    with database.transaction() as connection:
        detail = {"reason": reason} if reason else {}
        chain.append(
            connection, database_now(connection), database.actor, "patient.viewed", f"series:{series_id}", **detail
        )
