"""Counts over the whole ledger, for /metrics: how many rows are in each state, and what ever happened. Reads only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Table, func, select

from dicom_node.ledger.database import Database
from dicom_node.ledger.states import JobState
from dicom_node.ledger.tables import audit, commitment_request, delivery, instance, job, notice, series

BY_STATE: Mapping[str, Table] = {
    "series": series, "jobs": job, "deliveries": delivery, "commitment_requests": commitment_request,
}  # fmt: skip
REFUSED = "association.refused"


@dataclass(frozen=True)
class Happened:
    """What the audit trail counts up to the row ``seq``: events by name, and associations that were refused."""

    seq: int = 0
    events: Mapping[str, int] = field(default_factory=dict)
    refused: int = 0


def by_state(database: Database) -> dict[str, dict[str, int]]:
    """Number of rows in each state, by what they are."""
    found = {}
    with database.reading() as connection:
        for name, table in BY_STATE.items():
            query = select(table.c.state, func.count().label("number")).group_by(table.c.state)
            found[name] = {row.state: row.number for row in connection.execute(query)}
    return found


def received(database: Database) -> tuple[int, int]:
    """How many series and images ever came: their rows are numbered in turn and never removed."""
    with database.reading() as connection:
        numbers = [connection.execute(select(func.max(table.c.id))).scalar() or 0 for table in (series, instance)]
        return numbers[0], numbers[1]


def notices_by_kind(database: Database) -> dict[str, int]:
    """Notices that last, by their kind."""
    with database.reading() as connection:
        query = select(notice.c.kind, func.count().label("number")).where(notice.c.over_at.is_(None))
        return {row.kind: row.number for row in connection.execute(query.group_by(notice.c.kind))}


def newest(database: Database, state: JobState) -> datetime | None:
    """When a job last came to a state in which it still is."""
    with database.reading() as connection:
        query = select(job.c.updated_at).where(job.c.state == state).order_by(job.c.updated_at.desc()).limit(1)
        found: datetime | None = connection.execute(query).scalar()
        return found


def latest(database: Database, event: str) -> int | None:
    """Number of the latest row of the audit trail about such an event."""
    with database.reading() as connection:
        found: int | None = connection.execute(select(func.max(audit.c.seq)).where(audit.c.event == event)).scalar()
        return found


def happened_since(database: Database, before: Happened) -> Happened:
    """The same with what was written since: rows of the audit trail are numbered in turn and never removed.

    Where the trail is shorter than it was, the ledger is another one, and is counted from its beginning.
    """
    with database.reading() as connection:
        last = connection.execute(select(func.max(audit.c.seq))).scalar() or 0
        if last < before.seq:
            before = Happened()
        new = (audit.c.seq > before.seq) & (audit.c.seq <= last)
        counted = connection.execute(select(audit.c.event, func.count()).where(new).group_by(audit.c.event))
        events = dict(before.events)
        for event, number in counted:
            events[event] = events.get(event, 0) + number
        details = connection.execute(select(audit.c.detail).where(new, audit.c.event == REFUSED)).scalars()
        return Happened(last, events, before.refused + sum(json.loads(detail)["times"] for detail in details))
