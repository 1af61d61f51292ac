"""Verbs for storage commitment that scanners ask of this node (PS3.4 J): entered, claimed, reported.

A request is due when every instance that it names is here, or when those that are not had their time to come.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, RowMapping, Update, insert, select, update

from dicom_node.commitment import CommitmentRequest, Reference
from dicom_node.errors import RequestRefused, StaleFence
from dicom_node.ledger import chain
from dicom_node.ledger.claims import lost_claims
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.purging import is_kept
from dicom_node.ledger.states import CommitmentState
from dicom_node.ledger.switches import claims_open
from dicom_node.ledger.tables import commitment_reference, commitment_request, instance
from dicom_node.status import INVALID_ARGUMENT_VALUE

C = CommitmentState


@dataclass(frozen=True)
class RequestClaim:
    """A process's right to report on a request until its lease ends; ``attempt`` counts the claims so far."""

    request_id: int
    transaction_uid: str
    calling_ae: str
    fence: int
    attempt: int


def enter(database: Database, request: CommitmentRequest, wait_s: float) -> int:
    """Enter a request for good; returns its number. The same one again does no harm.

    One that is asked again after its report is decided and reported anew: the scanner may not have got the report.

    Parameters
    ----------
    wait_s : float
        How long instances that are not here may still come.

    Raises
    ------
    RequestRefused
        0x0115: this scanner used the Transaction UID for other instances before (PS3.4 J.3.2.1.1).
    """
    with database.transaction() as connection:
        now = database_now(connection)
        same = (commitment_request.c.transaction_uid == request.transaction_uid) & (
            commitment_request.c.calling_ae == request.calling_ae
        )
        known = connection.execute(select(commitment_request.c.id).where(same)).scalar()
        if known is None:
            return _insert(connection, database.actor, now, request, wait_s)
        if set(_references(connection, known)) != set(request.references):
            raise RequestRefused("its Transaction UID was used for other instances before", INVALID_ARGUMENT_VALUE)
        again = _begin_anew(connection, known, now, wait_s)
        note(connection, database.actor, now, "asked", known, calling_ae=request.calling_ae, again=again)
        return int(known)


def due(database: Database) -> list[int]:
    """Requests that may be claimed now, the longest due first."""
    with database.reading() as connection:
        now = database_now(connection)
        query = select(commitment_request.c.id).where(_is_due(now)).order_by(commitment_request.c.due_at)
        return list(connection.execute(query).scalars())


def claim(database: Database, request_id: int, owner: str, lease_s: float) -> RequestClaim | None:
    """Take a request: None when another process has it, or it is not due."""
    with database.transaction() as connection:
        now = database_now(connection)
        taken = connection.execute(
            update(commitment_request)
            .where(commitment_request.c.id == request_id, _is_due(now))
            .values(
                state=C.REPORTING, owner=owner, lease_until=now + timedelta(seconds=lease_s), updated_at=now,
                fence=commitment_request.c.fence + 1, attempt=commitment_request.c.attempt + 1,
            )
            .returning(commitment_request)
        ).mappings().first()  # fmt: skip
        if taken is None:
            return None
        note(connection, database.actor, now, C.REPORTING, request_id, attempt=taken["attempt"])
        fields = {name: taken[name] for name in ("transaction_uid", "calling_ae", "fence", "attempt")}
        return RequestClaim(request_id, **fields)


def beat(database: Database, claim_: RequestClaim, lease_s: float) -> None:
    """Renew the lease. StaleFence when the request is someone else's now."""
    with database.transaction(in_turn=False) as connection:
        lease_until = database_now(connection) + timedelta(seconds=lease_s)
        if connection.execute(mine(claim_).values(lease_until=lease_until)).rowcount == 0:
            raise StaleFence(f"commitment request {claim_.request_id} is no longer ours")


def reported(database: Database, claim_: RequestClaim) -> None:
    """The scanner took the report."""
    _leave(database, claim_, C.REPORTED, "")


def postpone(database: Database, claim_: RequestClaim, reason: str, retry_in_s: float) -> None:
    """The scanner could not be told: try again later."""
    _leave(database, claim_, C.WAITING, reason, retry_in_s)


def park(database: Database, claim_: RequestClaim, reason: str) -> None:
    """Stop trying until a person says otherwise, or the scanner asks again."""
    _leave(database, claim_, C.PARKED, reason)


def retry(database: Database, request_id: int, reason: str) -> bool:
    """At a person's wish, decide and report anew. False where the report is under way or waits already."""
    with database.transaction() as connection:
        now = database_now(connection)
        if not _begin_anew(connection, request_id, now, 0):
            return False
        note(connection, database.actor, now, "retry", request_id, reason=reason)
        return True


