"""Verbs for deliveries: one job's result to one PACS, until the PACS has confirmed every instance.

A job mirrors its deliveries: every verb here that moves one also settles the job, in the same transaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, case, insert, select, update

from dicom_node.errors import StaleFence
from dicom_node.ledger import chain, circuits, claims
from dicom_node.ledger.claims import Due, lost_claims, ring_due
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.mirror import DELIVERABLE, settle
from dicom_node.ledger.states import DeliveryState
from dicom_node.ledger.switches import claims_open
from dicom_node.ledger.tables import delivery, delivery_instance, job
from dicom_node.records import InstanceOutcome

CLAIMED = {DeliveryState.PENDING: DeliveryState.SENDING, DeliveryState.SENT: DeliveryState.VERIFYING}
NEVER = timedelta(days=36500)


@dataclass(frozen=True)
class DeliveryClaim:
    """A worker's right to a delivery until its lease ends.

    Attributes
    ----------
    state : DeliveryState
        ``sending`` or ``verifying``: what is to be done.
    unsent : frozenset of str
        SOP Instance UIDs that no PACS answer says are stored.
    attempt : int
        Claims so far: the measure of when to stop trying, whatever went wrong in between.
    """

    delivery_id: int
    job_id: int
    destination: str
    state: DeliveryState
    fence: int
    attempt: int
    result: str
    unsent: frozenset[str]
    transaction_uid: str | None


def due_deliveries(database: Database, again_s: float) -> list[Due]:
    """Deliveries that may be claimed and whose bell is not ringing, the most urgent first; marks them as rung.

    A bell that was heard by nobody rings again after ``again_s``.
    """
    priority = select(job.c.priority).where(job.c.id == delivery.c.job_id).scalar_subquery()
    return ring_due(database, delivery, lambda now: delivery.c.state.in_(CLAIMED) & _may_go(now), priority, again_s)


def unring(database: Database, delivery_ids: Sequence[int]) -> None:
    """No bell sounded for these: ring them at the next tick."""
    claims.unring(database, delivery, delivery_ids)


def claim(database: Database, delivery_id: int, owner: str, lease_s: float) -> DeliveryClaim | None:
    """Take a delivery: None when another worker has it, it is not due, or it may not go.

    It may not where nothing is claimed (``switches.pause``), its job is cancelled, superseded or purged, or the circuit
    of its PACS is open.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        lease_until = now + timedelta(seconds=lease_s)
        taken = connection.execute(
            update(delivery)
            .where(delivery.c.id == delivery_id, delivery.c.state.in_(CLAIMED), delivery.c.due_at <= now, _may_go(now))
            .values(
                state=case(CLAIMED, value=delivery.c.state), owner=owner, lease_until=lease_until,
                fence=delivery.c.fence + 1, attempt=delivery.c.attempt + 1, updated_at=now,
            )
            .returning(delivery)
        ).mappings().first()  # fmt: skip
        if taken is None:
            return None
        settle(connection, database.actor, now, taken["job_id"])
        if taken["state"] == DeliveryState.SENDING:
            subject, name = f"delivery:{delivery_id}", taken["destination"]
            circuits.probe(connection, name, lease_until)
            chain.append(connection, now, database.actor, "delivery.sending", subject, destination=name)
        fields = {name: taken[name] for name in ("job_id", "destination", "fence", "attempt", "transaction_uid")}
        return DeliveryClaim(
            delivery_id=delivery_id,
            state=DeliveryState(taken["state"]),
            result=connection.execute(select(job.c.result).where(job.c.id == taken["job_id"])).scalar_one(),
            unsent=frozenset(uids_of(connection, delivery_id, stored=False)),
            **fields,
        )


def beat(database: Database, claim_: DeliveryClaim, lease_s: float) -> None:
    """Renew the lease. StaleFence when the delivery is someone else's now."""
    with database.transaction(in_turn=False) as connection:
        lease_until = database_now(connection) + timedelta(seconds=lease_s)
        if connection.execute(_mine(claim_).values(lease_until=lease_until)).rowcount == 0:
            raise StaleFence(f"delivery {claim_.delivery_id} is no longer ours")


