"""A restored job mirrors its deliveries: whatever moves one of them settles the job in the same transaction."""

from datetime import datetime

from sqlalchemy import Connection, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.states import JOB_MOVES, DeliveryState, JobState, job_state_of, sources
from dicom_node.ledger.tables import delivery, job

# Deliveries of a job in another state (cancelled, superseded, queued anew) do not move, and do not move the job.
DELIVERABLE = (JobState.RESTORED, JobState.SENDING, JobState.SENT, JobState.VERIFIED, JobState.PARKED)


def settle(connection: Connection, actor: str, now: datetime, job_id: int) -> None:
    """Make the job's state what its deliveries say."""
    rows = connection.execute(select(delivery.c.state, delivery.c.reason).where(delivery.c.job_id == job_id)).all()
    state = job_state_of([DeliveryState(row.state) for row in rows])
    reason = "; ".join(dict.fromkeys(row.reason for row in rows if row.reason))
    before = connection.execute(select(job.c.state, job.c.reason).where(job.c.id == job_id)).one()
    if before.state not in DELIVERABLE or (before.state, before.reason) == (state, reason):
        return
    legal = (job.c.id == job_id) & job.c.state.in_([*sources(JOB_MOVES, state), state])
    moved = connection.execute(update(job).where(legal).values(state=state, reason=reason, updated_at=now))
    if moved.rowcount and before.state != state:
        chain.append(connection, now, actor, f"job.{state}", f"job:{job_id}", reason=reason)
