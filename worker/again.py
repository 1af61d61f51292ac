"""Acts by which a person has a result made with another network, or sent to one destination once more."""

from dataclasses import replace

from dicom_node.errors import InputError, NotHere
from dicom_node.ledger import again, queries
from dicom_node.ledger.entries import NewJob
from dicom_node.ledger.jobs import job_key
from dicom_node.ledger.queries import JobView
from dicom_node.ledger.states import JobState
from dicom_node.plans import Plan
from sr_engine.errors import EngineError
from worker.acts import Outcome, is_doubted, told, uids_of
from worker.wiring import Node, engine_of


def networks(node: Node) -> dict[str, str]:
    """What this node can restore with: the title of each network by its name. InputError where its own cannot run."""
    try:
        found = node.runnable
    except EngineError as error:
        raise InputError(str(error)) from error
    by_digest = {model.digest: name for name, model in reversed(found.items())}  # "best" has a name of its own too
    return {name: found[name].title for name in found if by_digest[found[name].digest] == name}


def restore_again(
    node: Node, series_id: int, reason: str, network: str, target_spacing_mm: float | None = None
) -> Outcome:
    """Restore its stacks with another network; the new results take the place of the old ones.

    Raises
    ------
    InputError
        This node cannot run the network.
    """
    if network not in (known := networks(node)):
        raise NotHere(f"this node cannot restore with {network!r}; it can with {', '.join(known)}")
    acted: list[str] = []
    refused: list[str] = []
    for job in queries.jobs_of(node.database, series_id):
        if job.state not in again.RESTORABLE and not is_doubted(job):
            continue
        new = _in_place_of(node, job, network, target_spacing_mm)
        if _is_same(node, job, new):
            refused.append(f"job {job.id} is restored with {new.model_name} already")
        elif why := again.restore_again(node.database, job.id, new, reason):
            refused.append(why)
        else:
            acted.append(f"job {job.id} is restored again with {new.model_name}")
    return told(acted, "; ".join(refused) or f"Series {series_id} has nothing that can be restored again.")


def resend(node: Node, series_id: int, reason: str, to: str) -> Outcome:
    """Send its results to one destination, once more or for the first time.

    Raises
    ------
    InputError
        There is no such destination.
    """
    if to not in node.destinations:
        known = ", ".join(node.destinations) or "none"
        raise NotHere(f"the settings name no destination {to!r}; they name: {known}")
    acted: list[str] = []
    refused: list[str] = []
    for job in queries.jobs_of(node.database, series_id):
        if job.thin_slices is None or job.state == JobState.SUPERSEDED:
            continue
        uids = uids_of(job) if job.result else []
        why = again.resend(node.database, job.id, to, uids, reason)
        refused += [why] if why else []
        acted += [] if why else [f"job {job.id} is sent to {to}"]
    return told(acted, "; ".join(refused) or f"Series {series_id} has no result.")


def _in_place_of(node: Node, job: JobView, network: str, target_spacing_mm: float | None) -> NewJob:
    """The job of the same images with another network."""
    times = again.times_made(node.database, job.series_id, job.label)
    plan = replace(job.plan, network=network, target_spacing_mm=target_spacing_mm, again=times)
    choice, sources = node.choice(plan), again.sources_of(node.database, job.id)
    key = job_key(job.series_uid, [item[1:] for item in sources], choice.model_digest, choice.config_digest)
    return NewJob(
        job_key=key,
        label=job.label,
        state=JobState.QUEUED,
        reason="",
        instance_ids=tuple(number for number, _, _ in sources),
        model_name=choice.model_name,
        model_digest=choice.model_digest,
        rule=job.rule,
        plan=plan,
        priority=job.priority,
    )


def _is_same(node: Node, job: JobView, new: NewJob) -> bool:
    """Whether the same is there already, or on its way: the same weights for the same spacing."""
    same = job.model_digest == new.model_digest and _spacing(node, job.plan) == _spacing(node, new.plan)
    return same and (bool(job.result) or job.state in (JobState.QUEUED, JobState.RUNNING))


def _spacing(node: Node, plan: Plan) -> float:
    return engine_of(node.settings, plan).target_spacing_mm