def answered(database: Database, claim_: DeliveryClaim, outcomes: Sequence[InstanceOutcome]) -> None:
    """Note what the PACS answered for each instance, so that a resume sends only the rest.

    StaleFence when the delivery is someone else's now, or was stopped: so that its sender stops too.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        if connection.execute(_mine(claim_).values(updated_at=now)).rowcount == 0:
            raise StaleFence(f"delivery {claim_.delivery_id} is no longer ours")
        for outcome in outcomes:
            connection.execute(
                update(delivery_instance)
                .where(
                    delivery_instance.c.delivery_id == claim_.delivery_id,
                    delivery_instance.c.sop_uid == outcome.sop_instance_uid,
                )
                .values(stored=outcome.stored, status=outcome.status, answered_at=now)
            )


def sent(database: Database, claim_: DeliveryClaim, transaction_uid: str | None, ask_in_s: float) -> None:
    """Every instance was answered with success. Keep the commitment transaction before it is asked for."""
    with database.transaction() as connection:
        now = database_now(connection)
        due = now + timedelta(seconds=ask_in_s)
        values = {"transaction_uid": transaction_uid, "due_at": due, "rung_at": None}
        _leave(connection, database.actor, now, claim_, DeliveryState.SENT, "waiting for the PACS to confirm", values)


def verified(database: Database, claim_: DeliveryClaim, verified_by: str) -> None:
    """The PACS confirmed every instance."""
    with database.transaction() as connection:
        now = database_now(connection)
        _leave(connection, database.actor, now, claim_, DeliveryState.VERIFIED, "", {"verified_by": verified_by})


def unconfirmed(database: Database, claim_: DeliveryClaim, reason: str, retry_in_s: float | None) -> None:
    """The PACS could not be asked. Ask again later, or (None) stay ``sent, unverified`` for good."""
    with database.transaction() as connection:
        now = database_now(connection)
        due = now + (NEVER if retry_in_s is None else timedelta(seconds=retry_in_s))
        _leave(connection, database.actor, now, claim_, DeliveryState.SENT, reason, {"due_at": due, "rung_at": None})


def missing(database: Database, claim_: DeliveryClaim, absent: Sequence[str], retry_in_s: float) -> None:
    """The PACS does not have these instances, whatever it answered: send them again."""
    with database.transaction() as connection:
        now = database_now(connection)
        unstore(connection, claim_.delivery_id, absent)
        values = {"due_at": now + timedelta(seconds=retry_in_s), "rung_at": None, "transaction_uid": None}
        reason = f"{claim_.destination} lacks {len(absent)} instances that it had accepted; sending them again"
        _leave(connection, database.actor, now, claim_, DeliveryState.PENDING, reason, values)


def postpone(database: Database, claim_: DeliveryClaim, reason: str, retry_in_s: float) -> None:
    """The PACS was away or refused for now: send the rest later."""
    with database.transaction() as connection:
        now = database_now(connection)
        values = {"due_at": now + timedelta(seconds=retry_in_s), "rung_at": None}
        _leave(connection, database.actor, now, claim_, DeliveryState.PENDING, reason, values)


def park(database: Database, claim_: DeliveryClaim, reason: str) -> None:
    """Stop trying until a person says otherwise. Nothing is dropped."""
    with database.transaction() as connection:
        _leave(connection, database.actor, database_now(connection), claim_, DeliveryState.PARKED, reason, {})


def add(database: Database, job_id: int, destinations: Sequence[str], uids: Sequence[str]) -> None:
    """Enter deliveries of a stored result, one per destination; ``uids`` are its SOP Instance UIDs."""
    with database.transaction() as connection:
        now = database_now(connection)
        for name in destinations:
            enter(connection, now, job_id, name, uids)
            chain.append(connection, now, database.actor, "delivery.pending", f"job:{job_id}", destination=name)
        settle(connection, database.actor, now, job_id)


def enter(connection: Connection, now: datetime, job_id: int, destination: str, uids: Sequence[str]) -> None:
    """Enter one delivery inside the caller's transaction; one of a result that was made before begins anew."""
    values = {"state": DeliveryState.PENDING, "reason": "", "due_at": now, "rung_at": None, "updated_at": now}
    anew = {**values, "attempt": 0, "deaths": 0, "transaction_uid": None, "verified_by": None}
    known = (delivery.c.job_id == job_id) & (delivery.c.destination == destination)
    found = connection.execute(update(delivery).where(known).values(**anew).returning(delivery.c.id)).scalar()
    if found is not None:
        unstore(connection, found, uids)
        return
    new = insert(delivery).values(job_id=job_id, destination=destination, **values).returning(delivery.c.id)
    delivery_id = connection.execute(new).scalar_one()
    connection.execute(insert(delivery_instance), [{"delivery_id": delivery_id, "sop_uid": uid} for uid in uids])


def stop(connection: Connection, now: datetime, job_id: int) -> None:
    """Take the deliveries of a job out of their senders' hands, inside the caller's transaction."""
    for waiting, claimed in CLAIMED.items():
        values = {"state": waiting, "owner": None, "lease_until": None, "updated_at": now}
        mine = (delivery.c.job_id == job_id) & (delivery.c.state == claimed)
        connection.execute(update(delivery).where(mine).values(fence=delivery.c.fence + 1, **values))


