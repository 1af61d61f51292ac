"""Who tried the rules, and how often each rule decides."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.tables import job

COUNTED = 10_000


def jobs_by_rule(database: Database, rules: Sequence[str], days: float) -> dict[str, int]:
    """How many jobs each of these rules made within this time, of each ``COUNTED`` at the most."""
    with database.reading() as connection:
        since = database_now(connection) - timedelta(days=days)
        found = {}
        for rule in rules:
            mine = select(job.c.id).where(job.c.rule == rule, job.c.created_at >= since).limit(COUNTED).subquery()
            found[rule] = connection.execute(select(func.count()).select_from(mine)).scalar_one()
        return found


def tried(database: Database, subject: str, outcomes: Sequence[str], rules: Sequence[str]) -> None:
    """Note in the audit trail that somebody tried the rules: on ``series:7`` or ``file``, and what came of it."""
    with database.transaction() as connection:
        now = database_now(connection)
        detail = {"outcome": list(outcomes), "rule": list(rules)}
        chain.append(connection, now, database.actor, "rules.tried", subject, **detail)