def expire(database: Database, is_gone: Callable[[str], bool], deaths_allowed: int) -> int:
    """Take back requests whose lease ended or whose process is gone; returns how many."""
    with database.transaction() as connection:
        now = database_now(connection)
        lost = lost_claims(connection, commitment_request, C.REPORTING, is_gone, now)
        for row in lost:
            given_up = row["deaths"] + 1 >= deaths_allowed
            reason = f"the process died {row['deaths'] + 1} times on this report" if given_up else "reporting again"
            connection.execute(
                update(commitment_request)
                .where(commitment_request.c.id == row["id"])
                .values(
                    state=C.PARKED if given_up else C.WAITING, reason=reason, owner=None, lease_until=None, due_at=now,
                    updated_at=now, fence=commitment_request.c.fence + 1, deaths=commitment_request.c.deaths + 1,
                )
            )  # fmt: skip
            note(connection, database.actor, now, "expired", row["id"], owner=row["owner"], reason=reason)
        return len(lost)


def _insert(connection: Connection, actor: str, now: datetime, request: CommitmentRequest, wait_s: float) -> int:
    values = {
        "transaction_uid": request.transaction_uid, "calling_ae": request.calling_ae, "state": C.WAITING,
        "wait_until": now + timedelta(seconds=wait_s), "asked_at": now, "updated_at": now, "due_at": now,
    }  # fmt: skip
    new = insert(commitment_request).values(**values).returning(commitment_request.c.id)
    request_id = int(connection.execute(new).scalar_one())
    connection.execute(
        insert(commitment_reference),
        [
            {"request_id": request_id, "sop_uid": item.sop_instance_uid, "sop_class_uid": item.sop_class_uid}
            for item in request.references
        ],
    )
    count = len(request.references)
    note(connection, actor, now, "asked", request_id, calling_ae=request.calling_ae, instances=count)
    return request_id


def _begin_anew(connection: Connection, request_id: int, now: datetime, wait_s: float) -> bool:
    """Have a request that has ended decided again: what was kept then may be gone, what was not may have come."""
    ended = (commitment_request.c.id == request_id) & commitment_request.c.state.in_([C.REPORTED, C.PARKED])
    values = {
        "state": C.WAITING, "reason": "", "attempt": 0, "deaths": 0, "due_at": now, "updated_at": now,
        "wait_until": now + timedelta(seconds=wait_s),
    }  # fmt: skip
    if not connection.execute(update(commitment_request).where(ended).values(**values)).rowcount:
        return False
    ours = commitment_reference.c.request_id == request_id
    connection.execute(update(commitment_reference).where(ours).values(failure=None))
    return True


def _is_due(now: datetime) -> ColumnElement[bool]:
    here = select(instance.c.id).where(instance.c.sop_uid == commitment_reference.c.sop_uid, is_kept()).exists()
    absent = (
        select(commitment_reference.c.sop_uid)
        .where(commitment_reference.c.request_id == commitment_request.c.id)
        .where(commitment_reference.c.failure.is_(None), ~here)
        .exists()
    )
    waits = (commitment_request.c.state == C.WAITING) & (commitment_request.c.due_at <= now)
    return waits & ((commitment_request.c.wait_until <= now) | ~absent) & claims_open()


def _references(connection: Connection, request_id: int) -> list[Reference]:
    ours = commitment_reference.c.request_id == request_id
    return [reference(row) for row in connection.execute(select(commitment_reference).where(ours)).mappings()]


def reference(row: RowMapping) -> Reference:
    """A row of the instances that requests name."""
    return Reference(row["sop_class_uid"], row["sop_uid"])


def mine(claim_: RequestClaim) -> Update:
    """The UPDATE of a request that is still the claim's."""
    table = commitment_request
    same = (table.c.id == claim_.request_id) & (table.c.fence == claim_.fence) & (table.c.state == C.REPORTING)
    return update(table).where(same)


def _leave(
    database: Database, claim_: RequestClaim, state: CommitmentState, reason: str, retry_in_s: float = 0.0
) -> None:
    with database.transaction() as connection:
        now = database_now(connection)
        values = {"owner": None, "lease_until": None, "updated_at": now, "reason": reason}
        due_at = now + timedelta(seconds=retry_in_s)
        if connection.execute(mine(claim_).values(state=state, due_at=due_at, **values)).rowcount == 0:
            raise StaleFence(f"commitment request {claim_.request_id} is no longer ours")
        note(connection, database.actor, now, state, claim_.request_id, reason=reason, calling_ae=claim_.calling_ae)


def note(connection: Connection, actor: str, now: datetime, event: str, request_id: int, **detail: object) -> None:
    """Write an audit row about a request."""
    chain.append(connection, now, actor, f"commitment.{event}", f"commitment:{request_id}", **detail)
