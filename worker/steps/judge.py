"""From a quiet series to its jobs: read the headers, split the stacks, and decide what each becomes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from dicom_node import crash
from dicom_node.errors import UnreadableInstance
from dicom_node.ledger import again, jobs, receipts
from dicom_node.ledger.entries import NewJob
from dicom_node.ledger.receipts import InstanceRow, SeriesRow
from dicom_node.ledger.states import JobState, SeriesState
from dicom_node.plans import Plan
from dicom_node.records import SeriesHeld, SeriesSkipped, SliceHeader, StackVerdict, ThickSeries
from dicom_node.series.completeness import is_complete
from dicom_node.series.headers import read_header
from dicom_node.series.judge import judge
from dicom_node.series.rules import Decision, decide
from worker.wiring import Node

log = structlog.get_logger()


def judge_series(node: Node, series_id: int) -> bool:
    """Judge one series: True when it became complete, False when it has to wait or changed meanwhile."""
    row, instances = receipts.read_series(node.database, series_id)
    if row.state is not SeriesState.RECEIVING:
        return False
    gone = [item for item in instances if not Path(item.path).exists()]
    if gone:
        return _close_incomplete(node, row, instances, len(gone))
    headers, unreadable = _read(instances)
    loop = _loop(node, row)
    judged = (SeriesSkipped("", tuple(headers), loop),) if loop else judge(headers, node.settings.series)
    verdicts = judged + unreadable
    settings = node.settings.series
    if not row.forced and not is_complete(verdicts, row.quiet_s, row.released, settings):
        receipts.look_again(node.database, series_id, max(settings.quiet_s - row.quiet_s, 0.1))
        return False
    new = [_job(node, row, instances, verdict) for verdict in verdicts]
    crash.point("judge.decided")
    done = jobs.complete(node.database, series_id, row.instances, row.revision, new)
    crash.point("judge.entered")
    if done:
        log.info("series complete", series=series_id, instances=row.instances, stacks=[str(item.state) for item in new])
    return done


def _close_incomplete(node: Node, row: SeriesRow, instances: Sequence[InstanceRow], gone: int) -> bool:
    """A part of a series is no series: where retention has removed the rest, what came again changes nothing.

    What came for the first time is held, so that someone has the whole series sent again.
    """
    settings = node.settings.series
    if row.quiet_s < settings.quiet_s and not row.forced:
        receipts.look_again(node.database, row.id, settings.quiet_s - row.quiet_s)
        return False
    held = []
    if receipts.has_unjudged(node.database, row.id):
        reason = f"{gone} of {len(instances)} images are no longer in the spool: have the whole series sent again"
        held = [_job(node, row, instances, SeriesHeld(label="incomplete", slices=(), reason=reason), "incomplete")]
    return jobs.complete(node.database, row.id, row.instances, row.revision, held, keep=True)


def _loop(node: Node, row: SeriesRow) -> str:
    """Why a series is the node's own work coming back, whatever its headers say now; empty where it is not."""
    if receipts.made_here(node.database, row.series_uid):
        return "made by thinslice itself: the ledger knows its series UID"
    if row.calling_ae == node.settings.receive.ae_title:
        return f"sent under this node's own AE title, {row.calling_ae}: a loop, or a sender without a title of its own"
    return ""


def _read(instances: Sequence[InstanceRow]) -> tuple[list[SliceHeader], tuple[StackVerdict, ...]]:
    """Headers of the readable instances, and a verdict where some are not: they must not vanish silently."""
    headers, reasons = [], []
    for item in instances:
        try:
            headers.append(read_header(Path(item.path), item.sha256))
        except UnreadableInstance as error:
            reasons.append(str(error))
    if not reasons:
        return headers, ()
    reason = f"{len(reasons)} of {len(instances)} images cannot be read: {reasons[0]}"
    return headers, (SeriesHeld(label="unreadable images", slices=(), reason=reason),)


def _job(
    node: Node, row: SeriesRow, instances: Sequence[InstanceRow], verdict: StackVerdict, configuration: str = ""
) -> NewJob:
    chosen = _instances_of(verdict, instances)
    decision = _decision(node, row, verdict)
    plan = _with_wish(decision.plan, again.chosen_plans(node.database, row.id).get(verdict.label))
    state, reason = (JobState.SKIPPED, decision.reason) if decision.reason else _state_of(verdict)
    sources = [(item.sop_uid, item.sha256) for item in chosen]
    choice = node.choice(plan) if plan.again is None else node.chosen(plan)
    return NewJob(
        job_key=jobs.job_key(row.series_uid, sources, choice.model_digest, configuration or choice.config_digest),
        label=verdict.label,
        state=state,
        reason=reason,
        instance_ids=tuple(item.id for item in chosen),
        model_name=choice.model_name,
        model_digest=choice.model_digest,
        rule=decision.name,
        plan=plan,
        priority=decision.priority,
    )


def _decision(node: Node, row: SeriesRow, verdict: StackVerdict) -> Decision:
    """Rules are asked only about what can be restored."""
    if isinstance(verdict, ThickSeries):
        return decide(node.settings.rules, verdict, row.calling_ae)
    return Decision(None, "")


def _with_wish(plan: Plan, wish: Plan | None) -> Plan:
    """The rule's plan with the network and spacing that a person chose for this stack."""
    if wish is None:
        return plan
    return replace(plan, network=wish.network, target_spacing_mm=wish.target_spacing_mm, again=wish.again)


def _instances_of(verdict: StackVerdict, instances: Sequence[InstanceRow]) -> list[InstanceRow]:
    paths = {str(header.path) for header in verdict.slices}
    if not paths:  # the verdict on unreadable images: those that no header was read from
        return list(instances)
    return [item for item in instances if item.path in paths]


def _state_of(verdict: StackVerdict) -> tuple[JobState, str]:
    match verdict:
        case ThickSeries():
            return JobState.QUEUED, ""
        case SeriesHeld(reason=reason):
            return JobState.HELD, reason
        case SeriesSkipped(reason=reason):
            return JobState.SKIPPED, reason
