"""What must hold after every fault, once the node is at rest: I1 to I6 of docs/reliability.md."""

import json
import urllib.request
from collections.abc import Iterable
from hashlib import sha256
from typing import Protocol

from sqlalchemy import select

from dicom_node.ledger import chain, queries
from dicom_node.ledger.queries import JobView
from dicom_node.ledger.tables import commitment_request, delivery, instance, job, series
from tests.nodes import Node
from tests.servers import Pacs
from tests.waiting import until

PATIENT_WORDS = ("SECRET^PERSON", "SECRET", "PHANTOM")  # of every phantom that fault tests send
SETTLED = ("verified", "skipped", "held", "failed", "parked", "cancelled", "superseded")
UNVERIFIED = "sent, unverified"
REST_S = 400.0


class Holdings(Protocol):
    """A PACS that says what it holds."""

    def holdings(self) -> dict[str, int]:
        """Series and their number of instances."""


class OrthancHoldings:
    """What an Orthanc holds, by its REST interface."""

    def __init__(self, pacs: Pacs) -> None:
        self._pacs = pacs

    def holdings(self) -> dict[str, int]:
        """Series and their number of instances."""
        query = json.dumps({"Level": "Series", "Query": {}, "Expand": True}).encode()
        request = urllib.request.Request(f"{self._pacs.url}/tools/find", query)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return {item["MainDicomTags"]["SeriesInstanceUID"]: len(item["Instances"]) for item in json.load(answer)}


def wait_for_rest(node: Node, acknowledged: Iterable[str], limit_s: float = REST_S) -> list[JobView]:
    """Until everything acknowledged is in the ledger, no series is arriving and every job has its end.

    Returns every job. AssertionError, with what the node said, when it does not come to rest.
    """
    wanted = set(acknowledged)
    ledger = node.ledger()
    seen: list[JobView] = []

    def at_rest() -> bool:
        with ledger.reading() as connection:
            known = set(connection.execute(select(instance.c.sop_uid)).scalars())
            arriving = connection.execute(select(series.c.id).where(series.c.state == "receiving")).first()
            moving = connection.execute(
                select(delivery.c.id)
                .join(job, job.c.id == delivery.c.job_id)
                .where(delivery.c.state.in_(["sending", "verifying"]), job.c.state.not_in(["superseded", "cancelled"]))
            ).first()
        seen[:] = queries.jobs(ledger, limit=10_000)
        return wanted <= known and not arriving and not moving and bool(seen) and all(map(_has_ended, seen))

    try:
        until("the node is at rest", at_rest, limit_s, every_s=0.1)
    except AssertionError as error:
        states = [(item.id, item.state, item.reason) for item in seen]
        raise AssertionError(f"{error}; jobs: {states}; log:\n{node.said()}") from None
    finally:
        ledger.close()
    return seen


def check(node: Node, acknowledged: Iterable[str], pacs: Holdings, limit_s: float = REST_S) -> list[JobView]:
    """Wait for rest, then assert every invariant; returns the jobs."""
    uids = sorted(set(acknowledged))
    jobs = wait_for_rest(node, uids, limit_s)
    assert lost(node, uids) == [], "I1: acknowledged, but neither on disk nor verified"
    assert endless(jobs) == [], "I2: a job without a final state and a reason"
    assert wrong_in_pacs(jobs, pacs.holdings()) == [], "I3: the PACS holds another number of series or instances"
    assert bad_audit_row(node) is None, "I4: the audit chain is broken"
    until("I5: no half file and no lease is left", lambda: not leftovers(node), every_s=0.2)
    assert told_of_patients(node) == [], "I6: a patient is named"
    return jobs


def lost(node: Node, acknowledged: Iterable[str]) -> list[str]:
    """I1: acknowledged instances that are neither in the spool nor part of a verified job whose files were purged."""
    on_disk = {path.name.partition("-")[0] for path in (node.spool / "series").glob("*/*.dcm")}
    absent = [uid for uid in acknowledged if sha256(uid.encode()).hexdigest()[:32] not in on_disk]
    if not absent:
        return []
    ledger = node.ledger()
    with ledger.reading() as connection:
        query = select(instance.c.sop_uid).join(series).where(series.c.purged_at.is_not(None))
        purged = set(connection.execute(query).scalars())
    ledger.close()
    return [uid for uid in absent if uid not in purged]


def endless(jobs: Iterable[JobView]) -> list[tuple[int, str, str]]:
    """I2: jobs without a final state, or without the reason that people need."""
    return [
        (item.id, item.state, item.reason)
        for item in jobs
        if not _has_ended(item) or (item.state != "verified" and not item.reason)
    ]


def wrong_in_pacs(jobs: Iterable[JobView], holdings: dict[str, int]) -> list[str]:
    """I3: series of verified jobs that are not whole, series too full, and series that no job made."""
    wrong = []
    wanted = {item.derived_series_uid: item for item in jobs if item.derived_series_uid}
    for uid, item in wanted.items():
        count = holdings.get(uid or "", 0)
        if (item.state == "verified" and count != item.thin_slices) or count > (item.thin_slices or 0):
            wrong.append(f"job {item.id} ({item.state}): {count} of {item.thin_slices} instances")
    return wrong + [f"{uid}: {count} instances of no job" for uid, count in holdings.items() if uid not in wanted]


def bad_audit_row(node: Node) -> int | None:
    """I4: the first row of the audit trail that does not hold."""
    ledger = node.ledger()
    with ledger.reading() as connection:
        bad = chain.first_bad_row(connection)
    ledger.close()
    return bad


def leftovers(node: Node) -> list[str]:
    """I5: half files, and rows that somebody still holds."""
    found = [str(path.relative_to(node.folder)) for path in node.folder.rglob("*.part")]
    ledger = node.ledger()
    with ledger.reading() as connection:
        for table in (job, delivery, commitment_request):
            held = connection.execute(select(table.c.id, table.c.state).where(table.c.lease_until.is_not(None)))
            ended = ("superseded", "cancelled")  # their lease ends unused
            found += [f"{table.name} {row.id} is held ({row.state})" for row in held if row.state not in ended]
    ledger.close()
    return found


def told_of_patients(node: Node) -> list[str]:
    """I6: logs, file names and words of the ledger in which a phantom patient is named."""
    texts = {str(path.name): path.read_text(errors="replace") for path in node.folder.glob("*.log")}
    texts["file names"] = "\n".join(path.relative_to(node.folder).as_posix() for path in node.folder.rglob("*"))
    texts["audit trail"] = "\n".join(_audit(node))
    return [f"{word} in {name}" for name, text in texts.items() for word in PATIENT_WORDS if word in text]


def _audit(node: Node) -> list[str]:
    ledger = node.ledger()
    jobs = queries.jobs(ledger, limit=10_000)
    subjects = [f"job:{item.id}" for item in jobs] + [f"series:{item.series_id}" for item in jobs]
    words = [row.detail for row in queries.audit_of(ledger, subjects)] + [item.reason for item in jobs]
    ledger.close()
    return words


def _has_ended(item: JobView) -> bool:
    return item.state in SETTLED or (item.state == "sent" and item.reason.startswith(UNVERIFIED)) or _stays(item)


def _stays(item: JobView) -> bool:
    return item.state == "restored" and item.reason.startswith("no destination")
