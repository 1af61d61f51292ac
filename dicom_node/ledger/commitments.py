"""The verb for storage commitment: what a PACS reports about a delivery (PS3.4 J.3.3)."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.deliveries import uids_of, unstore
from dicom_node.ledger.mirror import settle
from dicom_node.ledger.states import DeliveryState
from dicom_node.ledger.tables import delivery, job
from dicom_node.records import CommitmentReport


def apply(database: Database, report: CommitmentReport, attempts: int, retry_in_s: float) -> bool:
    """Apply a storage commitment report (PS3.4 J.3.3). False when no delivery waits for that transaction.

    A report may arrive twice, late, or while the delivery is being checked in another way; its word is final. What the
    PACS lost is sent again after ``retry_in_s``, unless the delivery was claimed ``attempts`` times: then it is parked.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        found = connection.execute(
            select(delivery).where(delivery.c.transaction_uid == report.transaction_uid)
        ).mappings()
        row = found.first()
        if row is None:
            return False
        lost = [uid for uid, _ in report.failed]
        expected = set(uids_of(connection, row["id"], stored=True))
        lost += sorted(expected - set(report.stored) - set(lost))
        unstore(connection, row["id"], lost)
        purged = connection.execute(select(job.c.purged_at).where(job.c.id == row["job_id"])).scalar()
        state, reason = _verdict(len(lost), row["attempt"] < attempts, purged is not None)
        due = now + timedelta(seconds=retry_in_s)
        _apply_report(connection, database.actor, now, row, state, reason, due)
        return True


def _verdict(lost: int, again: bool, purged: bool) -> tuple[DeliveryState, str]:
    if not lost:
        return DeliveryState.VERIFIED, ""
    reason = f"storage commitment: the PACS lacks {lost} instances that it had accepted"
    if purged:
        return DeliveryState.PARKED, f"{reason}, and the result was removed from this node after its time"
    return (DeliveryState.PENDING if again else DeliveryState.PARKED), reason


def _apply_report(
    connection: Connection, actor: str, now: datetime, row: RowMapping, state: DeliveryState, reason: str, due: datetime
) -> None:
    by = "storage commitment"
    connection.execute(
        update(delivery)
        .where(delivery.c.id == row["id"])
        .values(
            state=state, reason=reason, transaction_uid=None, verified_by=by if state == "verified" else None,
            fence=delivery.c.fence + 1, owner=None, lease_until=None, due_at=due, rung_at=None, updated_at=now,
        )
    )  # fmt: skip
    chain.append(connection, now, actor, f"delivery.{state}", f"delivery:{row['id']}", by=by, reason=reason)
    settle(connection, actor, now, row["job_id"])
