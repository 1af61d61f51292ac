"""How the answers of the API and of ``--json`` are gathered from the ledger."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from dicom_node.ledger import browse, channels, notices, outcomes, overview, queries, switches, tokens, users, workers
from dicom_node.ledger.browse import PAGE, AuditFilter, SeriesFilter
from dicom_node.ledger.queries import JobView
from dicom_node.ledger.states import JobState
from dicom_node.receive.quarantine import newest
from dicom_node.settings import RuleSettings
from worker.console import facts, series_facts
from worker.console.searching import Search
from worker.console.shapes import (
    AuditPage,
    AuditRow,
    CommitmentsPage,
    DeliveryOutcomes,
    Held,
    HistoryRow,
    ImageFact,
    JobLine,
    JobsPage,
    JobWay,
    Notices,
    Partners,
    Quarantine,
    RuleFact,
    Rules,
    SeriesDetail,
    SeriesPage,
    Tokens,
    Users,
    Workers,
)
from worker.wiring import Node

REFUSED = "association.refused"
# What a rule says of a series that it takes; all else of it are conditions.
DOES = frozenset({"name", "restore", "network", "target_spacing_mm", "priority", "destinations"})


def series_page(node: Node, search: Search) -> SeriesPage:
    """Series that are like this, with the addresses of the pages beside."""
    leaf = browse.series_leaf(node.database, search.wanted, search.order, search.beside, back=search.back)
    older = search.page(leaf.older, path="/api/series") if leaf.older else None
    newer = search.page(leaf.newer, back=True, path="/api/series") if leaf.newer else None
    return SeriesPage(tuple(series_facts.page_of(leaf.entries)), older, newer)


def one_series(node: Node, series_id: int) -> SeriesDetail | None:
    """A series in full; None where there is none of that number."""
    found = series_facts.detail_of(node, series_id, drawn=False)
    if found is None:
        return None
    images = tuple(ImageFact(**_same(item, ImageFact)) for item in found.instances)
    history = tuple(HistoryRow(**{**vars(row), "detail": json.loads(row.detail)}) for row in found.history)
    ways = tuple(JobWay(item.job, item.steps) for item in found.jobs)
    return SeriesDetail(found.series, tuple(sorted(found.series.acts)), ways, images, history)


def jobs_page(node: Node, state: JobState | None, before: int | None = None, limit: int = PAGE) -> JobsPage:
    """Jobs of one state or all."""
    found = queries.jobs(node.database, state, limit + 1, before)
    shown = tuple(_line(item) for item in found[:limit])
    return JobsPage(shown, _next("/api/jobs", {"state": state}, len(found) > limit and shown[-1].id))


def delivery_outcomes(node: Node, delivery_id: int) -> DeliveryOutcomes | None:
    """A delivery image by image; None where there is none of that number."""
    found = outcomes.delivery_of(node.database, delivery_id)
    return found and DeliveryOutcomes(*found, tuple(outcomes.of_delivery(node.database, delivery_id)))


def audit_page(node: Node, wanted: AuditFilter, before: int | None = None, limit: int = PAGE) -> AuditPage:
    """Rows of the audit trail that are like this."""
    found = browse.audit_page(node.database, wanted, before, limit + 1)
    rows = tuple(AuditRow(**{**_same(row, AuditRow), "detail": json.loads(row.detail)}) for row in found[:limit])
    return AuditPage(rows, _next("/api/audit", vars(wanted), len(found) > limit and rows[-1].seq))


def held(node: Node) -> Held:
    """What waits for a person."""
    found = {
        state: tuple(series_facts.page_of(browse.series_page(node.database, SeriesFilter(state=state))))
        for state in facts.NEEDS_A_PERSON
    }
    return Held(**found, quarantine=quarantine_of(node).count)


def quarantine_of(node: Node, limit: int = PAGE) -> Quarantine:
    """Files that came and could not be read."""
    files, count = newest(node.settings.receive.spool, limit)
    return Quarantine(tuple(files), count)


def notices_of(node: Node, limit: int = PAGE) -> Notices:
    """What is amiss, what is over, and what was sent."""
    database = node.database
    return Notices(
        lasting=tuple(notices.lasting(database)),
        ended=tuple(notices.ended(database, limit)),
        sent=tuple(channels.messages(database, limit)),
        failing=tuple(channels.failing(database)),
    )


def workers_of(node: Node) -> Workers:
    """The processes that work on the ledger."""
    database = node.database
    return Workers(
        processes=tuple(workers.everyone(database)),
        pause=switches.paused(database),
        running=facts.running_of(node, overview.now(database)),
        counts=overview.counts(database),
    )


def partners(node: Node) -> Partners:
    """Who sends and who receives."""
    listener = node.settings.receive
    return Partners(
        ae_title=listener.ae_title,
        host=listener.host,
        port=listener.port,
        tls_port=listener.tls.port if listener.tls else None,
        destinations=facts.destinations_of(node),
        scanners=facts.scanners_of(node, overview.now(node.database)),
        refused=audit_page(node, AuditFilter(event=REFUSED), limit=20).rows,
    )


def commitments_page(node: Node, before: int | None = None, limit: int = PAGE) -> CommitmentsPage:
    """What scanners asked this node to keep."""
    found = queries.commitment_requests(node.database, limit=limit + 1, before=before)
    shown = tuple(found[:limit])
    return CommitmentsPage(shown, _next("/api/commitments", {}, len(found) > limit and shown[-1].id))


def rules_of(rules: Sequence[RuleSettings]) -> Rules:
    """The node's rules."""
    return Rules(tuple(_rule(item) for item in rules))


def users_of(node: Node) -> Users:
    """Who may use the console."""
    return Users(tuple(users.everyone(node.database)))


def tokens_of(node: Node, user_name: str = "") -> Tokens:
    """Every token, or those of one user."""
    return Tokens(tuple(tokens.everyone(node.database, user_name)))


def _rule(rule: RuleSettings) -> RuleFact:
    conditions = rule.model_dump(mode="json", exclude_defaults=True, exclude=set(DOES))
    return RuleFact(conditions=conditions, **{name: getattr(rule, name) for name in DOES})


def _line(job: JobView) -> JobLine:
    return JobLine(**_same(job, JobLine))


def _same(record: object, kind: type) -> dict[str, Any]:
    """What a record has of another kind's fields."""
    return {name: getattr(record, name) for name in kind.__annotations__}


def _next(path: str, wanted: dict[str, Any], before: int | bool) -> str | None:
    """Address of the page that begins before a number; None for False: there is none."""
    asked_for = {key: value for key, value in wanted.items() if value}
    return f"{path}?{urlencode({**asked_for, 'before': before})}" if before else None
