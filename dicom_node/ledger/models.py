"""Which model a queued job is for: a worker claims only jobs for the weights it has."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, RowMapping, desc, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.jobs import job_key
from dicom_node.ledger.states import JobState
from dicom_node.ledger.switches import claims_open
from dicom_node.ledger.tables import instance, job, job_instance, series
from dicom_node.plans import Plan


@dataclass(frozen=True)
class ModelChoice:
    """What jobs of one rule are restored with: a model, and the digest of all that changes the result beside it."""

    model_name: str
    model_digest: str
    config_digest: str
    plan: Plan


def most_urgent(database: Database, model_digests: Set[str]) -> int | None:
    """The queued job for these models that is to be claimed next; None where nothing is due or claims are paused."""
    with database.reading() as connection:
        due = _queued(database_now(connection)) & job.c.model_digest.in_(model_digests) & claims_open()
        query = select(job.c.id).where(due).order_by(desc(job.c.priority), job.c.due_at, job.c.id).limit(1)
        found: int | None = connection.execute(query).scalar()
        return found


def waiting_for_others(database: Database, model_digests: Set[str]) -> str:
    """Name of a model that due jobs wait for and that is none of these; empty where there is none."""
    with database.reading() as connection:
        other = _queued(database_now(connection)) & job.c.model_digest.not_in(model_digests)
        return connection.execute(select(job.c.model_name).where(other).order_by(job.c.id).limit(1)).scalar() or ""


def adopt(
    database: Database,
    choices: Mapping[str, ModelChoice],
    settled_s: float,
    chosen: Callable[[Plan], ModelChoice] | None = None,
) -> int:
    """Make queued jobs for a model that the node has no more jobs for the one that their rule has; returns how many.

    Nothing of a queued job has left the node, so that its key may change; without this nobody could claim it after the
    node got other weights. One whose new key exists is superseded by the job of that key. Where a result goes stays
    as it was decided.

    Parameters
    ----------
    choices : mapping
        By the name of their rule; under an empty name for jobs of no rule, and of rules that there are no more.
    settled_s : float
        Jobs that changed within this time are left alone, so that two nodes with different models take no turns.
    chosen : callable, optional
        What a job is restored with that a person chose the network of.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        digests = {choice.model_digest for choice in choices.values()}
        other = (job.c.state == JobState.QUEUED) & job.c.model_digest.not_in(digests)
        settled = other & (job.c.updated_at <= now - timedelta(seconds=settled_s))
        own = ("id", "job_key", "model_name", "model_digest", "rule", "plan")
        columns = (*(job.c[name] for name in own), series.c.series_uid)
        joined = job.join(series, series.c.id == job.c.series_id)
        rows = connection.execute(select(*columns).select_from(joined).where(settled)).mappings().all()
        moved = 0
        for row in rows:
            choice = choices.get(row["rule"], choices[""])
            if chosen is not None and row["plan"].again is not None:
                choice = chosen(row["plan"])
            if choice.model_digest == row["model_digest"]:
                continue
            sources = _sources(connection, row["id"])
            key = job_key(row["series_uid"], sources, choice.model_digest, choice.config_digest)
            _move(connection, database.actor, now, row, key, choice)
            moved += 1
        return moved


def _queued(now: datetime) -> ColumnElement[bool]:
    return (job.c.state == JobState.QUEUED) & (job.c.due_at <= now)


def _sources(connection: Connection, job_id: int) -> list[tuple[str, str]]:
    joined = job_instance.join(instance, instance.c.id == job_instance.c.instance_id)
    query = select(instance.c.sop_uid, instance.c.sha256).select_from(joined).where(job_instance.c.job_id == job_id)
    return [(row.sop_uid, row.sha256) for row in connection.execute(query)]


def _move(connection: Connection, actor: str, now: datetime, row: RowMapping, key: str, choice: ModelChoice) -> None:
    mine = update(job).where(job.c.id == row["id"], job.c.state == JobState.QUEUED)
    if connection.execute(select(job.c.id).where(job.c.job_key == key)).first() is not None:
        reason = f"the same job for {choice.model_name}, which this node has now, is there already"
        connection.execute(mine.values(state=JobState.SUPERSEDED, reason=reason, updated_at=now))
        chain.append(connection, now, actor, "job.superseded", f"job:{row['id']}", reason=reason)
        return
    reason = f"queued for {row['model_name']} with other weights or settings; this node has {choice.model_name} now"
    plan = replace(choice.plan, destinations=row["plan"].destinations)
    values = {"job_key": key, "model_name": choice.model_name, "model_digest": choice.model_digest, "plan": plan}
    connection.execute(mine.values(**values, reason=reason, rung_at=None, updated_at=now))
    chain.append(
        connection, now, actor, "job.model", f"job:{row['id']}", reason=reason, old_key=row["job_key"], key=key
    )
