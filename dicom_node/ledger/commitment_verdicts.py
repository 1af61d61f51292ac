"""Verbs for what this node commits to: what it has of the instances of a request, and what was decided of each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from dicom_node.commitment import CommitmentVerdict, Reference
from dicom_node.errors import StaleFence
from dicom_node.ledger.commitment_requests import RequestClaim, mine, note, reference
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.purging import is_kept
from dicom_node.ledger.tables import commitment_reference, instance


@dataclass(frozen=True)
class Kept:
    """An instance that the ledger has; ``contradicted`` where other content came under its UID."""

    sop_class_uid: str
    path: str
    contradicted: bool


def undecided(database: Database, claim_: RequestClaim) -> dict[Reference, Kept | None]:
    """Instances of a request that nothing was decided about, with what the ledger has of each."""
    ours = commitment_reference.c.request_id == claim_.request_id
    with database.reading() as connection:
        query = select(commitment_reference).where(ours, commitment_reference.c.failure.is_(None))
        references = [reference(row) for row in connection.execute(query).mappings()]
        columns = (instance.c.sop_uid, instance.c.sop_class_uid, instance.c.path, instance.c.sha256)
        here = select(*columns).where(is_kept(), instance.c.sop_uid == commitment_reference.c.sop_uid, ours)
        found: dict[str, list[Any]] = {}
        for row in connection.execute(here.order_by(instance.c.id)):
            found.setdefault(row.sop_uid, []).append(row)
    return {item: _kept(found.get(item.sop_instance_uid, [])) for item in references}


def decide(database: Database, claim_: RequestClaim, verdicts: Sequence[CommitmentVerdict]) -> None:
    """Note what became of instances; this is the moment in which the node commits to them. StaleFence as `beat`."""
    if not verdicts:
        return
    with database.transaction() as connection:
        now = database_now(connection)
        if connection.execute(mine(claim_).values(updated_at=now)).rowcount == 0:
            raise StaleFence(f"commitment request {claim_.request_id} is no longer ours")
        sums = Counter(verdict.failure for verdict in verdicts)
        for failure in sums:
            uids = [item.reference.sop_instance_uid for item in verdicts if item.failure == failure]
            these = (commitment_reference.c.request_id == claim_.request_id) & commitment_reference.c.sop_uid.in_(uids)
            connection.execute(update(commitment_reference).where(these).values(failure=failure))
        counts = {"committed": sums[0], "failed": len(verdicts) - sums[0]}
        note(connection, database.actor, now, "decided", claim_.request_id, **counts)


def decided(database: Database, claim_: RequestClaim) -> list[CommitmentVerdict]:
    """What became of every instance of a request."""
    with database.reading() as connection:
        ours = commitment_reference.c.request_id == claim_.request_id
        rows = connection.execute(select(commitment_reference).where(ours, commitment_reference.c.failure.is_not(None)))
        return [CommitmentVerdict(reference(row), row["failure"]) for row in rows.mappings()]


def _kept(rows: Sequence[Any]) -> Kept | None:
    if not rows:
        return None
    return Kept(rows[0].sop_class_uid, rows[0].path, contradicted=len({row.sha256 for row in rows}) > 1)