def retry(database: Database, delivery_id: int, reason: str) -> bool:
    """At a person's wish, send a parked delivery again, or ask again about a sent one. False for any other."""
    again = case((delivery.c.state == DeliveryState.PARKED, DeliveryState.PENDING), else_=DeliveryState.SENT)
    start_anew = {"reason": "", "attempt": 0, "deaths": 0, "rung_at": None}
    with database.transaction() as connection:
        now = database_now(connection)
        job_id = connection.execute(
            update(delivery)
            .where(delivery.c.id == delivery_id, delivery.c.state.in_([DeliveryState.PARKED, DeliveryState.SENT]))
            .values(state=again, due_at=now, updated_at=now, **start_anew)
            .returning(delivery.c.job_id)
        ).scalar()
        if job_id is None:
            return False
        chain.append(connection, now, database.actor, "delivery.retry", f"delivery:{delivery_id}", reason=reason)
        settle(connection, database.actor, now, job_id)
        return True


def expire(database: Database, is_gone: Callable[[str], bool], deaths_allowed: int) -> int:
    """Take back deliveries whose lease ended or whose process is gone; returns how many.

    One whose sender died ``deaths_allowed`` times is parked, or stays ``sent, unverified``.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        lost = [row for state in CLAIMED.values() for row in lost_claims(connection, delivery, state, is_gone, now)]
        for row in lost:
            given_up = row["deaths"] + 1 >= deaths_allowed
            values = {"owner": None, "lease_until": None, "updated_at": now, **_after_death(row, now, given_up)}
            raised = {"fence": delivery.c.fence + 1, "deaths": delivery.c.deaths + 1, "rung_at": None}
            connection.execute(update(delivery).where(delivery.c.id == row["id"]).values(**values, **raised))
            subject, owner = f"delivery:{row['id']}", row["owner"]
            reason = values["reason"]
            chain.append(connection, now, database.actor, "delivery.expired", subject, owner=owner, reason=reason)
            job_id = connection.execute(select(delivery.c.job_id).where(delivery.c.id == row["id"])).scalar_one()
            settle(connection, database.actor, now, job_id)
        return len(lost)


def _after_death(row: RowMapping, now: datetime, given_up: bool) -> dict[str, Any]:
    """Where a delivery goes whose sender died."""
    sending = row["state"] == DeliveryState.SENDING
    waiting = DeliveryState.PENDING if sending else DeliveryState.SENT
    if not given_up:
        return {"state": waiting, "reason": "the sender died; resuming", "due_at": now}
    reason = f"the sender died {row['deaths'] + 1} times on this delivery"
    if sending:
        return {"state": DeliveryState.PARKED, "reason": reason, "due_at": now}
    return {"state": waiting, "reason": f"sent, unverified: {reason}", "due_at": now + NEVER}


def _may_go(now: datetime) -> ColumnElement[bool]:
    alive = select(job.c.id).where(job.c.state.in_(DELIVERABLE), job.c.purged_at.is_(None))
    return delivery.c.job_id.in_(alive) & circuits.lets_through(now) & claims_open()


def _mine(claim_: DeliveryClaim) -> Any:
    same = (
        (delivery.c.id == claim_.delivery_id) & (delivery.c.fence == claim_.fence) & (delivery.c.state == claim_.state)
    )
    return update(delivery).where(same)


def _leave(
    connection: Connection,
    actor: str,
    now: datetime,
    claim_: DeliveryClaim,
    state: DeliveryState,
    reason: str,
    values: dict[str, Any],
) -> None:
    values = {"owner": None, "lease_until": None, "updated_at": now, "reason": reason, **values}
    if connection.execute(_mine(claim_).values(state=state, **values)).rowcount == 0:
        raise StaleFence(f"delivery {claim_.delivery_id} is no longer ours")
    subject = f"delivery:{claim_.delivery_id}"
    chain.append(connection, now, actor, f"delivery.{state}", subject, reason=reason, destination=claim_.destination)
    settle(connection, actor, now, claim_.job_id)


def unstore(connection: Connection, delivery_id: int, uids: Sequence[str]) -> None:
    """Forget that the PACS stored these instances."""
    condition = (delivery_instance.c.delivery_id == delivery_id) & delivery_instance.c.sop_uid.in_(uids)
    connection.execute(update(delivery_instance).where(condition).values(stored=False))


def uids_of(connection: Connection, delivery_id: int, *, stored: bool) -> Sequence[str]:
    """Instances of a delivery that the PACS stored, or not."""
    condition = (delivery_instance.c.delivery_id == delivery_id) & (delivery_instance.c.stored == stored)
    return connection.execute(select(delivery_instance.c.sop_uid).where(condition)).scalars().all()
