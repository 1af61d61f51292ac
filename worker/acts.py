"""What a person may do with a series, by the command line or the console: each answers with a sentence for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dicom_node.derive.manifest import load_series, read_manifest
from dicom_node.ledger import acts, deliveries, queries, receipts
from dicom_node.ledger.queries import JobView
from dicom_node.ledger.states import JobState
from worker.wiring import Node


@dataclass(frozen=True)
class Outcome:
    """What came of an act on one series: whether it changed anything, and a sentence for people."""

    done: bool
    said: str


Act = Callable[[Node, int, str], Outcome]
ASKED = "an admin asked for it"
SEND_AGAIN = (JobState.RESTORED, JobState.SENT, JobState.PARKED)


def retry(node: Node, series_id: int, reason: str) -> Outcome:
    """Failed and cancelled jobs go on, parked results are sent, held stacks judged anew."""
    found = queries.jobs_of(node.database, series_id)
    acted = [sentence for job in found for sentence in _retry_job(node, job, reason)]
    if any(job.state in (JobState.HELD, JobState.SKIPPED) for job in found):
        receipts.reopen(node.database, series_id, reason)
        acted.append("its held and skipped stacks are judged anew")
    return told(acted, f"Series {series_id} has nothing to retry.")


def cancel(node: Node, series_id: int, reason: str) -> Outcome:
    """Stop its jobs, waiting or running."""
    done = [job.id for job in queries.jobs_of(node.database, series_id) if acts.cancel(node.database, job.id, reason)]
    return told([f"job {number} is cancelled" for number in done], f"Series {series_id} has nothing to stop.")


def release(node: Node, series_id: int, reason: str) -> Outcome:
    """Send its results that are held for their doubt."""
    done = [job.id for job in _doubted(node, series_id) if _release(node, job, reason)]
    return told([f"job {number} is released" for number in done], f"Series {series_id} has no result that is held.")


def reject(node: Node, series_id: int, reason: str) -> Outcome:
    """Decide that its results that are held for their doubt are not sent."""
    done = [job.id for job in _doubted(node, series_id) if acts.reject(node.database, job.id, reason)]
    return told([f"job {number} is rejected" for number in done], f"Series {series_id} has no result that is held.")


def prioritise(node: Node, series_id: int, reason: str, priority: int = 1) -> Outcome:
    """Have it restored and sent before the others."""
    found = queries.jobs_of(node.database, series_id)
    done = [job.id for job in found if acts.prioritise(node.database, job.id, priority, reason)]
    sentences = [f"job {number} has priority {priority}" for number in done]
    return told(sentences, f"Series {series_id} has no job that waits.")


def complete(node: Node, series_id: int, reason: str) -> Outcome:
    """Have a series that still arrives judged now, as it is."""
    if receipts.force(node.database, series_id, reason):
        return Outcome(done=True, said=f"series {series_id} is judged now, with the images that are here")
    held = [job for job in queries.jobs_of(node.database, series_id) if job.state == JobState.HELD and not job.result]
    if held:
        why = f"has been judged, and is held: {held[-1].reason}. Send what is missing, or change [series] and retry"
        return Outcome(done=False, said=f"Series {series_id} {why}.")
    return Outcome(done=False, said=f"Series {series_id} does not wait for images.")


def told(acted: Sequence[str], nothing: str) -> Outcome:
    """What was done, else why nothing was."""
    return Outcome(done=bool(acted), said="; ".join(acted) or nothing)


def is_doubted(job: JobView) -> bool:
    """Whether its result is held for its doubt; a stack that is held has none."""
    return job.state == JobState.HELD and bool(job.result)


def _doubted(node: Node, series_id: int) -> list[JobView]:
    """Jobs of a series whose result is held."""
    return [job for job in queries.jobs_of(node.database, series_id) if is_doubted(job)]


def _release(node: Node, job: JobView, reason: str) -> bool:
    uids = [item.sop_instance_uid for item in load_series(Path(job.result or "")).instances]
    return acts.release(node.database, job.id, uids, node.goes_to(job.plan), reason)


def uids_of(job: JobView) -> list[str]:
    """SOP Instance UIDs of a stored result."""
    return [item.sop_instance_uid for item in read_manifest(Path(job.result or "")).instances]


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
        deliveries.add(node.database, job.id, new, uids_of(job))
    return acted + [f"job {job.id} is sent to {name}" for name in new]
