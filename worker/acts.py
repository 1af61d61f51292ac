"""What a person may do with a series, by the command line or the console: each answers with a sentence for them."""

from collections.abc import Callable
from pathlib import Path

from dicom_node.derive.manifest import load_series
from dicom_node.ledger import acts, deliveries, queries, receipts
from dicom_node.ledger.queries import JobView
from dicom_node.ledger.states import JobState
from worker.wiring import Node

Act = Callable[[Node, int, str], str]
ASKED = "an admin asked for it"
SEND_AGAIN = (JobState.RESTORED, JobState.SENT, JobState.PARKED)


def retry(node: Node, series_id: int, reason: str) -> str:
    """Failed and cancelled jobs go on, parked results are sent, held stacks judged anew."""
    found = queries.jobs_of(node.database, series_id)
    acted = [sentence for job in found for sentence in _retry_job(node, job, reason)]
    if any(job.state in (JobState.HELD, JobState.SKIPPED) for job in found):
        receipts.reopen(node.database, series_id, reason)
        acted.append("its held and skipped stacks are judged anew")
    return "; ".join(acted) if acted else f"Series {series_id} has nothing to retry."


def cancel(node: Node, series_id: int, reason: str) -> str:
    """Stop its jobs, waiting or running."""
    done = [job.id for job in queries.jobs_of(node.database, series_id) if acts.cancel(node.database, job.id, reason)]
    return "; ".join(f"job {number} is cancelled" for number in done) or f"Series {series_id} has nothing to stop."


def release(node: Node, series_id: int, reason: str) -> str:
    """Send its results that are held for their doubt."""
    done = [job.id for job in _doubted(node, series_id) if _release(node, job, reason)]
    sentences = [f"job {number} is released" for number in done]
    return "; ".join(sentences) or f"Series {series_id} has no result that is held."


def reject(node: Node, series_id: int, reason: str) -> str:
    """Decide that its results that are held for their doubt are not sent."""
    done = [job.id for job in _doubted(node, series_id) if acts.reject(node.database, job.id, reason)]
    sentences = [f"job {number} is rejected" for number in done]
    return "; ".join(sentences) or f"Series {series_id} has no result that is held."


def prioritise(node: Node, series_id: int, reason: str, priority: int = 1) -> str:
    """Have it restored and sent before the others."""
    found = queries.jobs_of(node.database, series_id)
    done = [job.id for job in found if acts.prioritise(node.database, job.id, priority, reason)]
    sentences = [f"job {number} has priority {priority}" for number in done]
    return "; ".join(sentences) or f"Series {series_id} has no job that waits."


def _doubted(node: Node, series_id: int) -> list[JobView]:
    """Jobs of a series whose result is held."""
    return [job for job in queries.jobs_of(node.database, series_id) if job.state == JobState.HELD and job.result]


def _release(node: Node, job: JobView, reason: str) -> bool:
    uids = [item.sop_instance_uid for item in load_series(Path(job.result or "")).instances]
    return acts.release(node.database, job.id, uids, node.goes_to(job.plan), reason)


def _retry_job(node: Node, job: JobView, reason: str) -> list[str]:
    if acts.retry(node.database, job.id, reason):
        return [f"job {job.id} goes on" if job.result else f"job {job.id} is queued again"]
    if job.state not in SEND_AGAIN:
        return []
    known = queries.deliveries_of(node.database, job.id)
    acted = [
        f"job {job.id} is sent to {item.destination} again"
        if item.state == "parked"
        else f"{item.destination} is asked"
        for item in known
        if deliveries.retry(node.database, item.id, reason)
    ]
    new = sorted(set(node.goes_to(job.plan)) - {item.destination for item in known})
    if new:
        uids = [item.sop_instance_uid for item in load_series(Path(job.result or "")).instances]
        deliveries.add(node.database, job.id, new, uids)
    return acted + [f"job {job.id} is sent to {name}" for name in new]
